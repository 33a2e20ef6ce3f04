"""What a size of a route needs now and what is offered for it; and from which fee tiers on it would be taken.

    offered   the last trade's money over the first's, at the average prices that the ladders give this size, in bps
    needed    the offer at which every cost is covered: the cost sheet's break-even
    missing   what the offer falls short of the one at which the net edge reaches the minimum

Everything is priced by `cost_sheet` and `opportunity`, the same functions that decide. At other tiers the same offer is
held against the same costs with other fees; a venue's tiers count from the one that the account has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Protocol, runtime_checkable

from bot.domain.fees import FeeSchedule, FeeTier
from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Cost, Link, Route
from bot.pricing.chain import stages, walk
from bot.pricing.costs import needs_conversion
from bot.pricing.inputs import PricingInputs
from bot.pricing.ladder import Ladder
from bot.pricing.pricing import cost_sheet, opportunity, price_ratio
from bot.pricing.sheet import CostSheet, Unpriced
from bot.pricing.sizing import DEPTH, SizeGrid

NO_QUOTE = "no_quote"
NET_EDGE = "net_edge"
SIZE = "size"
_BISECTIONS = 30


@runtime_checkable
class PricedWatch(Protocol):
    """A watch whose costs can be asked about at other sizes and fees."""

    @property
    def inputs(self) -> PricingInputs:
        """What its costs were summed from last; no instruments before the first time."""

    @property
    def min_net_bps(self) -> float:
        """The net edge from which it is taken."""

    @property
    def not_executable(self) -> tuple[float, float, str] | None:
        """What nobody can do of its route today: observed, allowed and the unit; None where it can be done."""


@dataclass(frozen=True, slots=True)
class InTheWay:
    """The limit that stands in the way of a size, what it saw and what it allows."""

    limit: str
    observed: float
    allowed: float
    unit: str


@dataclass(frozen=True, slots=True)
class BreakEven:
    """One route at one size; None where it is not known or not there."""

    notional: float
    """Asked about, quote units of the first trade."""
    quantity: Decimal
    """Base units of the first trade, on its grid; 0: the size cannot be traded."""
    offered_bps: float | None
    needed_bps: float | None
    """Where only the fees are known, those."""
    take_at_bps: float | None
    """The offer from which the size is taken."""
    net_bps: float | None
    costs: tuple[Cost, ...]
    """By name, what the size takes beyond the top of the books included; empty while a cost is not known."""
    in_the_way: InTheWay | None
    """None: at these prices it is worth taking."""
    links: tuple[Link, ...] = ()
    """Of a chain whose every link takes this size."""

    @property
    def missing_bps(self) -> float | None:
        """What the offer lacks; below zero it is more than enough. None where either is not known."""
        if self.take_at_bps is None or self.offered_bps is None:
            return None
        return self.take_at_bps - self.offered_bps


def break_even(
    route: Route,
    inputs: PricingInputs,
    ladders: Sequence[Ladder | None],
    grid: SizeGrid | None,
    notional: float,
    *,
    min_net_bps: float,
    ts_ns: int,
) -> BreakEven:
    """The route at one size, at the newest prices.

    Args:
        route: What is traded.
        inputs: What its costs are made of.
        ladders: What each of `route.priced` meets; None where there is no quote. A post-only leg meets nobody: the
            best price of its ladder is its own.
        grid: Of both sides; None for a chain, whose first instrument's own is taken.
        notional: The size, quote units of the first trade.
        min_net_bps: The net edge from which it is worth taking.
        ts_ns: Of the prices.
    """
    tops = [ladder.best_price for ladder in ladders if ladder is not None and ladder.levels]
    if len(tops) < len(ladders):
        quoted = InTheWay(NO_QUOTE, float(len(tops)), float(len(ladders)), "quotes")
        return _no_offer(notional, _least(route, inputs), quoted)
    quantity, least = _on_grid(route.buy if not route.chain else route.priced[0].instrument, grid, notional, tops)
    sized = _sized(route, inputs, quantity)
    sheet = cost_sheet(route, sized)
    met = [one for one in ladders if one is not None]
    links, why_not = _walked(route, sized, met, quantity)
    averages = _of_trades(route, links) if links else average_prices(route, met, float(quantity)) if quantity else None
    offered_bps = None if averages is None else _offered_bps(route, inputs, averages)
    if isinstance(sheet, Unpriced):
        why = InTheWay(sheet.limit, sheet.observed, sheet.allowed, sheet.unit)
        return replace(_no_offer(notional, sheet.least_bps, why), quantity=quantity, offered_bps=offered_bps)
    if not quantity:
        return _no_offer(notional, sheet.needed_bps, InTheWay(SIZE, notional / tops[0], least, "base units"), sheet)
    if averages is None or offered_bps is None:
        there = _offered_notional(route, met, float(quantity))
        return _no_offer(notional, sheet.needed_bps, InTheWay(DEPTH, there, notional, route.priced[0].spends), sheet)
    priced = opportunity(route, sheet, sized, ts_ns=ts_ns, quantity=quantity, tops=tops, averages=averages, links=links)
    take_at = sheet.take_at(min_net_bps)
    # Of a chain its links say more: they count what whole lots leave over.
    short = priced.net_edge_bps < min_net_bps if links else offered_bps < take_at
    in_the_way = (
        InTheWay(NET_EDGE, priced.net_edge_bps, min_net_bps, "bps")
        if short
        else why_not or _too_large(grid, quantity, tops)
    )
    return BreakEven(
        notional=notional,
        quantity=quantity,
        offered_bps=offered_bps,
        needed_bps=sheet.needed_bps,
        take_at_bps=take_at,
        net_bps=priced.net_edge_bps,
        costs=priced.costs,
        in_the_way=in_the_way,
        links=links,
    )


def _walked(
    route: Route, inputs: PricingInputs, ladders: Sequence[Ladder], quantity: Decimal
) -> tuple[tuple[Link, ...], InTheWay | None]:
    """A chain's links at this size; what keeps one of them from it otherwise."""
    if not quantity or not route.chain or any(leg.is_maker for leg in route.trades):
        return (), None
    chain = stages(route, inputs, ladders)
    found = SIZE if chain is None else walk(chain, quantity)
    return ((), InTheWay(SIZE, 0.0, 1.0, f"links that take it ({found})")) if isinstance(found, str) else (found, None)


