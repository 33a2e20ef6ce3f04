"""What pairs leave behind that no venue takes as an order: remainders of lots, of minimums, and of fees in base.

A pair that ends hands its remainder over; the next one that closes on that instrument takes it along, so that it is
traded away as soon as it makes a lot, and does not grow for ever. Amounts are signed base units: positive lies in the
wallet, negative was sold beyond what was held.

What a pair takes along, gives back or leaves is told in one record with what the pair carries by then: a process that
is killed between two records would find it in both places, or in none.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.execution.pair import Pair, PairLeg, PairState
from bot.ports import Journal, RecordKind

_NOTHING = Decimal(0)


class Carries(Protocol):
    """What takes dust along: a pair, or a chain."""

    @property
    def id(self) -> str:
        """Of its own kind of record."""

    def carried(self) -> dict[str, str]:
        """How much of it, and where, as the journal keeps it."""


class DustLedger:
    """Remainders by instrument. Every change is told, with the amount that is left by then, and the pair that it came
    from or went to, where it was one."""

    def __init__(self, on_change: Callable[[Instrument, Decimal, Carries | None], None]) -> None:
        """Nothing is left behind yet."""
        self._on_change = on_change
        self._amounts: dict[str, Decimal] = {}
        self._refused: set[str] = set()
        """Instruments whose dust is not in the wallet, or not to be sold, for all that a venue says."""

    @property
    def amounts(self) -> Mapping[str, Decimal]:
        """Signed base units by instrument id; what came to nothing is not named."""
        return self._amounts

    def restore(self, amounts: Mapping[str, Decimal], instruments: Iterable[Instrument]) -> None:
        """Take over what earlier runs left on instruments of this one, by instrument id."""
        for instrument in instruments:
            self.add(instrument, amounts.get(instrument.id, _NOTHING))

    def add(self, instrument: Instrument, amount: Decimal, pair: Carries | None = None) -> None:
        """Something more, or less, was left on an instrument; `pair` has counted its side of it already."""
        if not amount:
            return
        total = self._amounts.get(instrument.id, _NOTHING) + amount
        if total:
            self._amounts[instrument.id] = total
        else:
            del self._amounts[instrument.id]
        self._on_change(instrument, total, pair)

    def ended(self, pair: Pair) -> None:
        """A pair is going to be over: what it holds still is dust, and from now on nobody's.

        Should a fill of it come later, then that fill alone is the pair's again.
        """
        for leg in _dusty(pair):
            left = leg.net
            leg.carried = -leg.held
            self.add(leg.instrument, left, pair)

    def offer(self, pair: Pair, leg: PairLeg) -> None:
        """A leg is going to be closed: it takes along what lies on its instrument."""
        amount = self._amounts.get(leg.instrument.id)
        if amount is not None and leg.instrument.id not in self._refused and not leg.instrument.is_perpetual:
            leg.carried += amount
            self.add(leg.instrument, -amount, pair)

    def lying(self, instrument: Instrument) -> Decimal:
        """What an order on a spot instrument could take along, base units; 0 where the venue would not have it."""
        amount = self._amounts.get(instrument.id, _NOTHING)
        return _NOTHING if instrument.id in self._refused else max(amount, _NOTHING)

    def refuse(self, instrument: Instrument) -> None:
        """Leave what lies on an instrument where it is for the rest of the run: the venue would not have it."""
        self._refused.add(instrument.id)

    def refused(self, pair: Pair, leg: PairLeg) -> None:
        """The venue would not have an order that held dust as well: it stays where it is for the rest of the run."""
        amount, leg.carried = leg.carried, _NOTHING
        if amount:
            self._refused.add(leg.instrument.id)
            self.add(leg.instrument, amount, pair)


def dust_records(journal: Journal, clock: Clock) -> Callable[[Instrument, Decimal, Carries | None], None]:
    """What writes every change of a ledger down."""

    def record(instrument: Instrument, amount: Decimal, pair: Carries | None) -> None:
        body: dict[str, Any] = {"instrument": instrument.id, "asset": instrument.base, "quantity": str(amount)}
        if pair is not None:
            body |= {"pair": pair.id, "carried": pair.carried()}
        journal.record(RecordKind.DUST, instrument.id, clock.now_ns(), body)

    return record


def _dusty(pair: Pair) -> list[PairLeg]:
    """The legs whose rests are dust: a route that never closes moves a stock from venue to venue on purpose."""
    moves_stock = not pair.opportunity.route.closing and pair.state is PairState.CLOSED
    return [] if moves_stock else [leg for leg in pair.legs if not leg.instrument.is_perpetual]
