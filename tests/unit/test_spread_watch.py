"""The spread-reversion strategy: what it rests on, when it says yes, and when it lets go."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.market.rolling_statistics import RollingStatistics
from bot.ports import Holding, NoTerms
from strategies.spread_reversion.settings import SpreadReversionSettings
from strategies.spread_reversion.strategy import SpreadReversionStrategy
from strategies.spread_reversion.watch import SpreadWatch

D = Decimal
S = 1_000_000_000
PERP = Instrument(
    venue="binance", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.001"),
)  # fmt: skip
SPOT = PERP.model_copy(update={"symbol": "ETH/USDT", "segment": Segment.SPOT, "settle": None})
INVERSE = PERP.model_copy(update={"symbol": "ETH/USD:ETH", "segment": Segment.INVERSE, "quote": "USD", "settle": "ETH"})


class View:
    """What a strategy sees of an instrument."""

    funding_bps_per_h: float | None = 0.0
    funding_assumed = False
    funding_terms = None
    latency_s = 0.01
    margin_ratio = 0.2
    takes_orders = True

    def __init__(self, instrument: Instrument = PERP, maker_bps: str = "2") -> None:
        self.instrument = instrument
        self.quote: TopOfBook | None = None
        self.statistics = RollingStatistics()
        self.fees: FeeSchedule | None = FeeSchedule(
            feed=instrument.feed, maker_bps=D(maker_bps), taker_bps=D(5), source="setting"
        )
        self.spans: dict[float, RollingStatistics] = {}

    def statistics_over(self, span_s: float) -> RollingStatistics:
        return self.spans.setdefault(span_s, RollingStatistics(span_s=span_s))

    def show(self, at_s: float, bid: float, ask: float) -> None:
        self.quote = TopOfBook(bid_price=bid, bid_qty=1.0, ask_price=ask, ask_qty=1.0, sequence=1)
        for statistics in (self.statistics, *self.spans.values()):
            statistics.update(round(at_s * S), bid, ask)
            statistics.roll(round(at_s * S))


class Bench:
    def __init__(self, side: Side = Side.BUY, view: View | None = None, **settings: Any) -> None:
        self.view = view or View()
        self.strategy = SpreadReversionStrategy(SpreadReversionSettings(**settings))
        (route,) = [one for one in self.strategy.routes([self.view.instrument]) if one.opening[0].side is side]
        self.watch: SpreadWatch = self.strategy.watch(route, {self.view.instrument.id: self.view}, NoTerms())

    def stand(self, seconds: int, bid: float = 999.5, ask: float = 1000.5) -> "Bench":
        """10 bps wide for so long."""
        for at_s in range(seconds + 1):
            self.view.show(at_s, bid, ask)
        self.watch.refresh(seconds * S)
        return self


def test_a_round_trip_for_each_side_of_each_instrument_that_is_wanted() -> None:
    strategy = SpreadReversionStrategy(SpreadReversionSettings())
    assert [route.id for route in strategy.routes([SPOT, INVERSE])] == [
        "spread_reversion:binance:ETH/USDT:buy", "spread_reversion:binance:ETH/USDT:sell",
    ]  # fmt: skip
    only = SpreadReversionStrategy(SpreadReversionSettings(instruments=[PERP.id]))
    assert {route.buy.id for route in only.routes([SPOT, PERP])} == {PERP.id}


def test_it_rests_on_fifteen_seconds_and_not_on_six_minutes() -> None:
    bench = Bench()
    assert list(bench.view.spans) == [15.0]
    assert bench.stand(12).watch.assess() == "warm_up"
    assert bench.stand(16).watch.assess() == "spread"
    for at_s in range(17, 40):
        bench.view.show(at_s, 999.9, 1000.1)
    bench.watch.refresh(40 * S)
    assert bench.watch.gross_bps is not None
    bench.watch.assess()
    assert bench.watch.gross_bps == pytest.approx(2.0, abs=0.01)
    assert bench.watch.assess() == "net_edge"
    net, allowed, unit = bench.watch.figures("net_edge")
    assert (net, allowed, unit) == (pytest.approx(-2.0, abs=0.01), 0.5, "bps")


def test_a_wide_spread_is_taken_on_the_side_that_went_away() -> None:
    buy, sell = Bench(Side.BUY).stand(16), Bench(Side.SELL).stand(16)
    for bench in (buy, sell):
        bench.view.show(16.1, 997.5, 1000.5)  # the bid fell
    assert buy.watch.assess() is None
    assert sell.watch.assess() == "side"
    for bench in (buy, sell):
        bench.view.show(16.2, 999.5, 1002.5)  # the ask rose
    assert buy.watch.assess() == "side"
    assert sell.watch.assess() is None
    observed, allowed, _ = buy.watch.figures("side")
    assert observed > allowed == 0.0


def test_the_limits_stand_where_the_mean_spread_has_its_sides() -> None:
    bench = Bench().stand(16)
    bench.view.show(16.0, 997.5, 1000.5)
    buy, sell = bench.watch.limits()
    assert (buy, sell) == (pytest.approx(998.5, abs=0.02), pytest.approx(999.5, abs=0.02))
    opportunity = bench.watch.opportunity(16 * S, D("0.5"))
    assert (opportunity.buy_price, opportunity.sell_price) == (buy, sell)
    assert {cost.name for cost in opportunity.costs} >= {"fee open buy binance.linear", "fee close sell binance.linear"}
    assert opportunity.net_edge_bps == pytest.approx(opportunity.gross_edge_bps - 4.0, abs=0.01)


def test_what_is_not_known_refuses() -> None:
    unpriced = View()
    unpriced.fees = None
    assert Bench(view=unpriced).stand(16).watch.assess() == "fee_schedule"
    unpriced = View()
    unpriced.funding_bps_per_h = None
    assert Bench(view=unpriced).stand(16).watch.assess() == "funding_rate"
    silent = View(maker_bps="0")
    silent.takes_orders = False
    bench = Bench(view=silent).stand(16)
    bench.view.show(16.1, 997.5, 1000.5)
    assert bench.watch.assess() == "execution"
    bench.view.quote = None
    assert (bench.watch.assess(), bench.watch.gross_bps) == ("no_quote", None)


def test_a_rebate_makes_a_narrow_spread_worth_it() -> None:
    bench = Bench(view=View(maker_bps="-1")).stand(16, 999.99, 1000.01)
    assert bench.watch.needed_bps == pytest.approx(-2.0, abs=0.001)
    assert bench.watch.assess() == "spread"


@pytest.mark.parametrize(("side", "bid", "ask", "why"), [
    (Side.BUY, 997.0, 1000.0, None), (Side.BUY, 998.3, 998.5, "loss_stop"),
    (Side.SELL, 1000.0, 1003.0, None), (Side.SELL, 1001.5, 1001.8, "loss_stop"),
])  # fmt: skip
def test_it_lets_go_after_a_loss_with_the_fees_in_it(side: Side, bid: float, ask: float, why: str | None) -> None:
    bench = Bench(side, loss_stop_bps=20.0).stand(16)
    bench.view.show(16.1, bid, ask)
    assert bench.watch.close_reason(Holding(0, 0.0, 4.0, 1000.0), 17 * S) == why


def test_it_lets_go_after_a_time() -> None:
    bench = Bench(max_holding_s=60.0).stand(16)
    assert bench.watch.close_reason(Holding(0, 0.0, 4.0, 1000.0), 60 * S - 1) is None
    assert bench.watch.close_reason(Holding(0, 0.0, 4.0, 1000.0), 60 * S) == "max_holding"
    bench.view.quote = None
    assert bench.watch.close_reason(Holding(0, 0.0, 4.0, 1000.0), 60 * S) == "max_holding"


@given(spread=st.floats(0.5, 40.0), ratio=st.floats(1.05, 8.0), drop=st.floats(-30.0, 30.0), side=st.sampled_from(Side))
def test_whatever_the_market_an_entry_never_crosses_and_its_sides_never_meet(
    spread: float, ratio: float, drop: float, side: Side
) -> None:
    bench = Bench(side, view=View(maker_bps="-3"), entry_ratio=ratio).stand(16, 1000 - spread / 2, 1000 + spread / 2)
    bench.view.show(16.1, 1000 - spread / 2 + min(drop, 0.0), 1000 + spread / 2 + max(drop, 0.0))
    if bench.watch.assess() is None:
        buy, sell = bench.watch.limits()
        assert bench.view.quote is not None
        assert bench.view.quote.bid_price < buy < sell < bench.view.quote.ask_price
