"""Faults of the catalogue that the risk gate guards against, through the real engine, executor and paper venue.

Each test also takes its guard out of the gate and sees the trade happen: without the guard it would fail.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument, ListingStatus, Segment
from bot.domain.market import TopOfBook
from bot.domain.route import Outcome
from bot.engine.standing import limit_rows
from bot.risk import limits
from tests.unit.test_engine_decisions import BYBIT, EVEN, LINEAR, MS, SPOT, START_MS, THERE, Bench, in_position

D = Decimal
WIDE = {"max_age_ms": 60_000.0, "max_event_age_ms": 60_000.0, "max_skew_ms": 60_000.0, "max_jump_bps": 1e9}
NO_EDGE = ("no_quote", "warm_up", "net_edge")
COLLARS = (limits.CollarToMean, limits.CollarToOthers)


def without(bench: Bench, *guards: type) -> None:
    gate = bench.engine.desk.gate
    left = tuple(limit for limit in gate.limits if not isinstance(limit, guards))
    assert len(left) == len(gate.limits) - len(guards)
    gate.limits = left


def answer(bench: Bench) -> str:
    """`taken`, or the newest limit that was in the way of an edge."""
    if bench.engine.decisions.taken:
        return "taken"
    refused = [decision.reason for decision in bench.decisions if decision.reason not in NO_EDGE]
    return refused[-1] if refused else "no edge"


def play(scene: Callable[[Bench], None], *guards: type, **options: Any) -> str:
    bench = Bench(**options)
    without(bench, *guards)
    scene(bench)
    return answer(bench)


def test_fault_12_a_stale_leg_beside_a_fresh_one_opens_nothing() -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.linear(2_301, "1010.00", "1010.20")

    gate = WIDE | {"max_skew_ms": 300.0}
    assert play(scene, quote_gate=gate) == "quote_skew"
    assert play(scene, limits.FreshQuotes, quote_gate=gate) == "taken"


@pytest.mark.parametrize(("bid", "ask"), [("9999.00", "10001.00"), ("99.99", "100.01")])
def test_fault_14_a_spike_that_the_quote_gate_lets_pass_is_not_plausible(bid: str, ask: str) -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.linear(2_050, bid, ask)
        bench.spot(2_051, *EVEN)

    assert play(scene, quote_gate=WIDE) == "plausible_edge"
    # The collars are a second guard.
    assert play(scene, limits.MaxPlausibleEdge, quote_gate=WIDE).startswith("collar_mean")
    assert play(scene, limits.MaxPlausibleEdge, *COLLARS, quote_gate=WIDE) == "taken"


def test_fault_14_a_price_far_from_its_own_mean_is_refused_though_the_edge_is_plausible() -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.linear(2_050, "1050.00", "1050.20")  # both jump
        bench.spot(2_051, "1040.00", "1040.20")

    assert play(scene, quote_gate=WIDE).startswith("collar_mean")
    assert play(scene, limits.CollarToMean, quote_gate=WIDE) == "taken"


USDC = Instrument(
    venue="binance", symbol="USDC/USDT", segment=Segment.SPOT, base="USDC", quote="USDT",
    tick_size=D("0.0001"), lot_size=D(1),
)  # fmt: skip


def give(bench: Bench, slot: int, bid: float, ask: float, quantity: float = 5.0) -> None:
    bench.sequence += 1
    now_ns = bench.clock.now_ns()
    quote = TopOfBook(
        bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=bench.sequence, ts_event_ns=now_ns
    )
    bench.engine.on_quote(slot, quote, now_ns, b"")


@pytest.mark.parametrize(
    ("usdc", "refused"), [(1.0, None), (0.991, None), (0.98, "depeg USDT/USDC"), (1.02, "depeg USDT/USDC")]
)
def test_fault_15_nothing_is_opened_in_a_currency_that_has_lost_its_peg(usdc: float, refused: str | None) -> None:
    def scene(bench: Bench) -> None:
        for step in range(21):
            bench.clock.advance_to((START_MS + step * 100) * MS)
            give(bench, 0, 999.90, 1000.10)
            give(bench, 1, 1012.00 if step == 20 else 999.90, 1012.20 if step == 20 else 1000.10)
            give(bench, 2, usdc - 0.0001, usdc + 0.0001, 1e6)
            bench.engine.on_batch_end(bench.clock.now_ns())

    assert play(scene, instruments=(LINEAR, BYBIT, USDC)) == (refused or "taken")
    assert play(scene, limits.QuotePeg, instruments=(LINEAR, BYBIT, USDC)) == "taken"


def test_fault_18_a_contract_of_another_size_is_no_opportunity() -> None:
    """The perpetual is quoted per thousandth of a coin."""

    def scene(bench: Bench) -> None:
        for at_ms in range(0, 2_001, 100):
            bench.spot(at_ms, *EVEN)
            bench.linear(at_ms, "0.99", "1.00", "5000.000")
        bench.spot(2_050, *EVEN)

    guards = (limits.MaxPlausibleEdge, limits.CollarToOthers)
    both = tuple(one.model_copy(update={"min_notional": D(0)}) for one in (SPOT, LINEAR))
    assert play(scene, instruments=both) == "plausible_edge"
    assert play(scene, guards[0], instruments=both).startswith("collar_others")
    assert play(scene, *guards, instruments=both) == "taken"


def listed(status: ListingStatus, delivery_ms: int | None = None) -> Instrument:
    delivery_ns = None if delivery_ms is None else (START_MS + delivery_ms) * MS
    return LINEAR.model_copy(update={"status": status, "delivery_ns": delivery_ns})


@pytest.mark.parametrize(
    ("listing", "limit"),
    [
        (listed(ListingStatus.DELISTING), "instrument_status binance:ETH/USDT:USDT"),
        (listed(ListingStatus.SETTLING), "instrument_status binance:ETH/USDT:USDT"),
        (listed(ListingStatus.HALTED), "instrument_status binance:ETH/USDT:USDT"),
        (listed(ListingStatus.TRADING, delivery_ms=3_600_000), "delivery binance:ETH/USDT:USDT"),
    ],
)
def test_fault_19_what_is_being_delisted_or_delivered_is_not_opened(listing: Instrument, limit: str) -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.engine.desk.on_listing(listing)
        bench.engine.desk.on_listing(listing)
        bench.linear(2_050, "1010.00", "1010.20")
        assert sum("binance:ETH/USDT:USDT is " in line for line in bench.log) == 1  # said once

    assert play(scene) == limit
    assert play(scene, limits.StillListed) == "taken"


def test_fault_19_an_open_pair_leaves_what_is_being_delisted_once() -> None:
    bench = in_position()
    bench.engine.desk.on_listing(listed(ListingStatus.DELISTING))
    bench.clock.advance_to((START_MS + 3_100) * MS)
    assert bench.new() == [(Outcome.CLOSED, "there", "delisting")]
    for at_ms in range(3_200, 6_000, 50):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "1010.00", "1010.20")
    assert not bench.engine.desk.executor.pairs
    assert bench.engine.desk.orders == 4
    assert [reason for _, direction, reason in bench.new() if direction == "there"][-1].startswith("instrument_status")


def test_fault_20_an_edge_that_nobody_takes_is_flagged_and_not_traded() -> None:
    def scene(bench: Bench) -> None:
        for at_ms in range(0, 34_001, 100):
            bench.spot(at_ms, *EVEN)
            bench.linear(at_ms, "1015.00", "1015.20")

    late = {"warmup_s": 33.0}
    assert play(scene, arbitrage=late) == "edge_persistent"
    assert play(scene, limits.PersistentEdge, arbitrage=late) == "taken"


def test_fault_20_an_edge_that_goes_away_now_and_then_is_a_real_one() -> None:
    bench = Bench(arbitrage={"warmup_s": 31.0})
    for at_ms in range(0, 32_001, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, *(("1015.00", "1015.20") if at_ms % 10_000 >= 2_000 else EVEN))
    assert [(d.outcome, d.reason) for d in bench.decisions if d.route == THERE][-1] != (
        Outcome.REFUSED,
        "edge_persistent",
    )
    assert bench.engine.decisions.taken == 1


def measured(round_trip_ms: int | None) -> Callable[[Bench], None]:
    def scene(bench: Bench) -> None:
        if round_trip_ms is not None:
            bench.engine.on_clock_offset("binance", 0, round_trip_ms * MS)
        bench.warm()
        bench.linear(2_050, "1010.00", "1010.20")

    return scene


@pytest.mark.parametrize(
    ("market", "round_trip_ms", "found"),
    [
        ("live", None, "clock_offset binance"),
        ("live", 501, "clock_offset binance"),
        ("live", 500, "taken"),
        ("simulated", 501, "clock_offset binance"),
        ("simulated", None, "taken"),
    ],
)
def test_fault_21_clocks_that_may_be_far_apart_open_nothing(market: str, round_trip_ms: int | None, found: str) -> None:
    assert play(measured(round_trip_ms), market=market) == found
    assert play(measured(round_trip_ms), limits.ClockUncertainty, market=market) == "taken"


def test_fault_22_a_quote_from_the_future_after_a_clock_was_set_back_opens_nothing() -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.engine.slots[0].recv_ns += 3_600_000 * MS
        bench.linear(2_050, "1010.00", "1010.20")

    assert play(scene) == f"quote_age {SPOT.id}"
    assert play(scene, limits.FreshQuotes) == "taken"


def test_fault_49_nothing_is_opened_that_would_be_left_at_once() -> None:
    def scene(bench: Bench) -> None:
        bench.warm()
        bench.linear(2_050, "1010.00", "1010.20")

    assert play(scene, risk={"close_distance_bps": 1e9}).startswith("liquidation_distance ")


def test_fault_49_a_pair_is_left_before_the_venue_liquidates_its_leg() -> None:
    safe = in_position(risk={"close_distance_bps": 200})
    safe.clock.advance_to((START_MS + 3_100) * MS)
    assert safe.new() == []
    bench = in_position(risk={"close_distance_bps": 2_000})
    told = {row.limit.split()[0]: row.allowed for row in limit_rows(bench.engine, bench.clock.now_ns())}
    assert told["liquidation_distance"] == 2_000
    bench.engine.desk._margin_guard._close_bps = 1e9  # what it was opened at is not far enough any more
    bench.clock.advance_to((START_MS + 3_100) * MS)
    assert bench.new() == [(Outcome.CLOSED, "there", "liquidation_distance")]
    assert any("from its liquidation" in line and "are closed" in line for line in bench.log)