def _too_large(grid: SizeGrid | None, quantity: Decimal, tops: Sequence[float]) -> InTheWay | None:
    """The side whose venue does not take so much in one order; a chain's links say so themselves."""
    for most, top in zip(() if grid is None else grid.largest, (tops[0], tops[-1]), strict=False):
        if float(quantity) > most.at(top):
            return InTheWay(most.name, float(quantity), most.at(top), "base units")
    return None


def _of_trades(route: Route, links: Sequence[Link]) -> list[float]:
    return [link.price for leg, link in zip(route.chain, links, strict=True) if isinstance(leg, TradeLeg)]


def _offered_bps(route: Route, inputs: PricingInputs, averages: Sequence[float]) -> float | None:
    if inputs.conversion is None and needs_conversion(route):
        return None
    rate = 1.0 if inputs.conversion is None else inputs.conversion.rate
    return (price_ratio(route.priced, averages, rate) - 1.0) * 1e4


def average_prices(route: Route, ladders: Sequence[Ladder], quantity: float) -> list[float] | None:
    """The average price of each of `route.priced` for this much of the first trade; None where a ladder ends before.

    Through a chain the amount is followed from trade to trade, fees aside: with them each trade is a little smaller.
    """
    averages: list[float] = []
    amount = quantity
    for index, (leg, ladder) in enumerate(zip(route.priced, ladders, strict=True)):
        base = amount
        if route.chain and index and leg.side is Side.BUY:
            base = amount / ladder.best_price if leg.is_maker else ladder.quantity_for(amount)
        if leg.is_maker:
            price = ladder.best_price
        elif base <= ladder.depth:
            price = ladder.average_price(base)
        else:
            return None
        averages.append(price)
        if route.chain:
            amount = base if leg.side is Side.BUY else base * price
    return averages


def lowest_tiers(
    route: Route,
    inputs: PricingInputs,
    found: BreakEven,
    tiers: Mapping[Feed, Sequence[FeeTier]],
    min_net_bps: float,
) -> dict[Feed, FeeTier] | None:
    """The lowest fee tiers at which the size would be taken at the prices of now; None where no tiers do that.

    Lowest is the least climb of the venue that has to climb most, then the least sum of all climbs. A feed without an
    entry stays where it is. Cheaper fees never make a route dearer, so where the best tiers are not enough none are.

    Args:
        route: What is traded.
        inputs: What its costs are made of now.
        found: The size, priced with them.
        tiers: Each venue's price list, from the lowest; one that is not known is not climbed.
        min_net_bps: The net edge from which it is worth taking.
    """
    offered = found.offered_bps
    feeds = list(dict.fromkeys(instrument.feed for instrument in route.instruments))
    ladders = [[None, *_cheaper(inputs, route, feed, tiers.get(feed, ()))] for feed in feeds]
    most = max(len(ladder) for ladder in ladders) - 1
    if offered is None or found.take_at_bps is None or not most:
        return None
    sized = _sized(route, inputs, found.quantity)
    best = {feed: ladder[-1] for feed, ladder in zip(feeds, ladders, strict=True)}
    if not _would_take(route, sized, best, offered, min_net_bps):
        return None
    for climbs in _climbs([len(ladder) for ladder in ladders], most):
        chosen = {feed: ladder[climb] for feed, ladder, climb in zip(feeds, ladders, climbs, strict=True)}
        if _would_take(route, sized, chosen, offered, min_net_bps):
            return {feed: tier for feed, tier in chosen.items() if tier is not None}
    return None


