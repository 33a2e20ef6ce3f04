"""What a pair or a chain came to in one currency: for limits, and for a person. The ledger itself converts nothing."""

from collections.abc import Collection, Iterable
from decimal import Decimal

from bot.domain.fees import FeeSchedule, FeesOf
from bot.domain.order import Fill
from bot.execution.grid import decimal_price
from bot.execution.leg_account import LegView
from bot.execution.pair_account import PairView

_NOTHING = Decimal(0)


def profit_in_quote(view: PairView, base_price: Decimal, fees: FeesOf) -> Decimal:
    """Profit in the currency that the route begins with, quote units; negative is a loss.

    A rest of a pair's base is worth `base_price`; what a chain left on its way is worth nothing. A fee in the venue's
    own token, which no leg trades, is worth what was charged for its trade when it was taken, and by `fees` where that
    was not told: the token's market need not be watched. A chain that trades the token pays its fees beside its amount
    too: they are no rest of it, and have a worth.
    """
    route = view.route
    first = route.chain[0] if route.chain else None
    home = route.buy.quote if first is None else getattr(first, "spends", route.buy.quote)
    profit = view.flows.get(home, _NOTHING)
    if first is None:
        profit += view.flows.get(route.buy.base, _NOTHING) * base_price
    return profit - sum((_token_fee(leg, view, home, fees) for leg in _legs(view)), _NOTHING)


def fee_in_quote(fill: Fill, taker_bps: float) -> Decimal | None:
    """The fee of a fill of an order that takes, in quote units of its instrument; None where nothing tells its worth.

    One in the venue's token is worth what was charged for the trade when it was taken; where that was not told,
    `taker_bps` (bps of notional, discounts taken off) of it, unless that is 0: then the rate is not known, for the fee
    was charged.
    """
    instrument = fill.instrument
    if not fill.fee or fill.fee_asset == instrument.quote:
        return fill.fee
    if fill.fee_asset == instrument.base:
        return fill.fee * fill.price
    if fill.charged_bps is not None:
        return fill.notional * fill.charged_bps / 10_000
    return fill.notional * decimal_price(taker_bps) / 10_000 if taker_bps else None


def _legs(view: PairView) -> Iterable[LegView]:
    return view.legs or (view.buy, view.sell)


def _token_fee(leg: LegView, view: PairView, home: str, fees: FeesOf) -> Decimal:
    """What a leg paid in assets that the flows do not value, units of `home`; 0 where nothing tells."""
    valued = {home} if view.legs else {asset for one in _legs(view) for asset in _assets(one)}
    schedule, price = fees(leg.instrument), _price(leg.instrument.quote, home, view)
    return _charged_beside(leg, view, home) + (_NOTHING if price is None else _in_token(leg, schedule, valued) * price)


def _charged_beside(leg: LegView, view: PairView, home: str) -> Decimal:
    """What a link of a chain paid in an asset of its way, and not from what it brought, units of `home`."""
    paid = ((fee, _price(asset, home, view)) for asset, fee in leg.beside.items() if view.legs and asset != home)
    return sum((fee * price for fee, price in paid if price is not None), _NOTHING)


def _in_token(leg: LegView, schedule: FeeSchedule | None, valued: Collection[str]) -> Decimal:
    """What its fees in assets that it does not trade are worth, units of its quote; those in `valued` left out."""
    total = _NOTHING
    for (asset, is_maker, charged_bps), notional in leg.in_token.items():
        if charged_bps is None and schedule is not None:
            charged_bps = schedule.charged_bps(is_maker=is_maker)
        if asset not in valued and charged_bps is not None:
            total += notional * charged_bps
    return total / 10_000


def _assets(leg: LegView) -> tuple[str, str]:
    return leg.instrument.base, leg.instrument.quote


def _price(asset: str, home: str, view: PairView) -> Decimal | None:
    """Of one unit of an asset, by the route's own trades."""
    if asset == home:
        return Decimal(1)
    traded = (leg for leg in _legs(view) if _assets(leg) == (asset, home))
    return next((price for leg in traded if (price := leg.average_sell_price or leg.average_buy_price)), None)
