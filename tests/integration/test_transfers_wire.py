"""Money that moves at the simulated exchanges, over the wire: through the clients' libraries, guard in front."""

import asyncio
import itertools
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.errors import (
    AuthenticationFailed,
    SettingsError,
    TransferOutcomeUnknown,
    TransferRefused,
    VenueError,
    VenueUnavailable,
)
from bot.ports import RecordKind
from bot.ports.transfers import AccountOperations, InternalMove, MoveState
from bot.settings.transfers import TransferSettings
from bot.transfers.desk import TransferDesk
from bot.transfers.guard import TransferGuard
from bot.transfers.spent import Spent
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.transfers import account_operations
from tests.integration.actions_rig import VENUES, Rig, rig
from tests.unit.executor_bench import MemoryJournal

D = Decimal
WITHDRAW = {"binance": "POST /sapi/v1/capital/withdraw/apply", "bybit": "POST /v5/asset/withdraw/create"}
MOVE = {"binance": "POST /sapi/v1/asset/transfer", "bybit": "POST /v5/asset/transfer/inter-transfer"}
WALLETS = {"binance": ("spot", "linear"), "bybit": ("unified", "fund")}
OTHER = {"binance": "bybit", "bybit": "binance"}
LIMITS = {"USDT": D(1000)}