def _climbs(lengths: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    for highest in range(1, most + 1):
        ways = product(*(range(min(highest + 1, length)) for length in lengths))
        yield from sorted((way for way in ways if max(way) == highest), key=lambda way: (sum(way), way))


def _cheaper(inputs: PricingInputs, route: Route, feed: Feed, tiers: Sequence[FeeTier]) -> Iterator[FeeTier]:
    """The tiers above the account's own: those that are in nothing dearer than the one before, and not the same."""
    now = next(inputs.instruments[one.id].fees for one in route.instruments if one.feed == feed)
    if now is None:
        return
    maker, taker = now.maker_bps, now.taker_bps
    for tier in tiers:
        if tier.maker_bps <= maker and tier.taker_bps <= taker and (tier.maker_bps, tier.taker_bps) != (maker, taker):
            maker, taker = tier.maker_bps, tier.taker_bps
            yield tier


def _would_take(
    route: Route, inputs: PricingInputs, tiers: Mapping[Feed, FeeTier | None], offered: float, min_net_bps: float
) -> bool:
    changed = {
        name: replace(one, fees=_at(one.fees, tiers.get(one.instrument.feed)))
        for name, one in inputs.instruments.items()
    }
    sheet = cost_sheet(route, replace(inputs, instruments=changed))
    return isinstance(sheet, CostSheet) and offered >= sheet.take_at(min_net_bps)


def _at(fees: FeeSchedule | None, tier: FeeTier | None) -> FeeSchedule | None:
    """The account's fees on another tier: what it pays them in stays as it is."""
    if fees is None or tier is None:
        return fees
    return tier.schedule(fees.feed).model_copy(update={"token": fees.token, "token_discount": fees.token_discount})


def _sized(route: Route, inputs: PricingInputs, quantity: Decimal) -> PricingInputs:
    # A fixed withdrawal fee weighs on the size that it is taken from.
    sends = any(isinstance(leg, TransferLeg) for leg in route.chain)
    return replace(inputs, quantity=float(quantity)) if sends and quantity else inputs


def _on_grid(first: Instrument, grid: SizeGrid | None, notional: float, tops: Sequence[float]) -> tuple[Decimal, float]:
    """The largest quantity on the grid within the notional, or 0; and the least that is taken."""
    wanted = notional / tops[0]
    if grid is None:
        lot = first.lot_size * first.contract_multiplier
        least = max(float(first.min_quantity * first.contract_multiplier), float(first.min_notional) / tops[0])
    else:
        lot, least = grid.lot, grid.smallest(min(tops[0], tops[-1]))
    lots = int(wanted / float(lot))
    quantity = lots * lot
    return (quantity if float(quantity) >= least else Decimal(0)), max(least, float(lot))


def _offered_notional(route: Route, ladders: Sequence[Ladder], quantity: float) -> float:
    """How much of the first trade's money all ladders together can take."""
    best = ladders[0].best_price
    if not route.chain:
        return best * min(one.depth for one, leg in zip(ladders, route.priced, strict=True) if not leg.is_maker)
    low, high = 0.0, quantity
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if average_prices(route, ladders, middle) is None else (middle, high)
    return best * low


def _least(route: Route, inputs: PricingInputs) -> float | None:
    """What is known to be needed, without a quote."""
    if not inputs.instruments:
        return None
    sheet = cost_sheet(route, inputs)
    return sheet.least_bps if isinstance(sheet, Unpriced) else sheet.needed_bps


def _no_offer(notional: float, needed: float | None, why: InTheWay, sheet: CostSheet | None = None) -> BreakEven:
    """Where there is none; costs at the offer that would cover them."""
    costs = () if sheet is None else sheet.costs(sheet.needed_bps)
    return BreakEven(notional, Decimal(0), None, needed, None, None, costs, why)
