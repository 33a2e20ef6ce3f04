"""What a route costs, in one place: strategy, gate, executor and post-mortem all price here.

A route's costs change slowly (fees, funding, the usual price difference between its two sides); its prices change
with every quote. So the costs are summed once into a `CostSheet`, and a quote only needs `gross_edge_bps` and one
compare. Every figure is in bps of the first trade's money, the buy notional; a positive cost is bad.

    net edge = gross edge − Σ costs

Costs by name: fees of every trade and what a token saves of them, withdrawal fee, exit basis, funding, adverse move,
transfer risk, rebalancing, conversion, late hedge and not filled (post-only legs), depth, rounding (a chain's links).
Their formulas stand in `bot/pricing/fees.py`, `costs.py` and `makers.py`. Nothing here asks what kind of arbitrage a
route is.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from bot.domain.legs import TradeLeg
from bot.domain.order import Side
from bot.domain.route import Cost, Link, Opportunity, Route
from bot.pricing import costs, makers
from bot.pricing.capital import capital_part, return_per_year
from bot.pricing.fees import cash_costs, charge_fees
from bot.pricing.inputs import PricingInputs
from bot.pricing.sheet import CostLines, CostSheet, Unpriced, add_up, even_bps

DEPTH = "depth "
ROUNDING = "rounding"
_NOISE_BPS = 1e-7
"""Two ways of multiplying the same floats differ by less."""
_Charge = Callable[[Route, PricingInputs, CostLines], Unpriced | None]
_CHARGES: tuple[_Charge, ...] = (
    costs.charge_exit,
    costs.charge_funding,
    costs.charge_adverse_moves,
    costs.charge_transfer_risk,
    costs.charge_conversion,
    costs.charge_rebalancing,
    makers.charge_late_hedges,
)


def gross_edge_bps(buy_price: float, sell_price: float) -> float:
    """Sell price over buy price, in bps.

    Example:
        >>> round(gross_edge_bps(100.0, 100.21), 6)
        21.0
    """
    return (sell_price / buy_price - 1.0) * 1e4


def price_ratio(trades: Sequence[TradeLeg], prices: Sequence[float], rate: float = 1.0) -> float:
    """What one unit of the first trade's money becomes, fees aside.

    Args:
        trades: A route's `priced`.
        prices: Of each of them.
        rate: Units of the first trade's currency for one of the last trade's.
    """
    if len(prices) == 2 and trades[0].side is Side.BUY and trades[1].side is Side.SELL:
        return prices[1] * rate / prices[0]
    ratio = rate
    for leg, price in zip(trades, prices, strict=True):
        ratio = ratio * price if leg.side is Side.SELL else ratio / price
    return ratio


def cost_sheet(route: Route, inputs: PricingInputs, fees: CostLines | None = None) -> CostSheet | Unpriced:
    """Sum what the route costs beside its prices; or the one input that is missing or broken.

    `fees` are what `charge_fees` charges with these inputs, where somebody knows it from before.
    """
    lines = CostLines(fees)
    refused = charge_fees(route, inputs, lines) if fees is None else None
    if refused is not None:
        return refused
    fee_lines = lines.as_tuple()
    refused = costs.check_warm(route, inputs)
    for charge in _CHARGES:
        refused = refused or charge(route, inputs, lines)
    chance = makers.fill_probability(route, inputs)
    refused = refused or (chance if isinstance(chance, Unpriced) else None)
    if refused is not None or isinstance(chance, Unpriced):
        assert refused is not None
        return Unpriced(refused.limit, refused.observed, refused.allowed, refused.unit, even_bps(fee_lines))
    sheet = add_up(
        lines,
        exit_basis_bps=lines.bps_of(costs.EXIT_BASIS),
        fill_probability=chance,
        waiting_bps=inputs.rules.waiting_bps,
        time_out_s=costs.time_out_s(route, inputs),
    )
    return sheet if costs.known(sheet.fixed_bps, sheet.scaled_bps) else Unpriced("broken_cost", 0.0, 1.0, "known")


def opportunity(
    route: Route,
    sheet: CostSheet,
    inputs: PricingInputs,
    *,
    ts_ns: int,
    quantity: Decimal,
    tops: Sequence[float],
    averages: Sequence[float] | None = None,
    links: Sequence[Link] = (),
) -> Opportunity:
    """The route priced for this quantity; every cost by name.

    Args:
        route: What is traded.
        sheet: Its costs, made from `inputs`.
        inputs: Where its capital and its conversion are read.
        ts_ns: Of the decision.
        quantity: Base units of the first trade.
        tops: For each of `route.priced`, the price at the top of the book.
        averages: The price that the quantity gets on average; None: the top takes it all.
        links: Of a chain, what each link spends and brings at these averages: what whole lots leave over on the way is
            a cost then.
    """
    rate = 1.0 if inputs.conversion is None else inputs.conversion.rate
    prices = tops if averages is None else averages
    gross = (price_ratio(route.priced, tops, rate) - 1.0) * 1e4
    named = sheet.costs(gross, depth_costs(route, tops, prices, rate))
    if links:
        named += _rounding(route, inputs, gross, named, links)
    net = gross - sum(cost.bps for cost in named)
    capital = capital_part(route, inputs, price_ratio(route.priced, prices, rate))
    return Opportunity(
        route=route,
        ts_ns=ts_ns,
        quantity=quantity,
        buy_price=prices[0],
        sell_price=prices[-1],
        gross_edge_bps=gross,
        costs=named,
        net_edge_bps=net,
        capital_notional=None if capital is None else capital * float(quantity) * prices[0],
        time_out_s=sheet.time_out_s,
        links=tuple(links),
        return_per_year=return_per_year(net, capital, sheet.time_out_s),
    )


def _rounding(
    route: Route, inputs: PricingInputs, gross: float, named: Sequence[Cost], links: Sequence[Link]
) -> tuple[Cost, ...]:
    """What whole lots and steps leave over on the way: the prices and fees of the amount tell more than comes home."""
    taken = cash_costs(route, inputs)
    before = gross - sum(cost.bps for cost in named if cost.name in taken or cost.name.startswith(DEPTH))
    left_over = before - flow_bps(links, 1.0 if inputs.conversion is None else inputs.conversion.rate)
    return (Cost(name=ROUNDING, bps=left_over),) if abs(left_over) > _NOISE_BPS else ()


def flow_bps(links: Sequence[Link], rate: float = 1.0) -> float:
    """What comes home over what left, in bps: the net edge before the costs that are not taken from the amount.

    Args:
        links: Of a chain.
        rate: Units of what left for one of what comes home.
    """
    left, home = links[0].spends, links[-1].brings
    return (float(home / left) * rate - 1.0) * 1e4


def depth_costs(route: Route, tops: Sequence[float], averages: Sequence[float], rate: float = 1.0) -> list[Cost]:
    """What each trade's average price is worse than the top of its book: what the gross edge loses by it, in order."""
    found, prices = [], list(tops)
    ratio = price_ratio(route.priced, prices, rate)
    for index, leg in enumerate(route.priced):
        if averages[index] == prices[index]:
            continue
        prices[index] = averages[index]
        after = price_ratio(route.priced, prices, rate)
        found.append(Cost(name=f"{DEPTH}{leg.side} {route.label(leg.instrument)}", bps=(ratio - after) * 1e4))
        ratio = after
    return found
