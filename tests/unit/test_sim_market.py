"""What the simulated market promises its users: scenarios, funding, halts, own orders, the same day again."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.errors import SettingsError
from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import (
    BookChanged,
    FundingDue,
    Listing,
    MarketEvent,
    MarkPriced,
    RestingFilled,
    StatusChanged,
    TradePrinted,
    TradingStatus,
)
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.fair import STEP_NS, AssetPrice, FairPrice
from exchanges.simulator.market.fidelity import simulated_quotes
from exchanges.simulator.market.listings import VENUES, default_listings, habits_of
from exchanges.simulator.market.market import SimulatedMarket
from exchanges.simulator.market.scenarios import SCENARIOS, Scenario, Stall
from exchanges.simulator.market.statistics import Quotes

START_NS = 1_767_571_200_000_000_000
SECOND_NS = 1_000_000_000
LISTINGS = [listing for venue in VENUES for listing in default_listings(venue)]
LINEAR = [listing for listing in LISTINGS if listing.instrument.is_perpetual and listing.instrument.base == "BTC"]
PAIR = [listing.instrument.id for listing in LINEAR]
STILL = Scenario("still", "Nothing moves.", yearly_volatility=0.0, jumps_an_hour=0.0)


def market_of(listings: Sequence[Listing], scenario: Scenario | str = "lively", **more: float) -> SimulatedMarket:
    return SimulatedMarket(listings, seed=1, start_ns=START_NS, scenario=scenario, **more)  # type: ignore[arg-type]


def of_kind(events: Sequence[MarketEvent], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_it_is_what_the_exchanges_expect() -> None:
    market: Market = market_of(LISTINGS)
    assert [listing.instrument.venue for listing in market.listings] == ["binance"] * 4 + ["bybit"] * 4


def test_an_unknown_scenario_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"'stormy'.*calm, lively, crash, chaos"):
        market_of(LINEAR, "stormy")


def test_no_event_is_earlier_or_later_than_asked() -> None:
    market = market_of(LISTINGS)
    first_ns = market.next_event_ns()
    assert START_NS < first_ns <= START_NS + STEP_NS
    assert market.advance_to(first_ns - 1) == []
    events = market.advance_to(START_NS + 2 * SECOND_NS)
    times = [event.ts_ns for event in events]
    assert times == sorted(times)
    assert times[-1] <= START_NS + 2 * SECOND_NS < market.next_event_ns()


@pytest.mark.parametrize("rate", [0.25, 4.0])
def test_a_rate_multiplies_the_updates(rate: float) -> None:
    counts = [len(of_kind(market_of(LINEAR, "calm", rate=one).advance_to(START_NS + 20 * SECOND_NS), BookChanged))
              for one in (1.0, rate)]  # fmt: skip
    assert counts[1] / counts[0] == pytest.approx(rate, rel=0.4)


DIGEST = """
import hashlib, sys
from exchanges.simulator.market.listings import VENUES, default_listings
from exchanges.simulator.market.market import SimulatedMarket
listings = [listing for venue in VENUES for listing in default_listings(venue)]
market = SimulatedMarket(listings, seed=3, start_ns=1767571200000000000, scenario="chaos")
print(hashlib.sha256(repr(market.advance_to(1767571205000000000)).encode()).hexdigest())
"""


def test_another_process_with_another_hash_seed_sees_the_same_events() -> None:
    market = SimulatedMarket(LISTINGS, seed=3, start_ns=START_NS, scenario="chaos")
    here = hashlib.sha256(repr(market.advance_to(START_NS + 5 * SECOND_NS)).encode()).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.getcwd()}
    there = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_another_seed_is_another_day() -> None:
    one, two = (SimulatedMarket(LINEAR, seed=seed, start_ns=START_NS) for seed in (1, 2))
    assert one.advance_to(START_NS + SECOND_NS) != two.advance_to(START_NS + SECOND_NS)


# Scenarios


def best_edges_bps(pair: list[Quotes]) -> list[float]:
    """At each change of the first book: what buying the one and selling the other gains at once."""
    one, other = pair
    at = [max(0, int(place)) for place in other.ts_ns.searchsorted(one.ts_ns, side="right") - 1]
    sell_one = (one.bid / other.ask[at] - 1) * 1e4
    sell_other = (other.bid[at] / one.ask - 1) * 1e4
    return [max(two) for two in zip(sell_one, sell_other, strict=True)]


def test_calm_hardly_ever_pays() -> None:
    edges = best_edges_bps(simulated_quotes(PAIR, minutes=5, seed=4, scenario="calm", rate=0.3))
    assert max(edges) < 21


@pytest.mark.parametrize("seed", [1, 2])
def test_lively_pays_in_every_span_and_offers_what_must_not_be_taken(seed: int) -> None:
    quotes = simulated_quotes(PAIR, minutes=5, seed=seed, scenario="lively", rate=0.3)
    edges = best_edges_bps(quotes)
    times = quotes[0].ts_ns
    for half in (0, 1):
        inside = [
            edge for edge, ts_ns in zip(edges, times, strict=True) if (ts_ns - times[0]) // (150 * SECOND_NS) == half
        ]
        assert max(inside) > 21 + 4
    paying_s = sum(step for edge, step in zip(edges[1:], (times[1:] - times[:-1]) / 1e9, strict=True) if edge > 21)
    assert 2 < paying_s < 80, "they last long enough to be taken, and end"
    assert sum(5 < edge < 15 for edge in edges) > 100


def test_a_venue_falls_behind_and_catches_up() -> None:
    asset = AssetPrice(Draws(1, "ramp"), STILL, 100_000.0)
    habits = replace(habits_of(LINEAR[1].instrument), level_bps=0.0)
    fair = FairPrice(Draws(1, "basis"), asset, habits, Stall("bybit", every_s=20, lasts_s=10, most_s=4))
    behind = []
    for _ in range(1_500):
        asset.history.append(asset.history[-1] + 10.0)
        fair.step()
        behind.append((asset.history[-1] - fair.price) / 10.0 * STEP_NS / SECOND_NS)
    assert max(behind[:500]) < 1.5, "a basis of a few bps looks like a short lag here"
    assert behind[990] == pytest.approx(4, abs=1)
    assert behind[1_100] < 1.5


def test_crash_is_thin_and_wide() -> None:
    calm, crash = (market_of(LINEAR, scenario) for scenario in ("calm", "crash"))
    for market in (calm, crash):
        market.advance_to(START_NS + 10 * SECOND_NS)
    shown = [sum(lots for _, lots in market.levels(0, 20)[0]) for market in (calm, crash)]
    assert shown[1] < shown[0] / 2
    spreads = [market.levels(0, 1)[1][0][0] - market.levels(0, 1)[0][0][0] for market in (calm, crash)]
    assert spreads[1] > spreads[0]


def test_halts_come_and_go_and_nothing_trades_meanwhile() -> None:
    scenario = replace(SCENARIOS["chaos"], halts_an_hour=900.0, halt_s=2.0)
    market = market_of(LINEAR, scenario)
    halted: set[int] = set()
    seen = set()
    for event in market.advance_to(START_NS + 30 * SECOND_NS):
        if isinstance(event, StatusChanged):
            (halted.add if event.status is TradingStatus.HALTED else halted.discard)(event.listing)
            seen.add(event.status)
        elif isinstance(event, BookChanged | TradePrinted):
            assert event.listing not in halted
    assert seen == {TradingStatus.HALTED, TradingStatus.TRADING}


def test_a_listing_can_be_halted_by_hand() -> None:
    market = market_of(LINEAR)
    (changed,) = market.set_status(0, TradingStatus.HALTED, START_NS + 5)
    assert changed == StatusChanged(0, START_NS + 5, TradingStatus.HALTED)
    assert market.set_status(0, TradingStatus.HALTED, START_NS + 6) == ()
    assert market.take(0, buys=True, lots=1, limit_ticks=None, ts_ns=START_NS + 7) == ((), ())
    assert {event.listing for event in of_kind(market.advance_to(START_NS + SECOND_NS), BookChanged)} == {1}


# Funding


def test_funding_settles_on_the_hour_at_the_rate_that_was_shown() -> None:
    due_ns = START_NS + 8 * 3_600 * SECOND_NS
    market = SimulatedMarket(LINEAR, seed=1, start_ns=due_ns - 3 * SECOND_NS, rate=0.1)
    events = market.advance_to(due_ns + SECOND_NS)
    settled = of_kind(events, FundingDue)
    assert [(event.listing, event.ts_ns) for event in settled] == [(0, due_ns), (1, due_ns)]
    marks = [event for event in of_kind(events, MarkPriced) if event.listing == 0]
    assert [event.next_funding_ns for event in marks][:2] == [due_ns, due_ns]
    assert marks[-1].next_funding_ns == due_ns + marks[-1].interval_h * 3_600 * SECOND_NS
    shown = next(event.rate for event in reversed(marks) if event.ts_ns < due_ns)
    assert abs(settled[0].rate - shown) < Decimal("0.00002")
    assert market.mark(0) == marks[-1].mark


def test_the_mark_stays_at_the_book() -> None:
    market = market_of(LINEAR, "calm")
    for mark in of_kind(market.advance_to(START_NS + 20 * SECOND_NS), MarkPriced):
        assert abs(mark.mark / mark.index - 1) < Decimal("0.001")
        assert mark.rate == Decimal("0.0001").quantize(mark.rate) or abs(mark.rate) < Decimal("0.0005")


# Own orders


def test_a_limit_is_kept_and_the_book_comes_back() -> None:
    market = market_of(LINEAR, STILL)
    market.advance_to(START_NS + SECOND_NS)
    now_ns = START_NS + SECOND_NS
    asks = market.levels(0, 3)[1]
    wanted = sum(lots for _, lots in asks[:2]) + 1
    fills, events = market.take(0, buys=True, lots=wanted, limit_ticks=asks[1][0], ts_ns=now_ns)
    assert fills == asks[:2]
    assert isinstance(events[-1], BookChanged)
    assert events[-1].top_changed
    assert market.levels(0, 1)[1][0] == asks[2]
    market.advance_to(now_ns + SECOND_NS)
    assert market.levels(0, 1)[1][0][0] <= asks[1][0]


def test_taking_pushes_the_price_for_a_while() -> None:
    market = market_of(LINEAR, STILL)
    before = market.levels(0, 1)[1][0][0]
    everything = sum(lots for _, lots in market.levels(0, 60)[1])
    market.take(0, buys=True, lots=everything, limit_ticks=None, ts_ns=START_NS)
    market.advance_to(START_NS + SECOND_NS)
    pushed = market.levels(0, 1)[1][0][0]
    assert pushed > before
    market.advance_to(START_NS + 120 * SECOND_NS)
    assert market.levels(0, 1)[1][0][0] < pushed


def test_a_resting_order_is_reached_and_printed() -> None:
    market = market_of(LINEAR, "crash")
    bid = market.levels(0, 1)[0][0][0]
    market.rest(0, 7, buys=True, ticks=bid, lots=3, ts_ns=START_NS)
    events: list[MarketEvent] = []
    now_ns = START_NS
    while not of_kind(events, RestingFilled):
        now_ns += SECOND_NS
        assert now_ns < START_NS + 120 * SECOND_NS
        events += market.advance_to(now_ns)
    filled = of_kind(events, RestingFilled)[0]
    printed = next(
        event for event in of_kind(events, TradePrinted) if event.trade_id == filled.trade_id and event.listing == 0
    )
    assert (filled.order_number, filled.ticks) == (7, bid)
    assert (printed.ticks, printed.lots, printed.buyer_is_maker) == (bid, filled.lots, True)


def test_quotes_that_cross_an_order_fill_all_of_it() -> None:
    market = market_of(LINEAR, STILL)
    ask = market.levels(0, 1)[1][0][0] + 200
    market.rest(0, 7, buys=False, ticks=ask, lots=1_000_000, ts_ns=START_NS)
    # Buying all before it pushes the fair price beyond it.
    market.take(0, buys=True, lots=10**9, limit_ticks=ask - 1, ts_ns=START_NS)
    filled = of_kind(market.advance_to(START_NS + SECOND_NS), RestingFilled)
    assert sum(event.lots for event in filled) == 1_000_000
    assert market.levels(0, 1)[0][0][0] > ask
    assert market.withdraw(0, 7, START_NS + SECOND_NS)[0] == 0


def test_a_book_taken_empty_fills_again() -> None:
    market = market_of(LINEAR, STILL)
    offered = market.levels(0, 10_000)[1]
    fills, _ = market.take(0, buys=True, lots=10**12, limit_ticks=None, ts_ns=START_NS)
    assert fills == offered
    bids, asks = market.levels(0, 10_000)
    assert min(len(bids), len(asks)) >= 200
    assert asks[0][0] > bids[0][0]


def test_an_order_that_would_trade_cannot_rest() -> None:
    market = market_of(LINEAR)
    ask = market.levels(0, 1)[1][0][0]
    with pytest.raises(ValueError, match="cannot rest"):
        market.rest(0, 1, buys=True, ticks=ask, lots=1, ts_ns=START_NS)


def test_own_trades_do_not_change_the_day() -> None:
    watched, traded = market_of(LINEAR, "calm"), market_of(LINEAR, "calm")
    traded.take(0, buys=True, lots=5_000, limit_ticks=None, ts_ns=START_NS)
    end_ns = START_NS + 10 * SECOND_NS
    index = [[event.index for event in of_kind(one.advance_to(end_ns), MarkPriced)] for one in (watched, traded)]
    assert index[0] == index[1]


def test_nothing_is_dated_before_a_trade_that_came_early() -> None:
    market = market_of(LINEAR)
    early_ns = START_NS + SECOND_NS
    market.take(0, buys=True, lots=1, limit_ticks=None, ts_ns=early_ns)
    assert min(event.ts_ns for event in market.advance_to(early_ns + SECOND_NS)) >= early_ns
