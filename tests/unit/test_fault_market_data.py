"""Faults 7, 17 and 18 through the parts that guard against them."""

import itertools

import pytest

from bot.domain.instrument import Instrument
from bot.domain.route import Outcome
from exchanges.binance.order_book import BinanceBookBuilder
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings
from tests.property.test_order_book_interleavings import Binance, Events, assert_is
from tests.unit.test_engine_decisions import BYBIT, EVEN, LINEAR, SPOT, THERE, Bench

STEPS = [[("bids", place, 3)] for place in (7, 8, 6)] + [[("asks", 0, 0), ("asks", 1, 2)]]


@pytest.mark.parametrize("is_futures", [False, True])
@pytest.mark.parametrize("first", range(1, 5))
@pytest.mark.parametrize("made_at", range(5))
def test_fault_07_wherever_a_snapshot_is_made_and_comes_the_book_is_the_venues_or_none(
    made_at: int, first: int, is_futures: bool
) -> None:
    """Every interleaving of four changes, the first of them missed or not, and two snapshots made at any of them."""
    valid = 0
    for comes_after in itertools.combinations_with_replacement(range(len(STEPS) + 1), 2):
        market = Binance(STEPS, is_futures, 20)
        builder = BinanceBookBuilder(20, Events())
        for number in range(len(STEPS) + 1):
            if number >= first:
                builder.on_frame(market.frames[number], 0)
            for _ in range(comes_after.count(number)):
                builder.on_snapshot(market.snapshot(made_at), 0)
            if builder.book is not None:
                assert builder.book.sequence is not None
                assert number < first or builder.book.sequence >= market.ids[number], "no change that came is missing"
                assert_is(builder.book, market.truth(builder.book.sequence))
                valid += 1
    assert bool(valid) is (made_at >= first - 1), "an older snapshot joins nothing"


def test_fault_17_what_waited_in_the_socket_is_not_traded_on() -> None:
    """Two seconds of quotes come at once, late: none is a price, and the first fresh one is."""
    bench = Bench()
    bench.warm()
    for event_ms in range(2_000, 3_400, 50):
        bench.linear(4_500, "1010.00", "1010.20", event_ms=event_ms)
        bench.spot(4_500, *EVEN)
    assert bench.engine.decisions.taken == 0
    assert bench.engine.slots[1].refused_counts == {"stale": 28}
    bench.linear(4_510, "1010.00", "1010.20")
    assert bench.engine.decisions.taken == 1


def test_fault_17_quotes_that_carry_no_time_are_dated_by_the_frames_around_them() -> None:
    bench = Bench()
    bench.warm()
    feed, ns = SPOT.feed, bench.clock.now_ns()
    bench.engine.on_timed_frame(feed, ns, ns)
    late_ns = ns + 2_500_000_000
    bench.clock.advance_to(late_ns)
    bench.engine.on_timed_frame(feed, ns + 100_000_000, late_ns)
    bench.spot(4_500, "990.00", "990.20")  # it has waited as long as the frame before it
    bench.linear(4_500, *EVEN)
    assert bench.engine.decisions.taken == 0
    assert bench.engine.slots[0].refused_counts == {"stale": 1}


IDENTITIES = [
    ("another multiple of the coin", {"base": "1000ETH"}),
    ("another coin", {"base": "ETC"}),
    ("another currency", {"quote": "BTC", "settle": "BTC"}),
]


@pytest.mark.parametrize(("what", "change"), IDENTITIES, ids=[what for what, _ in IDENTITIES])
def test_fault_18_what_is_not_the_same_thing_makes_no_route(what: str, change: dict[str, str]) -> None:
    settings = ArbitrageSettings()
    other: Instrument = BYBIT.model_copy(update=change)
    assert len(list_routes([LINEAR, BYBIT], settings)) == 2
    assert list_routes([LINEAR, other], settings) == []


def test_fault_18_a_renamed_coin_is_another_one_and_open_pairs_of_others_go_on() -> None:
    """FTM became S: the new listing is no side of a route of the old one."""
    old = LINEAR.model_copy(update={"symbol": "FTM/USDT:USDT", "base": "FTM"})
    new = BYBIT.model_copy(update={"symbol": "S/USDT:USDT", "base": "S"})
    assert list_routes([old, new, LINEAR, BYBIT], ArbitrageSettings()) == list_routes(
        [LINEAR, BYBIT], ArbitrageSettings()
    )


def test_fault_18_quantities_of_contracts_are_compared_in_coins() -> None:
    """A contract is a tenth of a coin: five of them at the top are half a coin, and more is not taken."""
    contracts = LINEAR.model_copy(update={"contract_multiplier": LINEAR.tick_size * 10})
    bench = Bench(instruments=(SPOT, contracts))
    bench.warm()
    bench.linear(2_050, "1010.00", "1010.20", "5.000")
    bench.spot(2_051, *EVEN)
    taken = [decision for decision in bench.decisions if decision.outcome is Outcome.TAKEN]
    assert [(decision.route, float(decision.quantity)) for decision in taken] == [(THERE, 0.5)]
