"""What a route costs, by hand-worked figures."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import HoldLeg, Route, TradeLeg
from bot.pricing.inputs import FundingInput, InstrumentInput, PricingInputs, PricingRules
from bot.pricing.ladder import Ladder
from bot.pricing.pricing import cost_sheet, gross_edge_bps, opportunity
from bot.pricing.sheet import CostSheet, Unpriced
from bot.pricing.sizing import Cap, SizeGrid, Terms, best_size, size_grid

D = Decimal


def instrument(venue: str, segment: Segment, **grid: str) -> Instrument:
    settle = None if segment is Segment.SPOT else "USDT"
    steps = {"tick_size": "0.01", "lot_size": "0.001"} | grid
    return Instrument(
        venue=venue,
        symbol="ETH/USDT" if settle is None else "ETH/USDT:USDT",
        segment=segment,
        base="ETH",
        quote="USDT",
        settle=settle,
        **steps,  # type: ignore[arg-type]
    )


SPOT = instrument("binance", Segment.SPOT)
PERP = instrument("bybit", Segment.LINEAR)


def side(
    of: Instrument,
    mean_mid: float | None,
    spread_bps: float | None,
    taker: str | None,
    funding_bps_per_h: float | None = None,
    assumed: bool = False,
    covered_s: float = 100.0,
) -> InstrumentInput:
    told = funding_bps_per_h is not None
    return InstrumentInput(
        instrument=of,
        fees=None if taker is None else fees(of, taker),
        mean_mid=mean_mid,
        mean_spread_bps=spread_bps,
        covered_s=covered_s,
        funding=FundingInput(funding_bps_per_h, 3600.0, assumed=assumed) if told else None,  # type: ignore[arg-type]
    )


def fees(of: Instrument, taker: str) -> FeeSchedule:
    return FeeSchedule(feed=of.feed, maker_bps=D(0), taker_bps=D(taker), source="settings")


def carry(buy: Instrument, sell: Instrument, hold_s: float = 28_800.0) -> Route:
    return Route(
        kind="carry",
        legs=(
            TradeLeg(instrument=buy, side=Side.BUY),
            TradeLeg(instrument=sell, side=Side.SELL),
            HoldLeg(expected_s=hold_s),
            TradeLeg(instrument=buy, side=Side.SELL),
            TradeLeg(instrument=sell, side=Side.BUY),
        ),
    )


def priced(*sides: InstrumentInput, converged: bool = False) -> PricingInputs:
    return PricingInputs(
        {one.instrument.id: one for one in sides}, rules=PricingRules(converged=converged, adverse_moves=False)
    )


def sheet_of(
    buy: InstrumentInput, sell: InstrumentInput, *, converged: bool = False, hold_s: float = 28_800.0
) -> CostSheet:
    sheet = cost_sheet(carry(buy.instrument, sell.instrument, hold_s), priced(buy, sell, converged=converged))
    assert isinstance(sheet, CostSheet)
    return sheet


def test_every_cost_of_a_carry_has_its_name() -> None:
    # Perp stands 4 bps above spot on average; spreads of 1 and 2 bps; longs pay 1 bp per 8 h; held 8 h.
    buy = side(SPOT, 100.0, 1.0, "10")
    sell = side(PERP, 100.04, 2.0, "5.5", 0.125)
    sheet = sheet_of(buy, sell)
    by_name = {cost.name: round(cost.bps, 9) for cost in sheet.costs(0.0)}
    assert by_name == {
        "fee open buy binance.spot": 10.0,
        "fee open sell bybit.linear": 5.5,
        "fee close sell binance.spot": 10.0,
        "fee close buy bybit.linear": 5.5,
        "exit basis": 5.5,  # 4 bps of difference, and half of each spread
        "funding bybit.linear": -1.0,  # the short earns it
    }
    # Fixed: 20 + 5.5; on what is sold: 11 − 1. It breaks even where g = 25.5 + 10 · (1 + g / 10 000).
    assert sheet.needed_bps == pytest.approx(35.5 / 0.999)
    assert sheet.net_bps(sheet.needed_bps) == pytest.approx(0.0, abs=1e-9)


def test_the_long_side_pays_funding_and_converged_expects_no_difference() -> None:
    buy = side(PERP, 100.0, 0.0, "0", 0.5, assumed=True)
    sell = side(SPOT, 90.0, 0.0, "0")
    sheet = sheet_of(buy, sell, converged=True, hold_s=7_200.0)
    assert sheet.needed_bps == pytest.approx(1.0)
    assert [cost.assumed for cost in sheet.costs(0.0) if cost.name.startswith("funding")] == [True]


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"fees": None}, "fee_schedule"),
        ({"funding": None}, "funding_rate"),
        ({"covered_s": 59.0}, "warm_up"),
        ({"mean_mid": None}, "warm_up"),
    ],
)
def test_a_missing_input_refuses_and_never_counts_as_zero(change: dict[str, Any], limit: str) -> None:
    buy, sell = side(SPOT, 100.0, 0.0, "10"), side(PERP, 100.0, 0.0, "5", 0.0)
    sheet = cost_sheet(carry(SPOT, PERP), priced(buy, replace(sell, **change)))
    assert isinstance(sheet, Unpriced)
    assert sheet.limit == limit


PRICES = st.floats(1e-6, 1e6)


@given(buy_price=PRICES, sell_price=PRICES, taker=st.decimals(-5, 50, places=2), rate=st.floats(-50, 50))
def test_costs_by_name_sum_to_gross_minus_net(buy_price: float, sell_price: float, taker: D, rate: float) -> None:
    buy, sell = side(SPOT, buy_price, 1.0, str(taker)), side(PERP, sell_price, 1.0, "5", rate)
    inputs = priced(buy, sell)
    one = opportunity(
        carry(SPOT, PERP), sheet_of(buy, sell), inputs, ts_ns=1, quantity=D(1), tops=(buy_price, sell_price)
    )
    assert one.net_edge_bps == one.gross_edge_bps - sum(cost.bps for cost in one.costs)
    assert one.needed_bps == sum(cost.bps for cost in one.costs)


@given(a=PRICES, ratio=st.floats(0.5, 2.0))
def test_mirrored_edges_mirror(a: float, ratio: float) -> None:
    b = a * ratio
    there, back = gross_edge_bps(a, b) / 1e4, gross_edge_bps(b, a) / 1e4
    assert (1 + there) * (1 + back) == pytest.approx(1.0)


def top(bid: float, bid_qty: float, ask: float, ask_qty: float) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=bid_qty, ask_price=ask, ask_qty=ask_qty, sequence=1)


def at_top(grid: SizeGrid, buy: TopOfBook, sell: TopOfBook, max_notional: float) -> int:
    """Lots of a route that earns enough at any price, of the best levels alone."""
    ladders = Ladder([(buy.ask_price, buy.ask_qty)]), Ladder([(sell.bid_price, sell.bid_qty)])
    cap = Cap("order", min(side.quantity_for(max_notional) for side in ladders))
    return best_size(grid, *ladders, Terms(-1e6, -1e6), [cap]).lots


def test_the_size_is_on_the_coarser_grid_and_within_depth_and_cap() -> None:
    grid = size_grid(instrument("a", Segment.SPOT, lot_size="0.0001"), instrument("b", Segment.LINEAR, lot_size="0.01"))
    assert grid.lot == D("0.01")
    assert at_top(grid, top(99, 9, 100, 0.379), top(101, 5, 102, 9), 1e9) == 37
    assert at_top(grid, top(99, 9, 100, 5), top(101, 0.379, 102, 9), 1e9) == 37
    assert at_top(grid, top(99, 9, 100, 5), top(101, 5, 102, 9), 50.0) == 49  # 50 / 101 = 0.495


def test_a_size_below_either_minimum_is_no_size() -> None:
    grid = size_grid(SPOT, instrument("b", Segment.LINEAR, min_notional="20"))
    assert at_top(grid, top(99, 9, 100, 0.2), top(100, 9, 101, 9), 1e9) == 200
    assert at_top(grid, top(99, 9, 100, 0.199), top(100, 9, 101, 9), 1e9) == 0
    quantity = size_grid(SPOT, instrument("b", Segment.LINEAR, min_quantity="0.5"))
    assert at_top(quantity, top(99, 9, 100, 0.499), top(100, 9, 101, 9), 1e9) == 0


@given(
    depth=st.floats(1e-9, 1e9),
    cap=st.floats(1e-3, 1e9),
    lot=st.sampled_from(["1", "0.1", "0.001", "0.0005", "0.00001"]),
    price=st.floats(1e-4, 1e6),
)
def test_a_size_is_never_above_depth_or_cap(depth: float, cap: float, lot: str, price: float) -> None:
    grid = size_grid(instrument("a", Segment.SPOT, lot_size=lot), PERP)
    lots = at_top(grid, top(price, depth, price, depth), top(price, depth, price, depth), cap)
    quantity = lots * grid.lot
    assert quantity <= D(depth) * (1 + D("1e-12"))
    assert quantity * D(price) <= D(cap) * (1 + D("1e-12"))


def test_what_the_fees_alone_need_is_known_while_the_rest_warms_up() -> None:
    buy, sell = side(SPOT, 100.0, 0.0, "10"), side(PERP, 100.0, 0.0, "5.5", 0.0, covered_s=1.0)
    sheet = cost_sheet(carry(SPOT, PERP), priced(buy, sell))
    assert sheet == Unpriced("warm_up", 1.0, 60.0, "s", least_bps=31.0)
