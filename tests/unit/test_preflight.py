"""What a preflight makes of what it finds."""

import os
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Instrument, Segment
from bot.errors import AuthenticationFailed, ExitCode, PreflightFailed, VenueUnavailable
from bot.ports import FeedState
from bot.preflight.account import Stakes, judge_balances, judge_modes, judge_rights
from bot.preflight.check import Check, Verdict, asked, failed, ok, require, warning
from bot.preflight.machine import look_at_machine
from bot.preflight.streams import StreamWatch
from bot.risk.halt_flag import raise_flag
from bot.settings import JournalSettings
from bot.storage.journal import SqliteJournal
from bot.storage.schema import FILE_NAME
from modes.key_watch import key_rights_job

D = Decimal
REAL, PAPER = Stakes(real_money=True), Stakes(real_money=False)
FIT = KeyRights(may_read=True, may_trade={Segment.SPOT, Segment.LINEAR}, may_withdraw=False, is_ip_bound=True)  # type: ignore[arg-type]
DAY_NS = 86_400_000_000_000
BOTH = (Segment.SPOT, Segment.LINEAR)


def instrument(segment: Segment, symbol: str = "BTC/USDT") -> Instrument:
    settle = None if segment is Segment.SPOT else "USDT"
    return Instrument(
        venue="binance", segment=segment, symbol=symbol if settle is None else f"{symbol}:USDT", base="BTC",
        quote="USDT", settle=settle, tick_size=D("0.1"), lot_size=D("0.001"), min_quantity=D("0.001"),
        min_notional=D(5),
    )  # fmt: skip


LINEAR, SPOT = instrument(Segment.LINEAR), instrument(Segment.SPOT)
SET = AccountModes(is_one_way=True, is_multi_asset=False, is_cross={LINEAR.id: True}, leverage={LINEAR.id: D(5)})


def verdicts(checks: list[Check]) -> dict[Verdict, list[str]]:
    found: dict[Verdict, list[str]] = {}
    for check in checks:
        found.setdefault(check.verdict, []).append(check.name)
        assert bool(check.advice) is (check.verdict is not Verdict.OK), check  # what to do stands with every trouble
    return found


def test_a_fit_key_passes() -> None:
    assert set(verdicts(judge_rights("binance", FIT, BOTH, REAL, 0))) == {Verdict.OK}


@pytest.mark.parametrize(
    ("change", "name"),
    [({"may_withdraw": True}, "key rights"), ({"is_ip_bound": False}, "key addresses")],
)
def test_what_puts_money_at_risk_ends_a_start_with_real_money_alone(change: dict[str, bool], name: str) -> None:
    key = FIT.model_copy(update=change)
    assert verdicts(judge_rights("binance", key, BOTH, REAL, 0))[Verdict.FAILED] == [name]
    paper = verdicts(judge_rights("binance", key, BOTH, PAPER, 0))
    assert Verdict.FAILED not in paper
    assert paper[Verdict.WARNING] == [name]


def test_a_venue_that_cannot_say_is_no_answer_in_its_favour() -> None:
    assert verdicts(judge_rights("binance", None, BOTH, REAL, 0)) == {Verdict.FAILED: ["key rights"]}
    seen = Stakes(real_money=True, unbound_ok=True)
    assert verdicts(judge_rights("binance", None, BOTH, seen, 0)) == {Verdict.FAILED: ["key rights"]}
    assert verdicts(judge_rights("binance", None, BOTH, PAPER, 0)) == {Verdict.WARNING: ["key rights"]}


def test_what_a_person_acknowledged_is_told_and_let_through() -> None:
    unbound = FIT.model_copy(update={"is_ip_bound": False, "may_withdraw": True})
    seen = Stakes(real_money=True, unbound_ok=True, transfers=True)
    assert verdicts(judge_rights("binance", unbound, BOTH, seen, 0))[Verdict.WARNING] == ["key rights", "key addresses"]
    only_bound = Stakes(real_money=True, unbound_ok=True)
    assert verdicts(judge_rights("binance", unbound, BOTH, only_bound, 0))[Verdict.FAILED] == ["key rights"]


