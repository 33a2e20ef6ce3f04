"""What the limits rest on: margins by hand, counts, results, edges, prices of other markets, and the portfolio."""

import os
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.engine.feed_health import FeedHealth
from bot.ports import FeedState
from bot.risk.edge_history import EdgeHistory
from bot.risk.limits import Proposal
from bot.risk.margin import MarginAfter, MarginPosition, margin_figures
from bot.risk.recent import Recent
from bot.risk.results import Drift, Results
from tests.unit.test_engine_decisions import EVEN, LINEAR, MS, SPOT, START_MS, Bench, in_position

D = Decimal
S = 1_000_000_000
HOUR = 3_600 * S
DAY = 24 * HOUR


def flat(ratio: float) -> Callable[[str, float], float]:
    return lambda _, notional: ratio * abs(notional)


def long(notional: float, name: str = "a", base: str = "BTC", profit: float = 0.0) -> MarginPosition:
    return MarginPosition(name, base, notional, profit)


@pytest.mark.parametrize(
    ("cash", "positions", "ratio", "distance_bps"),
    [
        # 1000 of cash, short 5000 at 1 %: M = 50, ratio 5 %, x = 950 / 5050.
        (1000.0, [long(-5000.0)], 0.05, 950 / 5050 * 1e4),
        # The same after losing 400: E = 600, x = 550 / 5050.
        (1000.0, [long(-5000.0, profit=-400.0)], 50 / 600, 550 / 5050 * 1e4),
        # Hedged in one wallet: both need margin, and nothing moves against it but the margin itself.
        (1000.0, [long(-5000.0), long(5000.0, "b")], 0.1, 900 / 100 * 1e4),
        # What a proposal takes away needs nothing.
        (1000.0, [long(5000.0), long(-5000.0)], 0.0, inf),
        # Two assets against it at once: M = 60, x = 940 / 6060.
        (1000.0, [long(-5000.0), long(1000.0, "c", "ETH")], 0.06, 940 / 6060 * 1e4),
        (1000.0, [], 0.0, inf),
        (-1.0, [long(5000.0)], inf, 0.0),
        (40.0, [long(5000.0)], 1.25, 0.0),  # below maintenance already
        # Inverse, in coins: E = 2, N = 5, M = 0.05, x = 1.95 / 7.
        (2.0, [MarginPosition("i", "BTC", 5.0, 0.0, is_inverse=True)], 0.025, 1.95 / 7 * 1e4),
    ],
)
def test_margin_by_hand(cash: float, positions: list[MarginPosition], ratio: float, distance_bps: float) -> None:
    assert margin_figures(cash, positions, flat(0.01)) == pytest.approx((ratio, distance_bps), rel=1e-12)


@given(
    cash=st.floats(100, 1e6),
    notionals=st.lists(st.floats(-1e6, -1.0), min_size=1, max_size=4),
    share=st.floats(0.001, 0.1),
)
def test_at_the_distance_a_short_wallet_is_liquidated(cash: float, notionals: list[float], share: float) -> None:
    positions = [long(notional, str(n), str(n)) for n, notional in enumerate(notionals)]
    ratio, distance_bps = margin_figures(cash, positions, flat(share))
    x = distance_bps / 1e4
    if ratio < 1:
        moved = [long(p.notional * (1 + x), p.instrument, p.base, p.notional * x) for p in positions]
        assert margin_figures(cash, moved, flat(share))[0] == pytest.approx(1.0, rel=1e-6)


@given(
    cash=st.floats(1, 1e6),
    more=st.floats(0, 1e6),
    short=st.floats(-1e6, -1.0),
    added=st.floats(-1e6, 0.0),
)
def test_more_cash_is_safer_and_more_of_a_position_is_not(cash: float, more: float, short: float, added: float) -> None:
    ratio, distance = margin_figures(cash, [long(short)], flat(0.01))
    richer, further = margin_figures(cash + more, [long(short)], flat(0.01))
    fuller, nearer = margin_figures(cash, [long(short), long(added)], flat(0.01))
    assert richer <= ratio <= fuller + 1e-12
    assert further >= distance >= nearer - 1e-6


