"""Which routes exist between the instruments of a run. Adding a kind of arbitrage is adding a way to list its legs.

USDT, USDC and USD are three currencies: sides that are paid in two of them make a route only where both are among
the currencies that may be turned into one another, and have a price only while a market tells what one is in the
other. Inverse contracts change their base quantity with the price; a spot or linear leg does not hedge them one to
one, so they make no route here.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import permutations

from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import HoldLeg, Leg, Liquidity, TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Route
from strategies.arbitrage.settings import ArbitrageSettings

_TAKER, _MAKER = Liquidity.TAKER, Liquidity.MAKER
_MAKER_VARIANTS = ((_MAKER, _TAKER), (_TAKER, _MAKER), (_MAKER, _MAKER))


def list_routes(instruments: Sequence[Instrument], settings: ArbitrageSettings) -> list[Route]:
    """Every route of the kinds that the settings name, both directions, in the order of the instruments given.

    Pairs come first, then their post-only variants, transfers and rings.
    """
    pairs = list(_pairs(instruments, settings))
    routes = [*pairs]
    if settings.maker_variants:
        routes += [_with_makers(route, *variant) for route in pairs for variant in _MAKER_VARIANTS]
    if "transfer" in settings.kinds:
        routes += _transfers(instruments, settings)
    if "triangular" in settings.kinds:
        routes += _rings(instruments, settings)
    return routes


def _pairs(instruments: Sequence[Instrument], settings: ArbitrageSettings) -> Iterator[Route]:
    for buy, sell in permutations(instruments, 2):
        kind = _kind(buy, sell)
        if kind in settings.kinds and _match(buy, sell, settings.currencies):
            back = _back_home(buy, sell) if kind == "inventory" else _hold_and_close(buy, sell, settings)
            yield Route(kind=kind, legs=(_trade(buy, Side.BUY), _trade(sell, Side.SELL), *back))


def _kind(buy: Instrument, sell: Instrument) -> str | None:
    segments = {buy.segment, sell.segment}
    if segments == {Segment.LINEAR}:
        return "convergence"
    if segments == {Segment.SPOT, Segment.LINEAR}:
        return "cash_and_carry"
    return "inventory" if segments == {Segment.SPOT} else None


def _match(buy: Instrument, sell: Instrument, currencies: Collection[str]) -> bool:
    turns = buy.quote in currencies and sell.quote in currencies
    return buy.base == sell.base and (buy.quote == sell.quote or turns)


def _hold_and_close(buy: Instrument, sell: Instrument, settings: ArbitrageSettings) -> tuple[Leg, ...]:
    hold = HoldLeg(expected_s=settings.expected_holding_s)
    return (hold, _trade(buy, Side.SELL), _trade(sell, Side.BUY))


def _back_home(buy: Instrument, sell: Instrument) -> tuple[Leg, ...]:
    """What brings the stocks of two venues back to where they were: the base one way, the money the other."""
    if buy.venue == sell.venue:
        return ()
    base = TransferLeg(asset=buy.base, from_venue=buy.venue, to_venue=sell.venue, deferred=True)
    return (base, _money_home(buy, sell))


def _money_home(buy: Instrument, sell: Instrument) -> TransferLeg:
    return TransferLeg(asset=sell.quote, from_venue=sell.venue, to_venue=buy.venue, deferred=True)


def _with_makers(route: Route, buy: Liquidity, sell: Liquidity) -> Route:
    """The same with post-only orders on a side, to open and to close."""
    of = {route.buy.id: buy, route.sell.id: sell}
    legs = [
        leg.model_copy(update={"liquidity": of[leg.instrument.id]}) if isinstance(leg, TradeLeg) else leg
        for leg in route.legs
    ]
    return Route(kind=route.kind, legs=tuple(legs))


def _transfers(instruments: Sequence[Instrument], settings: ArbitrageSettings) -> Iterator[Route]:
    """Buy, send, sell; and the same with a perpetual sold meanwhile."""
    spots = [one for one in instruments if one.segment is Segment.SPOT]
    perpetuals = [one for one in instruments if one.segment is Segment.LINEAR]
    for buy, sell in permutations(spots, 2):
        if buy.venue == sell.venue or not _match(buy, sell, settings.currencies):
            continue
        hedges = [one for one in perpetuals if (one.base, one.quote) == (buy.base, buy.quote)]
        for network in settings.networks.get(buy.base, ()):
            for hedge in (None, *hedges):
                yield _transfer(buy, sell, network, hedge)


def _transfer(buy: Instrument, sell: Instrument, network: str, hedge: Instrument | None) -> Route:
    sent = TransferLeg(asset=buy.base, from_venue=buy.venue, to_venue=sell.venue, network=network)
    legs: list[Leg] = [_trade(buy, Side.BUY), sent, _trade(sell, Side.SELL)]
    if hedge is not None:
        legs = [legs[0], _trade(hedge, Side.SELL), *legs[1:], _trade(hedge, Side.BUY)]
    return Route(kind="transfer", legs=(*legs, _money_home(buy, sell)))


def _rings(instruments: Sequence[Instrument], settings: ArbitrageSettings) -> Iterator[Route]:
    """Three trades on one venue that bring the start asset back: the first of the currencies that the ring holds."""
    spots = [one for one in instruments if one.segment is Segment.SPOT and one.venue not in settings.no_rings_at]
    for three in permutations(spots, 3):
        assets = {asset for one in three for asset in (one.base, one.quote)}
        start = next((one for one in settings.currencies if one in assets), None)
        if start is None or len(assets) != 3 or len({one.venue for one in three}) != 1:
            continue
        legs = _around(three, start)
        if legs is not None:
            yield Route(kind="triangular", legs=legs)


def _around(three: Sequence[Instrument], start: str) -> tuple[Leg, ...] | None:
    legs: list[TradeLeg] = []
    asset = start
    for instrument in three:
        if asset not in (instrument.base, instrument.quote):
            return None
        leg = _trade(instrument, Side.BUY if asset == instrument.quote else Side.SELL)
        legs.append(leg)
        asset = leg.brings
    return tuple(legs) if asset == start else None


def _trade(instrument: Instrument, side: Side) -> TradeLeg:
    return TradeLeg(instrument=instrument, side=side)
