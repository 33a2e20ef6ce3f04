"""Faults of orders and fills, as accounts and private streams ask for them."""

from decimal import Decimal

from bot.domain.instrument import Instrument
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import Fault

_SECOND_NS = 1_000_000_000


class OrderFaults:
    """What strikes an order or a fill now; every answer that is a strike is counted. Without a desk, nothing does."""

    def __init__(self, desk: FaultDesk | None = None) -> None:
        self._desk = desk

    def delay_ns(self, instrument: Instrument) -> int:
        """How much later a new order is to meet the book; 0: now."""
        fault = self._strike(FaultKind.LATE_FILL, instrument)
        return 0 if fault is None else max(1, round(fault.size * _SECOND_NS))

    def fills_on_cancel(self, instrument: Instrument) -> bool:
        """Whether a cancel comes too late for a resting order."""
        return self._strike(FaultKind.FILL_ON_CANCEL, instrument) is not None

    def part(self, instrument: Instrument, lots: int) -> int | None:
        """How much of an order of `lots` is filled before its rest ends, one lot at least; None: it goes its way."""
        fault = self._strike(FaultKind.PARTIAL_THEN_REJECT, instrument)
        if fault is None:
            return None
        return min(lots, max(1, int(lots * Decimal(str(fault.size)))))

    def times_told(self, instrument: Instrument) -> int:
        """How often a fill is told on a private stream: 0, 1 or 2."""
        if self._strike(FaultKind.MISSING_FILL, instrument) is not None:
            return 0
        return 1 if self._strike(FaultKind.DUPLICATE_FILL, instrument) is None else 2

    def _strike(self, kind: FaultKind, instrument: Instrument) -> Fault | None:
        if self._desk is None or self._desk.is_quiet:
            return None
        return self._desk.strike(kind, instrument.venue, instrument.segment, instrument.symbol)
