"""What the chains that are not home hold, block and keep: the part of the portfolio that travels."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.legs import TradeLeg
from bot.domain.order import Side
from bot.domain.route import Route
from bot.execution.chain import Chain

_NOTHING = Decimal(0)


class ChainExposure:
    """Sums over chains. A chain counts whole, wherever its amount is, from the decision until it is home."""

    def __init__(self) -> None:
        self.chains: Mapping[str, Chain] = {}
        """Those that are not over, by id."""

    def notional(self) -> float:
        """Of all of them."""
        return sum(map(_notional, self.chains.values()))

    def at_venue(self, venue: str) -> float:
        """Of those that trade there, or send from or to it."""
        return sum(_notional(one) for one in self.chains.values() if any(at == venue for at, _ in one.places))

    def in_asset(self, asset: str) -> float:
        """Of those that are this asset on their way."""
        return sum(_notional(one) for one in self.chains.values() if asset in one.route.passed)

    def on(self, instrument: Instrument) -> float:
        """Of those that trade it."""
        return sum(_notional(one) for one in self._trading(instrument))

    def moving(self, instrument: Instrument) -> int:
        """Chains that may send an order on it at any moment; one whose amount is between venues does not."""
        return sum(one.underway is None for one in self._trading(instrument))

    def busy(self, route: Route) -> bool:
        """Whether one goes through the same instruments, either way round."""
        wanted = {instrument.id for instrument in route.instruments}
        return any({one.id for one in chain.route.instruments} == wanted for chain in self.chains.values())

    def under_way(self, venue: str, other: str) -> int:
        """Transfers between two venues, either way, that have no end yet or are still to be sent."""
        ends = {venue, other}
        return sum({leg.from_venue, leg.to_venue} == ends for chain in self.chains.values() for leg in chain.route.sent)

    def kept(self, venue: str, asset: str) -> Decimal:
        """What of an asset at a venue is on its way through it, and nobody else's to spend."""
        held = (one.holdings.get((venue, asset), _NOTHING) for one in self.chains.values())
        return sum((max(amount, _NOTHING) for amount in held), _NOTHING)

    def spending(self, venue: str, asset: str) -> Iterator[TradeLeg]:
        """The trades at a venue, either way round, by which chains could spend an asset there."""
        for chain in self.chains.values():
            for one in chain.route.trades:
                legs = (TradeLeg(instrument=one.instrument, side=side) for side in Side)
                yield from (leg for leg in legs if leg.instrument.venue == venue and leg.spends == asset)

    def _trading(self, instrument: Instrument) -> Iterator[Chain]:
        for chain in self.chains.values():
            if any(one.id == instrument.id for one in chain.route.instruments):
                yield chain


def _notional(chain: Chain) -> float:
    """What left for it, quote units of its first trade."""
    return float(chain.opportunity.quantity) * chain.opportunity.buy_price
