"""A chain's net edge is what comes home over what leaves, less what is not taken from the amount; nothing else."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Opportunity, Route
from bot.ports import TransferEstimate
from bot.pricing.chain import part_kept, stages
from bot.pricing.chain_sizing import Asked, best_chain
from bot.pricing.fees import cash_costs
from bot.pricing.inputs import InstrumentInput, PricingInputs, PricingRules
from bot.pricing.ladder import Ladder
from bot.pricing.pricing import ROUNDING, cost_sheet, flow_bps, opportunity
from bot.pricing.sheet import CostSheet

D = Decimal


def spot(venue: str, symbol: str, lot: str) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.SPOT, base=base, quote=quote, tick_size=D("0.01"), lot_size=D(lot)
    )


lots = st.sampled_from(["0.00001", "0.001", "0.003"])
rates = st.integers(-5, 40).map(D)
tokens = st.sampled_from([None, None, "BNB"])


@st.composite
def routes(draw: st.DrawFn) -> tuple[Route, list[float], dict[TransferLeg, TransferEstimate]]:
    """A route and about the prices of its trades."""
    btc, eth = spot("a", "BTC/USDT", draw(lots)), spot("a", "ETH/USDT", draw(lots))
    cross = spot("a", "ETH/BTC", draw(lots))
    there = spot("b", "BTC/USDT", draw(lots))

    def trade(of: Instrument, side: Side) -> TradeLeg:
        return TradeLeg(instrument=of, side=side)

    match draw(st.sampled_from(["there", "back", "sent"])):
        case "there":
            legs = (trade(btc, Side.BUY), trade(cross, Side.BUY), trade(eth, Side.SELL))
            return Route(kind="triangular", legs=legs), [60_000.0, 0.05, 3_030.0], {}
        case "back":
            legs = (trade(eth, Side.BUY), trade(cross, Side.SELL), trade(btc, Side.SELL))
            return Route(kind="triangular", legs=legs), [3_000.0, 0.0505, 60_000.0], {}
    way = TransferLeg(asset="BTC", from_venue="a", to_venue="b", network="bitcoin")
    sent = (trade(btc, Side.BUY), way, trade(there, Side.SELL))
    step = draw(st.sampled_from([0.0, 1e-8]))
    estimate = TransferEstimate(900.0, 2400.0, draw(st.sampled_from([0.0, 0.00005])), 0.0001, step=step)
    return Route(kind="transfer", legs=sent), [60_000.0, 60_600.0], {way: estimate}


@st.composite
def ladder(draw: st.DrawFn, price: float, *, rises: bool, scale: float) -> Ladder:
    levels, at = [], price * (1 + draw(st.integers(-10, 10)) / 1e4)
    for step in draw(st.lists(st.integers(1, 10), min_size=1, max_size=3)):
        levels.append((round(at, 6), draw(st.integers(1, 30)) * scale / 10))
        at *= 1 + (step if rises else -step) / 1e4
    return Ladder(levels)


def priced(route: Route, inputs: PricingInputs, ladders: list[Ladder]) -> Opportunity | None:
    chain = stages(route, inputs, ladders)
    assert chain is not None
    size = best_chain(chain, Asked(-500.0, 0.0, 0.0))
    if not size.links:
        return None
    sized = PricingInputs(inputs.instruments, inputs.transfers, quantity=float(size.quantity), rules=inputs.rules)
    sheet = cost_sheet(route, sized)
    if not isinstance(sheet, CostSheet):
        return None
    averages = [link.price for link, leg in zip(size.links, route.chain, strict=True) if isinstance(leg, TradeLeg)]
    tops = [one.best_price for one in ladders]
    return opportunity(
        route, sheet, sized, ts_ns=1, quantity=size.quantity, tops=tops, averages=averages, links=size.links
    )


@given(found=routes(), schedule=st.tuples(rates, tokens), adverse=st.booleans(), data=st.data())
def test_the_net_edge_is_what_the_links_bring_less_what_is_paid_beside(
    found: tuple[Route, list[float], Mapping[TransferLeg, TransferEstimate]],
    schedule: tuple[D, str | None],
    adverse: bool,
    data: st.DataObject,
) -> None:
    route, prices, transfers = found
    bps, token = schedule
    known = {}
    for leg, price in zip(route.priced, prices, strict=True):
        of = leg.instrument
        fees = FeeSchedule(
            feed=of.feed, maker_bps=bps, taker_bps=bps, source=FeeSource.ACCOUNT, token=token, token_discount=D("0.25")
        )
        known[of.id] = InstrumentInput(of, fees, price, 1.0, 100.0, volatility_bps=1.0, latency_s=0.02)
    inputs = PricingInputs(known, transfers, rules=PricingRules(adverse_moves=adverse))
    scale = {"BTC": 0.05, "ETH": 1.0}
    ladders = [
        data.draw(ladder(price, rises=leg.side is Side.BUY, scale=scale[leg.instrument.base]))
        for leg, price in zip(route.priced, prices, strict=True)
    ]
    one = priced(route, inputs, ladders)
    assume(one is not None)
    assert one is not None
    taken = cash_costs(route, inputs)
    beside = [c for c in one.costs if c.name not in taken and c.name != ROUNDING and not c.name.startswith("depth ")]
    event(f"{route.kind}, beside the amount: {sorted(c.name.split()[0] for c in beside)}")
    assert one.net_edge_bps == one.gross_edge_bps - sum(cost.bps for cost in one.costs)
    told = one.net_edge_bps + sum(cost.bps for cost in beside)
    # 1e-9 of the amount is 1e-5 bps.
    assert told == pytest.approx(flow_bps(one.links), abs=1e-5)
    left_over = next((cost.bps for cost in one.costs if cost.name == ROUNDING), 0.0)
    assert left_over == pytest.approx(_left_over(route, inputs, one), abs=1e-5)
    assert left_over >= -1e-5


def _left_over(route: Route, inputs: PricingInputs, one: Opportunity) -> float:
    """What would have come home more if every link took any quantity at these prices, bps; by hand."""
    amount = one.links[0].spends
    for leg, link in zip(route.chain, one.links, strict=True):
        if isinstance(leg, TransferLeg):
            estimate = inputs.transfers[leg]
            amount -= D(repr(estimate.fee)) + D(repr(estimate.fee_ratio)) * amount
            continue
        keeps = part_kept(leg, inputs)
        assert keeps is not None
        price = D(repr(link.price))
        amount = (amount / price if leg.side is Side.BUY else amount * price) * keeps
    return float((amount - one.links[-1].brings) / one.links[0].spends) * 1e4