@dataclass
class Bench:
    """Both accounts, and a desk with its guard and its journal."""

    here: Rig
    operations: Mapping[str, AccountOperations]
    journal: MemoryJournal
    spent: Spent
    data_dir: Path
    events: list[tuple[str, str]]

    def desk(self, **changed: Any) -> TransferDesk:
        told = {"enabled": True, "allow_list": self.data_dir / "allowed.yaml", "delay_h": 0, "daily_cap": LIMITS,
                "max_per_transfer": LIMITS, "poll_s": 0.05, "deadline_s": 60}  # fmt: skip
        settings = TransferSettings.model_validate({**told, **changed})
        clock = SystemClock()
        guard = TransferGuard(settings, self.data_dir, self.operations, self.spent, clock)
        ids = (UUID(int=number, version=4) for number in itertools.count(len(self.journal.records) + 1))
        event = lambda level, text: self.events.append((level, text))  # noqa: E731
        return TransferDesk(self.operations, guard, self.spent, self.journal, clock, settings, event, ids.__next__)

    async def allow(self, leaves: str, /, **changed: Any) -> None:
        """One address on the list, called `there`: where the other venue takes USDT on tron."""
        there = OTHER[leaves]
        network = next(one for one in await self.operations[there].networks("USDT") if one.chain == "tron")
        address, memo = await self.operations[there].deposit_address(network)
        entry = {"name": "there", "asset": "USDT", "network": "tron", "address": address, "memo": memo, "venue": there}
        (self.data_dir / "allowed.yaml").write_text(yaml.safe_dump([{**entry, **changed}]))

    def states(self) -> list[str]:
        return [body["state"] for kind, _, body in self.journal.records if kind is RecordKind.TRANSFER]

    def balance(self, venue: str, wallet: str) -> Decimal:
        exchange = self.here.exchanges[venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        held = account.balances()
        return sum((one.total for one in held if (one.wallet, one.asset) == (wallet, "USDT")), D(0))

    def withdrawals(self, venue: str) -> int:
        exchange = self.here.exchanges[venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        return len(account.withdrawals())

    def sent(self, venue: str) -> int:
        return sum(f"{method} {path}" == WITHDRAW[venue] for method, path in self.here.requests.seen)


@asynccontextmanager
async def bench(data_dir: Path) -> AsyncIterator[Bench]:
    async with rig() as here:
        keys = {venue: here.keys(venue) for venue in VENUES}
        async with account_operations(VENUES, here.settings(), keys, SystemClock()) as operations:
            yield Bench(here, operations, MemoryJournal(), Spent(), data_dir, [])


@pytest.fixture
async def money(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as one:
        yield one


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("venue", VENUES)
async def test_money_moves_between_the_wallets_of_an_account(money: Bench, venue: str) -> None:
    source, target = WALLETS[venue]
    before = money.balance(venue, target)
    await money.desk().move(venue, "USDT", D("250.5"), source, target)
    assert money.balance(venue, target) - before == D("250.5")
    assert money.states() == ["intent", "done"]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_move_whose_answer_is_lost_is_asked_for_and_done_once(money: Bench, venue: str) -> None:
    source, target = WALLETS[venue]
    desk = money.desk()
    await desk.move(venue, "USDT", D(100), source, target)  # one like it, just before, is another
    before = money.balance(venue, target)
    money.here.requests.lose_answer.append(MOVE[venue])
    await desk.move(venue, "USDT", D(100), source, target)
    assert money.balance(venue, target) - before == 100
    assert money.states() == ["intent", "done", "intent", "unknown", "done"]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_move_that_never_arrived_is_not_taken_for_one_like_it(money: Bench, venue: str) -> None:
    source, target = WALLETS[venue]
    desk = money.desk(deadline_s=0.5)
    await desk.move(venue, "USDT", D(100), source, target)
    before = money.balance(venue, target)
    money.here.requests.lose.append(MOVE[venue])
    with pytest.raises(TransferOutcomeUnknown, match="knows of no such transfer"):
        await desk.move(venue, "USDT", D(100), source, target)
    assert money.balance(venue, target) == before
    assert money.states() == ["intent", "done", "intent", "unknown"]
    assert any("nobody knows what became of" in text for _, text in money.events)


@pytest.mark.parametrize(("status", "states", "kind"), [
    ("FAILED", ["intent", "refused"], TransferRefused),
    ("PENDING", ["intent", "unknown"], TransferOutcomeUnknown),
    ("STATUS_UNKNOWN", ["intent", "unknown"], TransferOutcomeUnknown),
])  # fmt: skip
async def test_bybit_may_take_a_move_that_is_not_done(
    money: Bench, status: str, states: list[str], kind: type[Exception]
) -> None:
    told = {"retCode": 0, "retMsg": "success", "result": {"transferId": "x", "status": status}}
    money.here.requests.answer[MOVE["bybit"]] = lambda: web.json_response(told)
    with pytest.raises(kind):
        await money.desk(deadline_s=0.5).move("bybit", "USDT", D(100), *WALLETS["bybit"])
    assert money.states() == states


@pytest.mark.parametrize("code", [131001, 131003, 131200, 131201])
async def test_a_service_error_of_bybits_leaves_a_withdrawal_in_doubt(money: Bench, code: int) -> None:
    told = {"retCode": code, "retMsg": "Service error", "result": {}}
    money.here.requests.answer[WITHDRAW["bybit"]] = lambda: web.json_response(told)
    await money.allow("bybit")
    assert (await money.desk().withdraw("bybit", "USDT", D(50), "there")).is_unknown


@pytest.mark.parametrize("venue", VENUES)
async def test_a_withdrawal_leaves_once_its_intent_is_durable(money: Bench, venue: str) -> None:
    await money.allow(venue)
    money.journal.is_slow = True
    leaving = asyncio.create_task(money.desk().withdraw(venue, "USDT", D(50), "there"))
    async with asyncio.timeout(60):
        while not money.states():
            await asyncio.sleep(0.002)
    await money.operations[venue].deposits("USDT", 0)  # one more request is answered meanwhile
    assert money.sent(venue) == 0
    money.journal.sync()
    sent = await leaving
    assert money.states() == ["intent", "in_transit"]
    seen = await money.operations[venue].withdrawn(sent.withdrawal)
    assert seen is not None
    assert (seen.amount, seen.state, seen.network) == (D(49), MoveState.IN_TRANSIT, "TRX")


@pytest.mark.parametrize("venue", VENUES)
async def test_a_withdrawal_without_an_answer_is_found_and_never_sent_again(money: Bench, venue: str) -> None:
    await money.allow(venue)
    money.here.requests.lose_answer.append(WITHDRAW[venue])
    desk = money.desk()
    sent = await desk.withdraw(venue, "USDT", D(50), "there")
    assert sent.is_unknown
    with pytest.raises(TransferRefused, match="outcome of withdrawal"):
        await desk.withdraw(venue, "USDT", D(60), "there")
    following = asyncio.create_task(desk.arrived(sent))
    async with asyncio.timeout(60):
        while money.states()[-1] != "in_transit":
            await asyncio.sleep(0.002)
    following.cancel()
    assert money.sent(venue) == 1
    assert money.withdrawals(venue) == 1
    assert any("asked about, and not sent again" in text for _, text in money.events)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_withdrawal_that_is_late_is_an_alarm_and_followed(money: Bench, venue: str) -> None:
    await money.allow(venue)
    desk = money.desk(deadline_s=0.01)
    following = asyncio.create_task(desk.arrived(await desk.withdraw(venue, "USDT", D(50), "there")))
    async with asyncio.timeout(60):
        while not any("has not arrived in 0.01 s: it is on its way" in text for _, text in money.events):
            await asyncio.sleep(0.002)
    assert not following.done()
    following.cancel()


async def test_a_withdrawal_leaves_the_wallet_that_trades_whichever_a_person_has_chosen(money: Bench) -> None:
    """Binance: `walletType` 0 is spot, 1 is funding; none is the one that the account's page shows."""
    await money.allow("binance")
    client, sent = money.operations["binance"]._client, dict[str, str]()  # type: ignore[attr-defined]
    withdraw = client.withdraw

    async def noting(**words: str) -> object:
        sent.update(words)
        return await withdraw(**words)

    client.withdraw = noting
    await money.desk().withdraw("binance", "USDT", D(50), "there")
    assert (sent["walletType"], sent["amount"]) == ("0", "50")
    assert money.withdrawals("binance") == 1


@pytest.mark.parametrize("venue", VENUES)
async def test_a_withdrawal_that_left_more_than_a_week_ago_is_found_still(money: Bench, venue: str) -> None:
    """Binance looks through the last seven days for an id of ours, unless it is told which others."""
    await money.allow(venue)
    sent = await money.desk().withdraw(venue, "USDT", D(50), "there")
    exchange = money.here.exchanges[venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    (payment,) = account._transfers._sent  # as if the bot had been down since
    payment._created_ns -= 9 * 86_400 * 10**9
    one = replace(sent.withdrawal, sent_ns=sent.withdrawal.sent_ns - 9 * 86_400 * 10**9)
    found = await money.operations[venue].withdrawn(one)
    assert found is not None
    assert (found.state, found.asset) == (MoveState.IN_TRANSIT, "USDT")


async def test_a_move_of_more_than_a_week_ago_is_found_still(money: Bench) -> None:
    """Bybit looks through seven days, from the time that it is told, whatever id it is asked for."""
    move = InternalMove(str(UUID(int=7)), "USDT", D(5), *WALLETS["bybit"], SystemClock().now_ns() - 9 * 86_400 * 10**9)
    await money.operations["bybit"].move(move)
    (customer,) = money.here.bybit._customers.values()
    customer.transfers[0]["timestamp"] = str(move.sent_ns // 10**6)  # as if the bot had been down since
    assert await money.operations["bybit"].moved(move) is MoveState.DONE


@pytest.mark.parametrize("venue", VENUES)
async def test_what_an_earlier_run_left_is_asked_about_before_anything_leaves(money: Bench, venue: str) -> None:
    await money.allow(venue)
    await money.desk().withdraw(venue, "USDT", D(50), "there")
    (intent, *_) = [body for kind, _, body in money.journal.records if kind is RecordKind.TRANSFER]
    money.spent = Spent([intent])  # it crashed right after the intent
    desk = money.desk()
    with pytest.raises(TransferRefused, match="not known"):
        await desk.withdraw(venue, "USDT", D(60), "there")
    await desk.settle()
    await desk.withdraw(venue, "USDT", D(60), "there")
    assert money.sent(venue) == 2


@pytest.mark.parametrize(
    ("changed", "entry", "amount", "why"),
    [
        ({"enabled": False}, {}, 50, "transfers.enabled is false"),
        ({"allow_list": None}, {}, 50, "names no file"),
        ({"delay_h": 24}, {}, 50, r"changed 0.0 h ago; it is used after 24 h"),
        ({}, {"name": "elsewhere"}, 50, "no USDT address called 'there'"),
        ({}, {"network": "ethereum"}, 50, "address or memo of 'there' are not those"),
        ({}, {"network": "bitcoin"}, 50, "has no network bitcoin for USDT"),
        ({}, {"address": "T" + "0" * 40}, 50, "address or memo of 'there' are not those"),
        ({}, {"memo": "12345"}, 50, "address or memo of 'there' are not those"),
        ({}, {"venue": "kraken"}, 50, "kraken cannot be asked"),
        ({}, {"colour": "red"}, 50, "is not understood"),
        ({"max_per_transfer": {"USDT": 49}}, {}, 50, "transfers.max_per_transfer: 50 USDT, 49 are allowed"),
        ({"max_per_transfer": {}}, {}, 50, "max_per_transfer names no USDT"),
        ({"daily_cap": {"USDT": 49}}, {}, 50, "transfers.daily_cap: 50 USDT, 49 are allowed"),
        ({"daily_cap": {}}, {}, 50, "daily_cap names no USDT"),
        ({}, {}, 10, "below the least"),
        ({}, {}, "50.000000001", "no multiple of"),
        ({}, {}, "-50", "not above zero"),
        ({}, {}, "NaN", "not above zero"),
    ],
)
async def test_every_refusal_of_the_guard_has_its_reason(
    money: Bench, changed: dict[str, Any], entry: dict[str, Any], amount: object, why: str
) -> None:
    await money.allow("bybit", **entry)
    with pytest.raises(TransferRefused, match=why):
        await money.desk(**changed).withdraw("bybit", "USDT", D(str(amount)), "there")
    assert money.states() == ["refused"]
    assert money.sent("bybit") == 0


async def test_an_asset_that_needs_a_memo_leaves_with_one_alone(money: Bench) -> None:
    await money.allow("bybit", asset="XRP")
    with pytest.raises(TransferRefused, match="XRP needs a memo"):
        await money.desk().withdraw("bybit", "XRP", D(50), "there")


@pytest.mark.parametrize(("closed", "why"), [("binance", "deposits are suspended"), ("bybit", "suspended withdrawals")])
async def test_a_network_is_asked_for_right_before(money: Bench, closed: str, why: str) -> None:
    await money.allow("bybit")
    desk = money.desk()
    money.here.exchanges[closed].suspend("tron")
    with pytest.raises(TransferRefused, match=why):
        await desk.withdraw("bybit", "USDT", D(50), "there")
    assert money.sent("bybit") == 0


async def test_the_daily_cap_counts_all_venues_and_what_earlier_runs_sent(money: Bench) -> None:
    await money.allow("bybit")
    desk = money.desk(daily_cap={"USDT": 150})
    await desk.withdraw("bybit", "USDT", D(100), "there")
    with pytest.raises(TransferRefused, match="daily_cap: 151 USDT, 150 are allowed"):
        await desk.withdraw("bybit", "USDT", D(51), "there")
    money.spent = Spent(body for kind, _, body in money.journal.records if kind is RecordKind.TRANSFER)
    await money.allow("binance")
    with pytest.raises(TransferRefused, match="daily_cap: 151 USDT"):
        await money.desk(daily_cap={"USDT": 150}).withdraw("binance", "USDT", D(51), "there")


async def test_a_changed_list_waits_and_so_does_one_whose_pin_is_gone(money: Bench) -> None:
    await money.allow("bybit")
    await money.desk().withdraw("bybit", "USDT", D(50), "there")
    pin = money.data_dir / "allow_list.pin"
    pin.write_text(pin.read_text().replace('"since_ns": ', '"since_ns": 1, "was": '))  # it has stood since 1970
    await money.desk(delay_h=24).withdraw("bybit", "USDT", D(51), "there")
    with (money.data_dir / "allowed.yaml").open("a") as file:
        file.write("\n# one byte more\n")
    with pytest.raises(TransferRefused, match=r"changed 0\.0 h ago"):
        await money.desk(delay_h=24).withdraw("bybit", "USDT", D(52), "there")
    pin.unlink()
    with pytest.raises(TransferRefused, match=r"changed 0\.0 h ago"):
        await money.desk(delay_h=24).withdraw("bybit", "USDT", D(52), "there")


@pytest.mark.parametrize("venue", VENUES)
async def test_the_journal_has_the_last_word(money: Bench, venue: str) -> None:
    await money.allow(venue)
    money.journal.is_broken = True
    with pytest.raises(TransferRefused, match="not durable"):
        await money.desk().withdraw(venue, "USDT", D(50), "there")
    assert money.sent(venue) == 0


@pytest.mark.parametrize(("venue", "asset"), [("binance", "DOGE"), ("bybit", "DOGE")])
async def test_what_a_venue_refuses_is_told_by_code(money: Bench, venue: str, asset: str) -> None:
    source, target = WALLETS[venue]
    with pytest.raises(TransferRefused, match="code"):
        await money.desk().move(venue, asset, D(5), source, target)
    assert money.states() == ["intent", "refused"]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, "text/plain", "oops"), TransferOutcomeUnknown),
        ((200, "text/html", "<html>not JSON</html>"), TransferOutcomeUnknown),
        ((200, "application/json", "[1]"), TransferOutcomeUnknown),
        ((429, "application/json", "{}"), VenueError),
    ],
)
async def test_no_error_holds_a_signature_or_a_key(
    money: Bench, venue: str, answer: tuple[int, str, str], kind: type[Exception]
) -> None:
    status, content_type, text = answer
    key = WITHDRAW[venue]
    money.here.requests.answer[key] = lambda: web.Response(status=status, content_type=content_type, text=text)
    await money.allow(venue)
    desk = money.desk()
    if kind is TransferOutcomeUnknown:
        sent = await desk.withdraw(venue, "USDT", D(50), "there")
        assert sent.is_unknown
        told = "".join(f"{one}" for one in money.events)
    else:
        with pytest.raises(kind) as caught:
            await desk.withdraw(venue, "USDT", D(50), "there")
        told = text_of(caught.value)
    keys = money.here.keys(venue)
    for secret in (keys.key.get_secret_value(), keys.secret.get_secret_value(), "signature="):
        assert secret not in told


@pytest.mark.parametrize("venue", VENUES)
async def test_a_question_that_fails_holds_neither(money: Bench, venue: str) -> None:
    key = {"binance": "GET /sapi/v1/capital/deposit/hisrec", "bybit": "GET /v5/asset/deposit/query-record"}[venue]
    money.here.requests.answer[key] = lambda: web.Response(content_type="text/html", text="<html></html>")
    with pytest.raises(VenueUnavailable) as caught:
        await money.operations[venue].deposits("USDT", 0)
    keys = money.here.keys(venue)
    for secret in (keys.key.get_secret_value(), keys.secret.get_secret_value(), "signature="):
        assert secret not in text_of(caught.value)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_key_that_nobody_has_is_an_error_of_its_own(money: Bench, venue: str) -> None:
    wrong = ApiKeys(key=SecretStr("k" * 32), secret=SecretStr("s" * 32))
    async with account_operations([venue], money.here.settings(), {venue: wrong}, SystemClock()) as operations:
        with pytest.raises(AuthenticationFailed):
            await operations[venue].deposits("USDT", 0)


@pytest.mark.parametrize("venue", VENUES)
async def test_no_library_signs_for_another_host(money: Bench, venue: str) -> None:
    operations: Any = money.operations[venue]
    client = operations._client
    for name in ("MARGIN_API_URL", "endpoint"):
        if hasattr(client, name):
            setattr(client, name, "https://api.example.com")
    seen = len(money.here.requests.seen)
    with pytest.raises(SettingsError):
        await operations.deposits("USDT", 0)
    assert len(money.here.requests.seen) == seen


@pytest.mark.parametrize("venue", VENUES)
async def test_leverage_and_position_mode_are_read(money: Bench, venue: str) -> None:
    assert await money.operations[venue].leverage("BTCUSDT") >= 1
    assert not await money.operations[venue].is_hedge_mode()


async def test_venues_that_are_read_only_are_refused_by_name(money: Bench) -> None:
    with pytest.raises(SettingsError, match="kraken: no transfers"):
        async with account_operations(["binance", "kraken"], money.here.settings(), {}, SystemClock()):
            pass