@pytest.mark.parametrize("broken", [nan, inf, -inf])
def test_margin_of_broken_figures_is_no_number(broken: float) -> None:
    for figures in (margin_figures(broken, [long(nan)], flat(0.01)), margin_figures(nan, [long(5000.0)], flat(0.01))):
        assert all(isnan(figure) for figure in figures)


def test_margin_lasts_as_long_as_one_path_in_twenty_takes() -> None:
    assert MarginAfter("w", "v", 0.1, 196.0, 1.0).lasts_s() == pytest.approx(10_000)
    assert MarginAfter("w", "v", 0.1, 196.0, 0.0).lasts_s() == inf
    assert MarginAfter("w", "v", 0.1, 0.0, 0.0).lasts_s() == 0.0
    assert MarginAfter("w", "v", 0.1, 196.0, None).lasts_s() is None


def test_counts_are_of_the_last_minute_and_second() -> None:
    sent = Recent()
    for at_s in (0, 30, 59, 59.5):
        sent.add(round(at_s * S))
    assert (sent.last_minute(60 * S - 1), sent.last_second(60 * S - 1)) == (4, 2)
    assert (sent.last_minute(60 * S), sent.last_second(60 * S)) == (3, 1)
    assert (sent.last_minute(200 * S), sent.last_second(200 * S)) == (0, 0)


def test_fault_22_a_clock_that_is_set_back_over_midnight_forgets_no_loss() -> None:
    results = Results()
    midnight = 20_000 * DAY
    results.add(D(-50), midnight + 1)
    results.add(D(-60), midnight - HOUR)  # set back
    assert results.today(midnight + HOUR) == -110
    assert results.total == -110


@pytest.mark.parametrize("ahead", [HOUR, DAY, 5_000 * DAY])
def test_fault_22_a_clock_that_is_set_ahead_over_midnight_and_back_forgets_no_loss(ahead: int) -> None:
    results = Results()
    late = 20_000 * DAY - HOUR // 2
    results.add(D(-50), late)
    assert results.today(late + ahead) == 0  # nobody can know better, but that is soon over
    results.add(D(-20), late + ahead)
    assert results.today(late) == -70
    results.add(D(-5), late)
    assert results.today(late) == -75
    assert results.total == -75


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_fault_23_a_day_of_results_ends_at_midnight_utc_also_when_the_clocks_change() -> None:
    results = Results()
    change_ns = 1_774_746_000 * S  # 2026-03-29 01:00 UTC: summer time begins in Berlin
    midnight_ns = change_ns - HOUR
    results.add(D(-7), midnight_ns - 1)
    assert results.today(midnight_ns - 1) == -7
    results.add(D(-1), midnight_ns)
    assert results.today(change_ns + 1) == -1
    assert results.today(midnight_ns + DAY - 1) == -1
    assert results.today(midnight_ns + DAY) == 0


def test_drift_is_of_the_newest_pairs_of_the_last_hour() -> None:
    drift = Drift(pairs=2)
    assert drift.mean(0) == (0.0, 0)
    for expected, realised in ((5.0, -95.0), (5.0, 1.0), (5.0, -1.0)):
        drift.add(expected, realised, S)
    assert drift.mean(S) == (5.0, 2)
    assert drift.mean(HOUR + S) == (0.0, 0)
    drift.add(5.0, inf, HOUR)
    drift.add(5.0, -inf, HOUR)
    assert isnan(drift.mean(HOUR)[0])


def test_an_edge_stands_until_it_is_seen_below() -> None:
    edges = EdgeHistory(100.0)
    edges.observe("r", 100.0, 0)
    assert edges.stood_s("r", 100.1, 5 * S) == 0.0
    edges.observe("r", None, 6 * S)  # no quote: nothing is known
    assert edges.stood_s("r", 150.0, 9 * S) == 4.0
    assert edges.stood_s("other", 150.0, 9 * S) == 0.0
    assert edges.stood_s("r", 100.0, 10 * S) == 0.0
    assert edges.stood_s("r", nan, 10 * S) is None