@pytest.mark.parametrize(
    ("may_trade", "may_read", "said"),
    [
        ({Segment.SPOT}, True, "the key may not trade linear"),
        (set(), False, "the key may not read and trade linear and trade spot"),
    ],
)
def test_a_right_that_is_needed_and_missing_fails_everywhere(
    may_trade: set[Segment], may_read: bool, said: str
) -> None:
    key = FIT.model_copy(update={"may_trade": frozenset(may_trade), "may_read": may_read})
    for stakes in (REAL, PAPER):
        first = judge_rights("binance", key, BOTH, stakes, 0)[0]
        assert (first.verdict, first.observed) == (Verdict.FAILED, said)


@pytest.mark.parametrize(
    ("days", "verdict"), [(-1, Verdict.FAILED), (0, Verdict.FAILED), (7, Verdict.WARNING), (8, Verdict.OK)]
)
def test_a_key_that_ends_soon(days: int, verdict: Verdict) -> None:
    key = FIT.model_copy(update={"expires_ns": (100 + days) * DAY_NS})
    assert judge_rights("bybit", key, BOTH, REAL, 100 * DAY_NS)[-1].verdict is verdict


def test_an_account_that_is_set_right_passes() -> None:
    assert set(verdicts(judge_modes("binance", SET, [LINEAR, SPOT], D("0.2"), REAL))) == {Verdict.OK}


@pytest.mark.parametrize("mode", [False, None])
def test_fault_53_hedge_mode_is_refused_also_with_paper_money(mode: bool | None) -> None:
    modes = SET.model_copy(update={"is_one_way": mode})
    for stakes in (REAL, PAPER):
        assert verdicts(judge_modes("binance", modes, [LINEAR], D("0.2"), stakes))[Verdict.FAILED] == ["position mode"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"is_multi_asset": True}, "margin assets"),
        ({"is_cross": {LINEAR.id: False}}, "margin mode"),
        ({"is_cross": {}}, "margin mode"),
        ({"leverage": {LINEAR.id: D("4.9")}}, "leverage"),
        ({"leverage": {}}, "leverage"),
    ],
)
def test_fault_53_modes_that_the_figures_do_not_count_on_are_refused(change: dict[str, object], name: str) -> None:
    modes = SET.model_copy(update=change)
    assert verdicts(judge_modes("binance", modes, [LINEAR], D("0.2"), REAL))[Verdict.FAILED] == [name]


def test_spot_alone_has_no_position_mode() -> None:
    assert judge_modes("binance", AccountModes(), [SPOT], D("0.2"), REAL) == []


@pytest.mark.parametrize(
    ("held", "one", "verdict"),
    [
        ({"USDT": D(200)}, LINEAR, Verdict.OK),
        ({"USDT": D(199)}, LINEAR, Verdict.WARNING),
        ({"USDT": D(0), "BTC": D(5)}, LINEAR, Verdict.FAILED),
        ({}, SPOT, Verdict.FAILED),
        ({"BTC": D(1)}, SPOT, Verdict.WARNING),
        ({"USDT": D(1000)}, SPOT, Verdict.OK),
    ],
)
def test_balances_for_one_order(held: dict[str, Decimal], one: Instrument, verdict: Verdict) -> None:
    modes = AccountModes(balances={(str(one.feed), asset): amount for asset, amount in held.items()})
    assert [check.verdict for check in judge_balances("binance", modes, [one], 1000.0, D("0.2"))] == [verdict]


def test_the_money_of_one_wallet_pays_for_no_order_of_another() -> None:
    modes = AccountModes(balances={("binance.spot", "USDT"): D(900), ("binance.linear", "USDT"): D(0)})
    checks = judge_balances("binance", modes, [SPOT, LINEAR], 1000.0, D("0.2"))
    assert [(check.verdict, check.observed.split(",")[0]) for check in checks] == [
        (Verdict.WARNING, "900 USDT available"), (Verdict.FAILED, "no USDT available")]  # fmt: skip


