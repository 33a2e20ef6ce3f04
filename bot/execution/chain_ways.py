"""Which trades lead from a place of a chain to home, and what they would bring at the quotes."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.legs import TradeLeg
from bot.domain.order import Side
from bot.domain.route import Route
from bot.execution.chain import Chain, Place, places
from bot.execution.context import Quotes, TakerBps
from bot.execution.grid import decimal_price, meets_minimum, touch


@dataclass(frozen=True, slots=True)
class Hop:
    """One trade of a way home."""

    link: int
    """Whose instrument it trades, this way or the other."""
    instrument: Instrument
    side: Side


def way_home(route: Route, place: Place) -> tuple[Hop, ...]:
    """The fewest trades on the route's own instruments that turn what lies at a place into home; empty: there is none.

    Home is the asset that link 0 spends, at any venue, and what the last link brings.
    """
    stations = places(route)
    ends = {stations[-1]}
    queue: deque[tuple[Place, tuple[Hop, ...]]] = deque([(place, ())])
    seen = {place}
    while queue:
        at, hops = queue.popleft()
        if at in ends or at[1] == stations[0][1]:
            return hops
        for hop, there in _from(route, at):
            if there not in seen:
                seen.add(there)
                queue.append((there, (*hops, hop)))
    return ()


def _from(route: Route, at: Place) -> list[tuple[Hop, Place]]:
    found = []
    for link, leg in enumerate(route.chain):
        if not isinstance(leg, TradeLeg) or leg.instrument.venue != at[0]:
            continue
        for side in (leg.side, leg.side.opposite):
            turned = TradeLeg(instrument=leg.instrument, side=side)
            if turned.spends == at[1]:
                found.append((Hop(link, leg.instrument, side), (at[0], turned.brings)))
    return found


def sized(instrument: Instrument, side: Side, amount: Decimal, price: Decimal) -> Decimal:
    """What can be traded with `amount` of the asset that the side spends, at no worse than `price`: whole lots."""
    amount = max(amount, Decimal(0))
    if side is Side.SELL:
        return instrument.floor_quantity(amount)
    quantity = instrument.floor_quantity(amount / price)
    # A quotient of 28 digits may have been rounded up onto the grid.
    return quantity if quantity * price <= amount else quantity - instrument.lot_size


class Ways:
    """Values amounts along ways, at the quotes of the moment."""

    def __init__(self, quotes: Quotes, taker_bps: TakerBps) -> None:
        """Value by `quotes` and taker fees."""
        self._quotes = quotes
        self._taker_bps = taker_bps

    def after(self, instrument: Instrument, side: Side, amount: Decimal) -> Decimal | None:
        """What a trade at the touch would bring, its fee taken off; 0 below the venue's minimum, None: no quote."""
        quote = self._quotes(instrument)
        if quote is None:
            return None
        price = touch(quote, side)
        quantity = sized(instrument, side, amount, price)
        if not meets_minimum(instrument, quantity, price, reduces=True):
            return Decimal(0)
        keeps = 1 - decimal_price(self._taker_bps(instrument)) / 10_000
        return quantity * (1 if side is Side.BUY else price) * keeps

    def home(self, chain: Chain, at: int) -> Decimal | None:
        """What lies at a place, brought home by the shortest way; None where a quote is missing, or there is no way."""
        hops = way_home(chain.route, chain.places[at])
        amount: Decimal | None = chain.held(at) if hops else None
        for hop in hops:
            if amount is None:
                return None
            amount = self.after(hop.instrument, hop.side, amount)
        return amount

    def onwards(self, chain: Chain, at: int, amount: Decimal) -> Decimal | None:
        """What an amount at a place brings home through the links that follow; 0 where one of them cannot take it."""
        left: Decimal | None = amount
        for index in range(at, len(chain.links)):
            if left is None:
                return None
            leg, link = chain.links[index], chain.opportunity.links[index]
            if isinstance(leg, TradeLeg):
                left = self.after(leg.instrument, leg.side, left)
            else:
                left = max(Decimal(0), left - (link.spends - link.brings))
        return left