def test_a_feeds_troubles_are_forgotten_after_a_minute() -> None:
    feed = FeedHealth(LINEAR.feed)
    feed.enter(FeedState.RECONNECTING, "")
    feed.malformed += 3
    assert (feed.recent_reconnects, feed.recent_malformed) == (1, 3)
    for at_s in range(1, 61):
        feed.tick(at_s * S, 0)
    assert (feed.recent_reconnects, feed.recent_malformed) == (1, 3)
    feed.malformed += 1
    for at_s in range(61, 64):
        feed.tick(at_s * S, 0)
    assert (feed.recent_reconnects, feed.recent_malformed) == (0, 1)


# The engine's portfolio


def asked(bench: Bench, quantity: float = 5.0) -> Proposal:
    state = bench.engine.routes[0]
    return Proposal(state.route, bench.clock.now_ns(), quantity, 1000.0, 1000.0, 0.0)


def test_margin_after_a_proposal_counts_what_is_held_at_the_prices_now() -> None:
    bench = in_position()
    held = bench.paper.positions()[0]
    bench.linear(2_100, "1010.40", "1010.60")
    bench.clock.advance_to((START_MS + 3_100) * MS)
    (after,) = bench.engine.desk.portfolio.margin_after(asked(bench)) or ()
    assert after.wallet == "binance.linear USDT"
    (cash,) = [float(b.total) for b in bench.paper.balances() if b.wallet == "binance.linear"]
    quantity, entry = float(held.quantity), float(held.average_price)
    equity = cash + quantity * (1010.50 - entry)
    notional = abs(quantity) * 1010.50 + 5.0 * 1000.0
    assert after.ratio == pytest.approx(notional * 0.01 / equity)
    assert after.distance_bps == pytest.approx((equity - notional * 0.01) / (notional * 1.01) * 1e4)


def test_margin_is_taken_anew_after_fills_and_ticks_only() -> None:
    bench = Bench()
    bench.warm()
    portfolio = bench.engine.desk.portfolio
    (before,) = portfolio.margin_after(asked(bench)) or ()
    bench.paper.accounts._totals["binance.linear", "USDT"] = D(1)
    (same,) = portfolio.margin_after(asked(bench)) or ()
    assert same.ratio == before.ratio
    bench.clock.advance_to((START_MS + 3_100) * MS)
    (after,) = portfolio.margin_after(asked(bench)) or ()
    assert after.ratio > 1


def test_margin_of_a_wallet_that_nobody_tells_is_not_known() -> None:
    bench = Bench(paper={"balances": {"binance.spot": {"USDT": 1000, "ETH": 1}}})
    bench.warm()
    assert bench.engine.desk.portfolio.margin_after(asked(bench)) is None


def test_exposure_counts_a_whole_leg_of_pairs_that_are_on_their_way() -> None:
    bench = Bench()
    bench.warm()
    portfolio = bench.engine.desk.portfolio
    bench.linear(2_001, "1010.00", "1010.20")  # sent, not answered yet
    assert bench.engine.desk.executor.pairs
    assert 900 < portfolio.net_exposure_notional("ETH") < 1001
    assert portfolio.net_exposure_notional("BTC") == 0
    bench.linear(2_050, "1010.00", "1010.20")  # open: what the spot fee took is uneven
    assert portfolio.net_exposure_notional("ETH") == pytest.approx(0.99, abs=0.02)
    assert 1_980 < portfolio.venue_notional("binance") < 2_001
    assert portfolio.venue_notional("bybit") == 0
    assert portfolio.asset_notional("ETH") == portfolio.venue_notional("binance")


