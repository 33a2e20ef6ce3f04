"""What a pair or a chain came to in one currency: for limits, and for a person. The ledger itself converts nothing."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Segment
from bot.execution.leg_account import LegView
from bot.execution.pair_account import PairView

Fees = Callable[[Feed], FeeSchedule | None]
_NOTHING = Decimal(0)


def profit_in_quote(view: PairView, base_price: Decimal, fees: Fees) -> Decimal:
    """Profit in the currency that the route begins with, quote units; negative is a loss.

    A rest of a pair's base is worth `base_price`; what a chain left on its way is worth nothing. A fee in the venue's
    own token, which no leg trades, is worth what the schedule charges for the trades of its leg: the token's market
    need not be watched. Where a leg was charged in two assets it counts too much, and never too little.
    """
    route = view.route
    first = route.chain[0] if route.chain else None
    home = route.buy.quote if first is None else getattr(first, "spends", route.buy.quote)
    profit = view.flows.get(home, _NOTHING)
    if first is None:
        profit += view.flows.get(route.buy.base, _NOTHING) * base_price
    return profit - sum((_token_fee(leg, view, home, fees) for leg in _legs(view)), _NOTHING)


def _legs(view: PairView) -> Iterable[LegView]:
    return view.legs or {leg.instrument.id: leg for leg in (view.buy, view.sell)}.values()


def _token_fee(leg: LegView, view: PairView, home: str, fees: Fees) -> Decimal:
    """What a leg paid in an asset that the route does not trade, units of `home`; 0 where nothing tells."""
    traded = {asset for one in _legs(view) for asset in (one.instrument.base, one.instrument.quote)}
    if not any(amount for asset, amount in leg.fees.items() if asset not in traded):
        return _NOTHING
    schedule, price = fees(leg.instrument.feed), _price(leg.instrument.quote, home, view)
    if schedule is None or price is None:
        return _NOTHING
    rate_bps = schedule.taker_bps + schedule.discount_bps(is_maker=False)
    return _notional(leg) * price * rate_bps / 10_000


def _notional(leg: LegView) -> Decimal:
    """Of all its trades, quote units."""
    both = ((leg.bought_quantity, leg.average_buy_price), (leg.sold_quantity, leg.average_sell_price))
    if leg.instrument.segment is Segment.INVERSE:  # a contract is an amount of quote
        return sum((quantity for quantity, _ in both), _NOTHING) * leg.instrument.contract_multiplier
    worth = sum((quantity * (price or _NOTHING) for quantity, price in both), _NOTHING)
    return worth * leg.instrument.contract_multiplier


def _price(asset: str, home: str, view: PairView) -> Decimal | None:
    """Of one unit of an asset, by the route's own trades."""
    if asset == home:
        return Decimal(1)
    traded = (leg for leg in _legs(view) if (leg.instrument.base, leg.instrument.quote) == (asset, home))
    return next((price for leg in traded if (price := leg.average_sell_price or leg.average_buy_price)), None)
