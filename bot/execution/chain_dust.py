"""What chains leave at their places that no venue takes as an order, and what they take along of it."""

from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.execution.chain import Chain
from bot.execution.chain_ways import way_home
from bot.execution.dust import DustLedger

_NOTHING = Decimal(0)


class ChainDust:
    """Moves dust between chains and the ledger; each time in one record with what the chain carries by then."""

    def __init__(self, ledger: DustLedger) -> None:
        """Nothing is moved yet."""
        self._ledger = ledger

    def take(self, chain: Chain, at: int) -> None:
        """An amount is led on from a place by a trade: what lies there goes along, once."""
        instrument = _instrument(chain, at)
        if instrument is None or chain.places[at] in chain.dust:
            return
        amount = self._ledger.lying(instrument)
        if amount:
            self._move(chain, at, instrument, amount)

    def give_back(self, chain: Chain, at: int) -> None:
        """The venue would not have an order that held dust as well: it stays where it is for the rest of the run."""
        instrument, taken = _instrument(chain, at), chain.dust.get(chain.places[at], _NOTHING)
        if instrument is not None and taken > 0:
            self._ledger.refuse(instrument)
            self._move(chain, at, instrument, -taken)

    def leave(self, chain: Chain) -> None:
        """What it holds still is dust, and from now on nobody's; should a fill come later, that alone is its own."""
        for at in chain.inner:
            instrument, held = _instrument(chain, at), chain.held(at)
            if held and instrument is not None:
                self._move(chain, at, instrument, -held)

    def _move(self, chain: Chain, at: int, instrument: Instrument, amount: Decimal) -> None:
        place = chain.places[at]
        chain.dust[place] = chain.dust.get(place, _NOTHING) + amount
        self._ledger.add(instrument, -amount, chain)


def _instrument(chain: Chain, at: int) -> Instrument | None:
    """The instrument that dust of a place lies on: the first of its way home, where that sells the asset itself."""
    hops = way_home(chain.route, chain.places[at])
    return hops[0].instrument if hops and hops[0].instrument.base == chain.places[at][1] else None