def test_orders_that_are_written_down_are_reserved_before_they_are_sent() -> None:
    bench = Bench()
    bench.warm()
    waiting: list[object] = []
    bench.journal.when_durable = waiting.append  # type: ignore[method-assign, assignment]
    portfolio = bench.engine.desk.portfolio
    before = {i: portfolio.affordable_notional(i, Side.BUY, 1000.0) for i in (SPOT, LINEAR)}
    spot_sold = portfolio.affordable_notional(SPOT, Side.SELL, 1000.0)
    bench.linear(2_001, "1010.00", "1010.20")
    assert waiting
    quantity = float(next(iter(bench.engine.desk.executor.pairs.values())).opportunity.quantity)
    for instrument in (SPOT, LINEAR):  # two wallets of one venue count as one meanwhile
        reserved = before[instrument] - portfolio.affordable_notional(instrument, Side.BUY, 1000.0)
        assert reserved >= 2 * quantity * 1000.0
    # Nothing was paid in ether; what the pair will sell to close is spoken for.
    assert spot_sold - portfolio.affordable_notional(SPOT, Side.SELL, 1000.0) == pytest.approx(quantity * 1000.0)


def test_rates_between_currencies_come_from_the_spot_markets_that_are_watched() -> None:
    def market(base: str, quote: str) -> Instrument:
        return SPOT.model_copy(update={"symbol": f"{base}/{quote}", "base": base, "quote": quote})

    bench = Bench(instruments=(market("USDC", "USDT"), market("USDT", "USD"), LINEAR.model_copy(update={"base": "X"})))
    portfolio = bench.engine.desk.portfolio
    assert portfolio.currency_rate("USDC", "USDT") is None
    for slot, mid in ((0, 0.98), (1, 1.01)):
        quote = {"bid_price": mid - 0.001, "ask_price": mid + 0.001, "bid_qty": 1.0, "ask_qty": 1.0, "sequence": 200}
        bench.engine.on_quote(slot, TopOfBook(**quote), bench.clock.now_ns(), b"")  # type: ignore[arg-type]
    assert portfolio.currency_rate("USDC", "USDT") == pytest.approx(0.98)
    assert portfolio.currency_rate("USDT", "USDC") == pytest.approx(1 / 0.98)
    assert portfolio.currency_rate("USDC", "USD") == pytest.approx(0.98 * 1.01)
    assert portfolio.currency_rate("USD", "USDC") == pytest.approx(1 / 0.98 / 1.01)
    assert portfolio.currency_rate("USD", "EUR") is None
    assert portfolio.currency_rate("EUR", "EUR") == 1.0


def test_other_markets_are_those_of_the_same_asset_and_currency() -> None:
    bench = Bench()
    bench.spot(0, *EVEN)
    portfolio = bench.engine.desk.portfolio
    assert portfolio.other_mids(LINEAR) == [1000.0]
    assert portfolio.other_mids(SPOT) == []
    assert LINEAR.segment is Segment.LINEAR


class SteppedClock:
    """A wall clock that can be set, beside one that cannot."""

    def __init__(self, bench: Bench) -> None:
        self._clock = bench.clock
        self.step_ns = 0

    def now_ns(self) -> int:
        return self._clock.now_ns() + self.step_ns

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()


@pytest.mark.parametrize("step_h", [-1, 1])
def test_fault_22_a_clock_that_is_set_changes_no_order_rate(step_h: int) -> None:
    bench = Bench()
    portfolio = bench.engine.desk.portfolio
    clock = portfolio._clock = SteppedClock(bench)  # type: ignore[assignment]
    for _ in range(3):
        portfolio.on_order_sent()
    clock.step_ns = step_h * HOUR
    assert portfolio.orders_last_minute(clock.now_ns()) == 3
    bench.clock.advance_to(bench.clock.now_ns() + 61 * S)
    assert portfolio.orders_last_minute(clock.now_ns()) == 0


def test_what_a_pair_earned_is_held_against_what_was_expected_of_it() -> None:
    bench = in_position()
    (pair,) = bench.engine.desk.executor.pairs.values()
    expected = pair.opportunity.net_edge_bps
    bench.linear(2_100, "1009.80", "1010.00")
    bench.linear(2_200, "999.80", "1000.00")
    for at_ms in range(2_250, 2_600, 50):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "999.80", "1000.00")
    assert not bench.engine.desk.executor.pairs
    mean_bps, pairs = bench.engine.desk.portfolio.drift()
    assert pairs == 1
    notional = float(pair.buy.opened_notional)
    realised = bench.engine.desk.portfolio.realised_total() / notional * 1e4
    assert mean_bps == pytest.approx(expected - realised)
