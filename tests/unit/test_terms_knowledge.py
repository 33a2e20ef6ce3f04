"""What the engine knows of a venue's terms: fresh, or not known; told once; never zero."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument, ListingStatus
from bot.domain.network import AssetNetwork
from bot.domain.terms import Listing, PastTransfer, Told, WalletMove
from bot.engine.terms.known import Terms, TermsKind
from bot.engine.terms.past_transfers import PastTransfers, joined
from bot.engine.terms.rates import fee_schedules
from bot.errors import VenueUnavailable
from bot.settings import Settings
from exchanges.binance import shipped

D = Decimal
NS = 1_000_000_000
HOUR = 3600 * NS
LINEAR: Instrument = next(
    one for listed in shipped.INSTRUMENTS.values() for one in listed.values() if one.symbol == "BTC/USDT:USDT"
)
PUBLISHED = {feed: fees for feed, fees in shipped.FEES.items() if feed == LINEAR.feed}


def fees(taker: str = "4") -> FeeSchedule:
    return FeeSchedule(
        feed=LINEAR.feed, maker_bps=D(1), taker_bps=D(taker), source=FeeSource.ACCOUNT, token="BNB",
        token_discount=D("0.1"),
    )  # fmt: skip


def funding(ts_ns: int = 0) -> FundingTerms:
    return FundingTerms(rate=0.0001, interval_s=28_800.0, next_funding_ns=ts_ns + HOUR, ts_ns=ts_ns)


def network() -> AssetNetwork:
    return AssetNetwork(
        venue="binance", asset="BTC", name="BTC", chain="bitcoin", can_deposit=True, can_withdraw=True,
        withdraw_fee=D("0.0002"), min_withdraw=D("0.001"), confirmations=2, ts_ns=0,
    )  # fmt: skip


class Source:
    """A venue that says what the test wants; an exception is raised."""

    venue = "binance"

    def __init__(self) -> None:
        self.says: dict[str, Any] = {
            "fees": Told(values={LINEAR.id: fees()}, ts_ns=0),
            "funding": Told(values={LINEAR.id: funding()}, ts_ns=0),
            "listings": Told(values={LINEAR.id: Listing(status=ListingStatus.TRADING)}, ts_ns=0),
            "networks": Told(values={"BTC": [network()]}, ts_ns=0),
            "moves": [],
        }
        self.asked = 0

    def _say(self, what: str) -> Any:
        answer = self.says[what]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fees(self) -> Told[FeeSchedule] | None:
        self.asked += 1
        return self._say("fees")

    async def funding(self) -> Told[FundingTerms]:
        return self._say("funding")

    async def listings(self) -> Told[Listing]:
        return self._say("listings")

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        return self._say("networks")

    async def moves(self) -> Sequence[WalletMove]:
        return self._say("moves")


class World:
    def __init__(self, settings: Settings | None = None) -> None:
        self.clock = VirtualClock(0)
        self.source = Source()
        self.log: list[tuple[str, str]] = []
        say = lambda level, text: self.log.append((level, text))  # noqa: E731
        self.terms = Terms(
            [self.source], [LINEAR], PUBLISHED, settings or Settings(), self.clock, say, PastTransfers(None, say)
        )

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * NS))

    @property
    def warnings(self) -> list[str]:
        return [text for level, text in self.log if level == "warning"]


async def test_nothing_is_known_before_it_was_asked_for() -> None:
    world = World()
    assert world.terms.fees(LINEAR) is None
    assert world.terms.funding(LINEAR) is None
    assert world.terms.networks("binance", "BTC") == ()
    await world.terms.refresh()
    assert world.terms.fees(LINEAR) == fees()
    assert world.terms.funding(LINEAR) == funding()
    assert world.terms.networks("binance", "BTC") == [network()]
    assert world.log == []


@pytest.mark.parametrize(
    ("what", "kind", "age_s"),
    [("fees", TermsKind.FEES, 21_600), ("funding", TermsKind.FUNDING, 7200), ("networks", TermsKind.NETWORKS, 300)],
)
async def test_each_is_known_until_it_is_too_old(what: str, kind: TermsKind, age_s: int) -> None:
    world = World()
    await world.terms.refresh()
    known = {
        "fees": lambda: world.terms.fees(LINEAR) is not None,
        "funding": lambda: world.terms.funding(LINEAR) is not None,
        "networks": lambda: bool(world.terms.networks("binance", "BTC")),
    }[what]
    subject = "BTC" if what == "networks" else LINEAR.id
    world.wait(age_s)
    assert known()
    assert world.terms.why_not(kind, "binance", subject) is None
    world.wait(1)
    assert not known()
    assert "ago" in (world.terms.why_not(kind, "binance", subject) or "")


async def test_a_wrong_figure_is_forgotten_at_once_and_told_once() -> None:
    world = World()
    await world.terms.refresh()
    world.source.says["fees"] = Told(values={}, wrong={LINEAR.id: "taker: too high"}, ts_ns=1)
    await world.terms.refresh()
    await world.terms.refresh()
    assert world.terms.fees(LINEAR) is None
    assert world.warnings == [
        "binance:BTC/USDT:USDT: fees: taker: too high; its routes are refused (fee_schedule)",
    ]
    world.source.says["fees"] = Told(values={LINEAR.id: fees()}, ts_ns=2)
    await world.terms.refresh()
    assert world.terms.fees(LINEAR) == fees()
    assert world.log[-1] == ("info", "binance:BTC/USDT:USDT: fees: known again")


async def test_a_venue_that_does_not_answer_leaves_what_is_known_until_it_is_old() -> None:
    world = World()
    await world.terms.refresh()
    world.source.says["funding"] = VenueUnavailable("binance", "no answer in 5 s")
    await world.terms.refresh()
    assert world.terms.funding(LINEAR) is not None
    assert world.warnings == []
    world.wait(7201)
    world.terms.say()
    world.terms.say()
    assert world.terms.funding(LINEAR) is None
    (warning,) = [text for text in world.warnings if "funding" in text]
    assert "told 7201 s ago, and 7200 s are allowed: binance: no answer in 5 s" in warning
    assert warning.endswith("its routes are refused (funding_rate)")


async def test_an_account_that_does_not_answer_is_not_taken_for_the_price_list() -> None:
    world = World()
    world.source.says["fees"] = VenueUnavailable("binance", "no answer in 5 s")
    await world.terms.refresh()
    assert world.terms.fees(LINEAR) is None
    assert LINEAR.feed not in world.terms.by_feed
    assert "no answer in 5 s" in world.warnings[0]


async def test_without_an_account_the_price_list_holds_and_does_not_age() -> None:
    world = World()
    world.source.says |= {"fees": None, "networks": None}
    await world.terms.refresh()
    world.wait(1e6)
    found = world.terms.fees(LINEAR)
    assert found is not None
    assert (found.source, found.tier, found.taker_bps) == ("published", "Regular User", 5)
    assert world.terms.by_feed == PUBLISHED
    assert world.terms.networks("binance", "BTC") == ()


async def test_settings_go_over_the_account_and_over_nothing_known() -> None:
    own = Settings.model_validate({"fees": {"binance": {"linear": {"taker_bps": "7", "maker_bps": "3"}}}})
    world = World(own)
    for known in (False, True):
        if known:
            await world.terms.refresh()
        found = world.terms.fees(LINEAR)
        assert found is not None
        assert (found.taker_bps, found.maker_bps, found.source, found.token) == (7, 3, "setting", None)
    half = Settings.model_validate({"fees": {"binance": {"linear": {"taker_bps": "7"}}}})
    assert World(half).terms.fees(LINEAR) is None


async def test_the_engines_fees_follow_what_is_told() -> None:
    world = World()
    await world.terms.refresh()
    book = fee_schedules([LINEAR.feed], world.terms.by_feed, Settings())
    assert book[LINEAR.feed].taker_bps == 4
    world.source.says["fees"] = Told(values={LINEAR.id: fees("3.2")}, ts_ns=1)
    await world.terms.refresh()
    assert book[LINEAR.feed].taker_bps == D("3.2")
    assert dict(book) == {LINEAR.feed: fees("3.2")}


async def test_it_is_asked_again_before_anything_is_too_old_and_not_without_end() -> None:
    world = World()
    assert world.terms.needs_asking()
    await world.terms.refresh()
    world.wait(150)
    assert not world.terms.needs_asking()
    world.wait(1)  # half of the five minutes that networks are good for
    assert world.terms.needs_asking()
    world.source.says["fees"] = VenueUnavailable("binance", "away")
    await world.terms.refresh()
    world.wait(59)
    assert not world.terms.needs_asking()
    world.wait(1)
    assert world.terms.needs_asking()


async def test_two_questions_at_once_are_one() -> None:
    world = World()
    await asyncio.gather(world.terms.refresh(), world.terms.refresh())
    assert world.source.asked == 1


def move(venue: str, tx_id: str, begun: int, done: int, *, is_deposit: bool, **more: object) -> WalletMove:
    fields = {"asset": "BTC", "chain": "bitcoin"} | more
    return WalletMove(venue=venue, tx_id=tx_id, begun_ns=begun * NS, done_ns=done * NS, is_deposit=is_deposit, **fields)  # type: ignore[arg-type]


def test_a_withdrawal_and_the_deposit_that_it_became_are_one_transfer() -> None:
    moves = [
        move("binance", "0xAB12", 100, 700, is_deposit=False),
        move("bybit", "ab12", 400, 1300, is_deposit=True),
        move("bybit", "cd34", 400, 1300, is_deposit=True),  # from somebody else
        move("binance", "ef56", 100, 700, is_deposit=False, chain=None),  # over an unknown chain
        move("bybit", "ef56", 100, 900, is_deposit=True, chain=None),
        move("binance", "0a0a", 2000, 2100, is_deposit=False),  # credited before it was sent
        move("bybit", "0a0a", 1000, 1500, is_deposit=True),
    ]
    (one,) = joined(moves)
    assert (one.source, one.target, one.seconds, one.chain) == ("binance", "bybit", 1200.0, "bitcoin")


def test_other_transaction_ids_differ_by_case() -> None:
    moves = [
        move("binance", "5KtPq", 0, 5, is_deposit=False, chain="solana"),
        move("bybit", "5ktpq", 1, 9, is_deposit=True, chain="solana"),
    ]
    assert joined(moves) == []


def test_past_transfers_are_kept_and_counted_once(tmp_path: Path) -> None:
    log: list[str] = []
    path = tmp_path / "below" / "transfers.json"
    pair = [
        move("binance", "ab12", 100, 700, is_deposit=False),
        move("bybit", "ab12", 400, 1300, is_deposit=True),
    ]
    first = PastTransfers(path, lambda _, text: log.append(text))
    assert first.learn(pair) == 1
    assert first.learn(pair) == 0
    again = PastTransfers(path, lambda _, text: log.append(text))
    assert again.seconds("bitcoin", "binance", "bybit") == (1200.0,)
    assert again.seconds("bitcoin", "bybit", "binance") == ()
    assert again.learn(pair) == 0
    assert log == []


@pytest.mark.parametrize("text", ["", "[", '[{"asset": "BTC"}]', '{"a": 1}'])
def test_a_file_that_is_none_teaches_nothing_and_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "transfers.json"
    path.write_text(text)
    log: list[str] = []
    assert PastTransfers(path, lambda _, words: log.append(words)).seconds("bitcoin", "binance", "bybit") == ()
    assert "cannot be read" in log[0]


def test_a_past_transfer_took_time() -> None:
    with pytest.raises(ValueError):
        PastTransfer(asset="BTC", chain="bitcoin", source="a", target="b", tx_id="1", begun_ns=0, seconds=0)
