"""What must hold for any route and any inputs: costs add up, mirrors mirror, and better terms are never worse."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import HoldLeg, Leg, Liquidity, TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Opportunity, Route
from bot.ports import TransferEstimate
from bot.pricing.inputs import Conversion, FundingInput, InstrumentInput, PricingInputs, PricingRules
from bot.pricing.pricing import cost_sheet, opportunity
from bot.pricing.sheet import CostSheet

D = Decimal
Draw = st.DrawFn


def instrument(venue: str, quote: str, *, perpetual: bool) -> Instrument:
    return Instrument(
        venue=venue,
        symbol=f"BTC/{quote}" + (f":{quote}" if perpetual else ""),
        segment=Segment.LINEAR if perpetual else Segment.SPOT,
        base="BTC",
        quote=quote,
        settle=quote if perpetual else None,
        tick_size=D("0.1"),
        lot_size=D("0.001"),
    )


HEDGE = instrument("c", "USDT", perpetual=True)


def trade(of: Instrument, side: Side, liquidity: Liquidity = Liquidity.TAKER) -> TradeLeg:
    return TradeLeg(instrument=of, side=side, liquidity=liquidity)


@st.composite
def routes(draw: Draw) -> Route:
    kind = draw(st.sampled_from(["hold", "at once", "transfer", "hedged"]))
    spot_only = kind != "hold"
    buy = instrument("a", "USDT", perpetual=not spot_only and draw(st.booleans()))
    sell = instrument("b", draw(st.sampled_from(["USDT", "USDC"])), perpetual=not spot_only and draw(st.booleans()))
    sent = TransferLeg(asset="BTC", from_venue="a", to_venue="b", network="bitcoin")
    back = TransferLeg(asset=sell.quote, from_venue="b", to_venue="a", deferred=True)
    buying, selling = trade(buy, Side.BUY), trade(sell, Side.SELL)
    legs: tuple[Leg, ...]
    if kind == "hold":
        as_buy, as_sell = draw(st.sampled_from(Liquidity)), draw(st.sampled_from(Liquidity))
        legs = (
            trade(buy, Side.BUY, as_buy), trade(sell, Side.SELL, as_sell), HoldLeg(expected_s=draw(st.floats(1, 1e6))),
            trade(buy, Side.SELL, as_buy), trade(sell, Side.BUY, as_sell),
        )  # fmt: skip
    elif kind == "at once":
        legs = (buying, selling, back)
    elif kind == "transfer":
        legs = (buying, sent, selling, back)
    else:
        legs = (buying, trade(HEDGE, Side.SELL), sent, selling, trade(HEDGE, Side.BUY), back)
    return Route(kind=kind, legs=legs)


@st.composite
def known(draw: Draw, of: Instrument) -> InstrumentInput:
    bps = st.integers(-100, 6_000).map(lambda n: D(n) / 100)
    funding = FundingInput(
        draw(st.floats(-50, 50)), draw(st.sampled_from([3600.0, 14_400.0, 28_800.0])),
        draw(st.none() | st.floats(0, 28_800)), draw(st.none() | st.floats(0, 30)), draw(st.none() | st.floats(-30, 0)),
    )  # fmt: skip
    token = draw(st.booleans())
    fees = FeeSchedule(
        feed=of.feed, maker_bps=draw(bps), taker_bps=draw(bps), source=FeeSource.ACCOUNT,
        token="BNB" if token else None, token_discount=D("0.25") if token else D(0),
    )  # fmt: skip
    return InstrumentInput(
        of, fees, draw(st.floats(100, 1e5)), draw(st.floats(0, 20)), 100.0, draw(st.floats(0, 20)), funding,
        draw(st.floats(0, 2)), draw(st.floats(0.01, 1)), 0.2,
    )  # fmt: skip


@st.composite
def inputs_of(draw: Draw, route: Route) -> PricingInputs:
    transfers = {
        leg: TransferEstimate(draw(st.floats(0, 1e4)), 2e4, draw(st.floats(0, 0.01)), draw(st.floats(0, 0.01)))
        for leg in route.transfers
    }
    conversion = Conversion(draw(st.floats(0.9, 1.1)), draw(st.floats(0, 60)))
    return PricingInputs(
        {one.id: draw(known(one)) for one in route.instruments},
        transfers,
        None if route.buy.quote == route.sell.quote else conversion,
        draw(st.floats(0.1, 100)),
        PricingRules(converged=draw(st.booleans())),
    )


@st.composite
def cases(draw: Draw) -> tuple[Route, PricingInputs, tuple[float, float]]:
    route = draw(routes())
    price = draw(st.floats(100, 1e5))
    return route, draw(inputs_of(route)), (price, price * draw(st.floats(0.9, 1.1)))


Case = tuple[Route, PricingInputs, tuple[float, float]]


def sheet_of(route: Route, inputs: PricingInputs) -> CostSheet:
    sheet = cost_sheet(route, inputs)
    assert isinstance(sheet, CostSheet), sheet
    return sheet


def priced(case: Case, averages: tuple[float, float] | None = None) -> Opportunity:
    route, inputs, tops = case
    return opportunity(route, sheet_of(route, inputs), inputs, ts_ns=1, quantity=D(1), tops=tops, averages=averages)


def with_sides(inputs: PricingInputs, sides: Mapping[str, InstrumentInput]) -> PricingInputs:
    return replace(inputs, instruments={**inputs.instruments, **sides})


@given(cases(), st.floats(0, 0.01), st.floats(0, 0.01))
def test_costs_by_name_sum_to_gross_minus_net(case: Case, worse_buy: float, worse_sell: float) -> None:
    tops = case[2]
    for one in (priced(case), priced(case, (tops[0] * (1 + worse_buy), tops[1] * (1 - worse_sell)))):
        assert one.net_edge_bps == one.gross_edge_bps - sum(cost.bps for cost in one.costs)
        assert len({cost.name for cost in one.costs}) == len(one.costs)


@given(cases())
def test_the_edge_from_which_it_is_taken_is_the_one_that_nets_the_minimum(case: Case) -> None:
    sheet = sheet_of(case[0], case[1])
    one = priced(case)
    assert sheet.net_bps(one.gross_edge_bps) == pytest.approx(one.net_edge_bps, rel=1e-9, abs=1e-7)
    for minimum in (0.0, 1.0, -40.0):
        # Where nothing is filled, everything is needed: the slope of the net edge is what the minimum is divided by.
        assert sheet.net_bps(sheet.take_at(minimum)) == pytest.approx(minimum, abs=1e-6)


@given(cases(), st.floats(0, 0.01), st.floats(0, 0.01), st.floats(0, 1), st.floats(0, 1))
def test_more_depth_never_lowers_the_net_edge(
    case: Case, worse_buy: float, worse_sell: float, part_buy: float, part_sell: float
) -> None:
    buy, sell = case[2]
    thin = priced(case, (buy * (1 + worse_buy), sell * (1 - worse_sell)))
    # Funding beyond the whole notional is more on a dearer sale than the sale brings more.
    assume(sum(cost.bps for cost in thin.costs) < 10_000)
    deep = priced(case, (buy * (1 + worse_buy * part_buy), sell * (1 - worse_sell * part_sell)))
    assert deep.net_edge_bps >= thin.net_edge_bps - 1e-7


@given(cases(), st.decimals(0, 20, places=2))
def test_lower_fees_never_lower_the_net_edge(case: Case, less: D) -> None:
    route, inputs, tops = case
    before = priced(case)
    for id_, one in inputs.instruments.items():
        assert one.fees is not None
        if any(leg.is_maker for leg in route.trades):
            continue  # there a fee saved is partly a fee of fills that were not late
        cheap = one.fees.model_copy(update={"taker_bps": one.fees.taker_bps - less})
        after = priced((route, with_sides(inputs, {id_: replace(one, fees=cheap)}), tops))
        assert after.net_edge_bps >= before.net_edge_bps - 1e-7


@given(cases(), st.floats(0, 1), st.floats(0, 1))
def test_a_shorter_or_cheaper_transfer_never_lowers_the_net_edge(case: Case, time: float, fee: float) -> None:
    route, inputs, tops = case
    if any(leg.instrument.is_perpetual for leg in route.trades):
        return  # a shorter hedge may earn less funding: that is not the transfer's cost
    before = priced(case)
    better = {
        leg: TransferEstimate(one.mean_s * time, one.p95_s, one.fee * fee, one.fee_ratio * fee)
        for leg, one in inputs.transfers.items()
    }
    after = priced((route, replace(inputs, transfers=better), tops))
    assert after.net_edge_bps >= before.net_edge_bps - 1e-7


@given(cases())
def test_mirrored_routes_mirror(case: Case) -> None:
    """Bought and sold exchanged at one price: funding and the standing difference turn their sign, fees stay."""
    route, inputs, (price, _) = case
    if route.chain or not route.closing or route.buy.quote != route.sell.quote:
        return
    turned = {leg.instrument.id: leg for leg in route.opening}
    legs = tuple(
        leg.model_copy(update={"side": leg.side.opposite}) if isinstance(leg, TradeLeg) else leg for leg in route.legs
    )
    mirror = Route(kind=route.kind, legs=legs)
    assert (mirror.buy.id, mirror.sell.id) == (route.sell.id, route.buy.id)
    assert set(turned) == {leg.instrument.id for leg in mirror.opening}
    there = {cost.name: cost.bps for cost in priced((route, inputs, (price, price))).costs}
    back = {cost.name: cost.bps for cost in priced((mirror, inputs, (price, price))).costs}
    for name, bps in there.items():
        if name.startswith("funding"):
            assert back[name] == pytest.approx(-bps, abs=1e-9)
        elif name.startswith(("adverse move", "fee discount", "late hedge")):
            assert back[name] == pytest.approx(bps, abs=1e-9)
    fees_there, fees_back = (sum(v for k, v in one.items() if k.startswith("fee ")) for one in (there, back))
    assert fees_back == pytest.approx(fees_there, abs=1e-9)
