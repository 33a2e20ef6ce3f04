"""Fees and schedules on their way into the engine: what is not known refuses the routes by name, and comes back."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from math import inf
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.funding_terms import FundingTerms
from bot.domain.legs import TransferLeg
from bot.domain.network import AssetNetwork
from bot.domain.terms import Told
from bot.engine.terms.known import Terms
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.terms_desk import TermsDesk
from bot.engine.terms.transfer_terms import TransferTerms
from bot.settings import Settings
from exchanges.registry import all_venues
from tests.unit.test_engine_decisions import LINEAR, MS, SPOT, START_MS, Bench
from tests.unit.test_terms_knowledge import Source, network

D = Decimal
HOUR_MS = 3_600_000


def fees(instrument: Any, taker: str) -> FeeSchedule:
    return FeeSchedule(feed=instrument.feed, maker_bps=D(1), taker_bps=D(taker), source=FeeSource.ACCOUNT)


class World:
    """An engine on a virtual clock, and a venue that says what the test wants."""

    def __init__(self) -> None:
        self.bench = bench = Bench()
        self.source = Source()
        self.at = bench.clock.now_ns()
        self.source.says |= {"fees": self.told_fees(), "funding": self.told_funding()}
        self.log: list[str] = []
        self.terms = Terms(
            [self.source], bench.instruments, {}, Settings(), bench.clock, lambda _, text: self.log.append(text),
            PastTransfers(None, lambda *_: None),
        )  # fmt: skip
        self.asking: list[Awaitable[None]] = []
        self.desk = TermsDesk(self.terms, bench.engine, bench.clock, {}, self.asking.append)
        sink = self.desk.sink(bench.engine)
        venue = all_venues()["binance"]
        bench.decoders = {
            one.feed: venue.decoder(one.feed, {"ETHUSDT": slot}, sink) for slot, one in enumerate(bench.instruments)
        }
        self.linear = bench.engine.slots[1]

    def told_fees(self, taker: str = "5") -> Told[FeeSchedule]:
        return Told(values={SPOT.id: fees(SPOT, "10"), LINEAR.id: fees(LINEAR, taker)}, ts_ns=self.at)

    def told_funding(self, interval_h: int = 4, wrong: dict[str, str] | None = None) -> Told[FundingTerms]:
        at = self.bench.clock.now_ns()
        terms = FundingTerms(
            rate=0.0001, interval_s=interval_h * 3600.0, next_funding_ns=at + HOUR_MS * MS, ts_ns=at, cap=0.003,
            floor=-0.003,
        )  # fmt: skip
        return Told(values={} if wrong else {LINEAR.id: terms}, wrong=wrong or {}, ts_ns=at)

    def why(self) -> set[str]:
        """What is in the way of every route now."""
        bench = self.bench
        for state in bench.engine.routes:
            state.watch.refresh(bench.clock.now_ns())
        return {state.watch.assess() or "" for state in bench.engine.routes}


async def test_the_accounts_terms_are_priced_with_and_nothing_is_assumed() -> None:
    world = World()
    await world.desk.refresh()
    world.bench.warm()
    assert world.linear.fees == fees(LINEAR, "5")
    assert world.linear.funding_terms is not None
    assert (world.linear.funding_terms.interval_s, world.linear.funding_assumed) == (14_400, False)
    assert world.why() == {"net_edge"}
    needed = {state.watch.needed_bps for state in world.bench.engine.routes}
    world.source.says["fees"] = world.told_fees("3")
    await world.desk.refresh()
    # Two basis points less of the perpetual, twice in a round trip.
    world.why()
    lower = {state.watch.needed_bps for state in world.bench.engine.routes}
    assert sorted(needed)[0] - sorted(lower)[0] == pytest.approx(4, abs=0.05)


async def test_a_streams_rate_gets_the_interval_and_the_bounds_of_the_schedule() -> None:
    world = World()
    await world.desk.refresh()
    # Binance's stream names no interval.
    world.bench.mark_price(500, "0.00020000", 2 * HOUR_MS)
    terms = world.linear.funding_terms
    assert terms is not None
    assert (terms.rate, terms.interval_s, terms.cap) == (0.0002, 14_400, 0.003)
    assert terms.next_funding_ns == (START_MS + 2 * HOUR_MS) * MS
    assert world.linear.funding is not None
    assert (world.linear.funding.interval_h, world.linear.funding_assumed) == (4, False)
    assert world.linear.funding_bps_per_h == pytest.approx(0.5)


async def test_a_rate_that_does_not_fit_its_schedule_is_not_priced_with() -> None:
    world = World()
    await world.desk.refresh()
    world.bench.warm()
    world.bench.mark_price(2_050, "0.00020000", 7 * HOUR_MS)  # the next settlement in seven hours, of every four
    assert world.linear.funding_terms is None
    assert world.linear.funding_bps_per_h is None
    assert world.why() == {"funding_rate"}
    # It is known for the settlement all the same.
    assert world.linear.funding is not None
    assert world.linear.funding.rate == 0.0002


@pytest.mark.parametrize("wrong", [{LINEAR.id: "lastFundingRate: not a number"}])
async def test_a_wrong_schedule_refuses_by_name_whatever_the_stream_says(wrong: dict[str, str]) -> None:
    world = World()
    await world.desk.refresh()
    world.bench.warm()
    world.source.says["funding"] = world.told_funding(wrong=wrong)
    await world.desk.refresh()
    assert world.why() == {"funding_rate"}
    world.bench.mark_price(2_050, "0.00020000", 2 * HOUR_MS)
    assert world.why() == {"funding_rate"}
    assert [line for line in world.log if "funding_rate" in line]
    world.source.says["funding"] = world.told_funding()
    await world.desk.refresh()
    assert world.why() == {"net_edge"}


async def test_wrong_fees_refuse_by_name() -> None:
    world = World()
    await world.desk.refresh()
    world.bench.warm()
    world.source.says["fees"] = Told(values={SPOT.id: fees(SPOT, "10")}, wrong={LINEAR.id: "taker"}, ts_ns=1)
    await world.desk.refresh()
    assert world.why() == {"fee_schedule"}
    assert world.linear.fees is None


async def test_what_is_too_old_is_taken_away_by_itself_and_asked_for_before() -> None:
    world = World()
    await world.desk.refresh()
    world.desk.start()
    world.bench.clock.advance_to((START_MS + HOUR_MS) * MS + 11_000 * MS)
    assert len(world.asking) >= 1  # nobody has carried it out in this test
    assert world.linear.funding_terms is not None
    world.bench.clock.advance_to((START_MS + 2 * HOUR_MS) * MS + 11_000 * MS)
    assert world.linear.funding_terms is None
    world.bench.clock.advance_to((START_MS + 7 * HOUR_MS) * MS)
    assert world.linear.fees is None
    world.desk.stop()
    await asyncio.gather(*world.asking)


def _networks(**changes: object) -> Told[list[AssetNetwork]]:
    return Told(values={"BTC": [network().model_copy(update=changes)]}, ts_ns=0)


async def test_transfers_are_estimated_over_the_cheapest_open_network() -> None:
    world = World()
    other = Source()
    other.venue = "bybit"  # type: ignore[misc]
    world.source.says["networks"], other.says["networks"] = _networks(), _networks(venue="bybit", confirmations=3)
    settings = Settings.model_validate({"terms": {"transfer_processing_s": 120}})
    terms = Terms(
        [world.source, other], world.bench.instruments, {}, settings, world.bench.clock, lambda *_: None,
        PastTransfers(None, lambda *_: None),
    )  # fmt: skip
    transfers = TransferTerms(terms, settings.terms)
    leg = TransferLeg(asset="BTC", from_venue="binance", to_venue="bybit")
    assert transfers.transfer(leg) is None
    await terms.refresh()
    found = transfers.transfer(leg)
    assert found is not None
    # Three blocks of ten minutes at the receiving venue, and two minutes of both.
    assert (found.mean_s, found.fee, found.fee_ratio, found.network) == (1920, 0.0002, 0, "bitcoin")
    assert found.p95_s > 3600
    assert transfers.transfer(leg.model_copy(update={"network": "tron"})) is None
    assert transfers.top_up_s("bybit", "BTC", frozenset({"binance", "bybit"})) == found.p95_s
    assert transfers.top_up_s("bybit", "USDT", frozenset({"binance", "bybit"})) is None
    other.says["networks"] = _networks(venue="bybit", can_deposit=False)
    await terms.refresh()
    assert transfers.transfer(leg) is None
    assert transfers.top_up_s("bybit", "BTC", frozenset({"binance", "bybit"})) == inf


async def test_a_transfer_that_is_closed_says_which_network_and_which_end() -> None:
    world = World()
    other = Source()
    other.venue = "bybit"  # type: ignore[misc]
    settings = Settings.model_validate({})
    terms = Terms(
        [world.source, other], world.bench.instruments, {}, settings, world.bench.clock, lambda *_: None,
        PastTransfers(None, lambda *_: None),
    )  # fmt: skip
    transfers = TransferTerms(terms, settings.terms)
    leg = TransferLeg(asset="BTC", from_venue="binance", to_venue="bybit")

    async def told(ours: dict[str, object], theirs: dict[str, object]) -> str | None:
        world.source.says["networks"] = _networks(**ours)
        other.says["networks"] = _networks(venue="bybit", **theirs)
        await terms.refresh()
        assert transfers.transfer(leg) is None or not (ours or theirs)
        return transfers.closed(leg)

    assert transfers.closed(leg) is None  # nothing is known yet
    assert await told({}, {}) is None
    assert await told({"can_withdraw": False}, {}) == "bitcoin: withdrawals are suspended at binance"
    assert await told({}, {"can_deposit": False}) == "bitcoin: deposits are suspended at bybit"
    assert await told({"can_withdraw": False}, {"can_deposit": False}) == (
        "bitcoin: withdrawals are suspended at binance and deposits are suspended at bybit"
    )
    contracts: list[dict[str, object]] = [{"contract": "0xa1"}, {"contract": "0xa2"}]
    assert await told(*contracts) == "bitcoin: the contract addresses of binance and bybit differ: it is another token"
    assert await told({}, {"chain": "tron"}) == "bitcoin: binance offers it and the other side does not"
    assert transfers.closed(leg.model_copy(update={"network": "solana"})) == "solana: binance does not offer it"
    assert await told({"name": "B\x1b[2J", "chain": None}, {}) == "B[2J: unknown here"
    # An end that has not told its networks: not known, and said so elsewhere.
    other.says["networks"] = Told(values={}, wrong={"BTC": "broken"}, ts_ns=0)
    await terms.refresh()
    assert transfers.closed(leg) is None