def test_a_unified_wallet_pays_for_orders_of_every_segment() -> None:
    both = [one.model_copy(update={"venue": "bybit"}) for one in (SPOT, LINEAR)]
    modes = AccountModes(balances={("bybit.unified", "USDT"): D(1000)})
    assert verdicts(judge_balances("bybit", modes, both, 1000.0, D("0.2"))) == {Verdict.OK: ["balance", "balance"]}


def test_what_failed_is_named_in_one_line_and_exit_code_3() -> None:
    require([ok("a", "", "x"), warning("b", "", "x", "y")])
    checks = [ok("clock", "binance", "x"), failed("key rights", "bybit", "x", "y"), failed("halt flag", "", "x", "y")]
    with pytest.raises(PreflightFailed, match=r"2 of 3 checks failed \(bybit key rights, halt flag\)") as refused:
        require(checks)
    assert refused.value.exit_code == ExitCode.PREFLIGHT == 3


async def test_a_question_that_cannot_be_asked_is_a_check_that_failed() -> None:
    async def refused() -> list[Check]:
        raise AuthenticationFailed("binance", "-2015")

    async def away() -> list[Check]:
        raise VenueUnavailable("binance", "no answer in 5 s")

    (key,) = await asked("key rights", "binance", refused)
    (venue,) = await asked("clock", "binance", away)
    assert (key.verdict, venue.verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert "addresses that the key is bound to" in key.advice
    assert venue.observed == "binance: no answer in 5 s"


# The machine


def at(data_dir: Path, name: str, **journal: object) -> Check:
    checks = look_at_machine(data_dir, JournalSettings.model_validate({"min_free_bytes": 0} | journal), SystemClock())
    return next(check for check in checks if check.name == name)


def test_a_machine_that_is_fit(tmp_path: Path) -> None:
    checks = look_at_machine(tmp_path / "new", JournalSettings(min_free_bytes=0), SystemClock())
    assert {check.name: check.verdict for check in checks if check.name != "user"} == {
        "disk room": Verdict.OK, "disk speed": Verdict.OK, "halt flag": Verdict.OK, "journal": Verdict.OK,
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["journal.lock"]


def test_too_little_room_and_too_slow_a_disk(tmp_path: Path) -> None:
    assert at(tmp_path, "disk room", min_free_bytes=10**18).verdict is Verdict.FAILED
    assert at(tmp_path, "disk speed", max_behind_ms=1e-9).verdict is Verdict.FAILED


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = look_at_machine(tmp_path / "file" / "below", JournalSettings(), SystemClock())[0]
    assert (found.name, found.verdict) == ("disk", Verdict.FAILED)


def test_a_halt_flag(tmp_path: Path) -> None:
    raise_flag(tmp_path, "somebody said so", "me", 1)
    found = at(tmp_path, "halt flag")
    assert found.verdict is Verdict.FAILED
    assert "somebody said so" in found.observed


def test_a_journal_beside_which_no_lock_can_be_made_is_no_running_engine(tmp_path: Path) -> None:
    (tmp_path / "journal.lock").mkdir()
    found = at(tmp_path, "journal")
    assert (found.verdict, found.observed[-14:]) == (Verdict.FAILED, "Is a directory")
    assert "engine" not in found.advice


def test_a_journal_that_is_whole_in_use_or_damaged(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, "run-1")
    beside = at(tmp_path, "journal")
    assert (beside.verdict, f"process {os.getpid()}" in beside.observed) == (Verdict.WARNING, True)
    journal.close()
    assert at(tmp_path, "journal").verdict is Verdict.OK
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE padding AS SELECT randomblob(60000) AS blob")
    connection.close()
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[4096:12288] = b"\xff" * 8192
    (tmp_path / FILE_NAME).write_bytes(content)
    assert at(tmp_path, "journal").verdict is Verdict.FAILED


# Streams


def test_a_feed_that_says_nothing_fails_and_a_quiet_instrument_is_told() -> None:
    other = instrument(Segment.LINEAR, "ETH/USDT")
    watch = StreamWatch([LINEAR, other, SPOT], books=[0])
    watch.on_quote(0, None, 1, b"")  # type: ignore[arg-type]
    watch.on_feed_state(SPOT.feed, FeedState.FAILED, "HTTP 451")
    assert not watch.complete.is_set()
    found = {(check.subject, check.name): check for check in watch.checks(5.0)}
    assert found["binance.linear", "streams"].verdict is Verdict.WARNING
    assert "ETH/USDT:USDT" in found["binance.linear", "streams"].observed
    assert found["binance.linear", "order books"].verdict is Verdict.WARNING
    assert found["binance.spot", "streams"].verdict is Verdict.FAILED
    assert found["binance.spot", "streams"].observed == "no quote on any stream in 5 s (HTTP 451)"
    for slot in (1, 2):
        watch.on_quote(slot, None, 1, b"")  # type: ignore[arg-type]
    watch.on_book(0, object(), None, 1)  # type: ignore[arg-type]
    assert watch.complete.is_set()
    assert {check.verdict for check in watch.checks(5.0)} == {Verdict.OK}


# Asked again


class Inspector:
    venue = "binance"

    def __init__(self, rights: KeyRights | Exception) -> None:
        self.now = rights

    async def rights(self) -> KeyRights:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    async def modes(self) -> AccountModes:
        return SET


async def test_fault_34_a_key_that_got_worse_while_the_bot_runs_halts_it() -> None:
    halts: list[str] = []
    account = Inspector(FIT)
    job = key_rights_job("every 1h", [account], [LINEAR], REAL, SystemClock(), halts.append)
    assert job is not None
    assert await job.run() == "binance as it should be"  # type: ignore[misc]
    assert halts == []
    account.now = VenueUnavailable("binance", "no answer in 5 s")
    with pytest.raises(VenueUnavailable):
        await job.run()  # type: ignore[misc]
    assert halts == []  # nobody knows that it got worse
    account.now = FIT.model_copy(update={"may_withdraw": True})
    assert "changed for the worse" in str(await job.run())  # type: ignore[misc]
    account.now = AuthenticationFailed("binance", "-2015")
    with pytest.raises(AuthenticationFailed):
        await job.run()  # type: ignore[misc]
    assert [("may withdraw" in why, "is refused" in why) for why in halts] == [(True, False), (False, True)]


async def test_a_venue_that_does_not_answer_keeps_no_other_key_from_being_looked_at() -> None:
    halts: list[str] = []
    away = Inspector(VenueUnavailable("kraken", "no answer in 5 s"))
    worse = Inspector(FIT.model_copy(update={"may_withdraw": True}))
    job = key_rights_job("every 1h", [away, worse], [LINEAR], REAL, SystemClock(), halts.append)
    assert job is not None
    with pytest.raises(VenueUnavailable):
        await job.run()  # type: ignore[misc]
    assert ["may withdraw" in why for why in halts] == [True]


def test_without_an_account_or_a_schedule_there_is_no_job() -> None:
    assert key_rights_job("every 1h", [], [LINEAR], REAL, SystemClock(), print) is None
    assert key_rights_job(None, [Inspector(FIT)], [LINEAR], REAL, SystemClock(), print) is None


def test_a_key_that_may_not_withdraw_is_said_where_transfers_are_enabled() -> None:
    stakes = Stakes(real_money=True, transfers=True)
    found = [one for one in judge_rights("binance", FIT, BOTH, stakes, 0) if "none will leave" in one.line]
    assert [one.verdict for one in found] == [Verdict.WARNING]
