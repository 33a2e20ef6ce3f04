"""Funding at its hour: every perpetual on its own schedule."""

from collections.abc import Sequence
from decimal import Decimal

from bot.engine.slot import ASSUMED_INTERVAL_H, HOUR_NS, InstrumentSlot
from bot.execution.ledger import Ledger
from bot.ports import Journal, QuoteDrivenVenue, RecordKind


class FundingClock:
    """Settles funding on the venue that fills orders from quotes, and in the ledger."""

    def __init__(
        self, slots: Sequence[InstrumentSlot], venue: QuoteDrivenVenue, ledger: Ledger, journal: Journal
    ) -> None:
        self._slots = [slot for slot in slots if slot.instrument.is_perpetual]
        self._venue = venue
        self._ledger = ledger
        self._journal = journal

    def settle_due(self, now_ns: int) -> None:
        """Settle every instrument whose funding time has come."""
        for slot in self._slots:
            due_ns = slot.next_funding_ns
            if due_ns is not None and now_ns >= due_ns:
                self._settle(slot)
            slot.next_funding_ns = _next_due(slot, now_ns)

    def _settle(self, slot: InstrumentSlot) -> None:
        rate, mark = _rate(slot), _mark(slot)
        if rate is None or mark is None:
            return
        payment = self._venue.settle_funding(slot.instrument, rate, mark)
        if payment is None:
            return
        shares = self._ledger.on_funding(payment)
        rest = payment.amount - sum(shares.values(), Decimal(0))
        for pair, amount in [*shares.items(), *([(None, rest)] if rest else [])]:
            body = {
                "pair": pair,
                "instrument": slot.instrument.id,
                "asset": payment.asset,
                "payment": str(amount),
                "rate": str(rate),
                "quantity": str(payment.quantity),
                "mark_price": str(mark),
                "assumed": slot.funding_assumed,
            }
            self._journal.record(RecordKind.FUNDING, slot.instrument.id, payment.ts_ns, body)


def _next_due(slot: InstrumentSlot, now_ns: int) -> int:
    """The venue's next settlement; where nothing tells it, the next multiple of eight hours (UTC)."""
    if slot.funding is not None and slot.funding.next_funding_ns > now_ns:
        return slot.funding.next_funding_ns
    interval_ns = round(ASSUMED_INTERVAL_H * HOUR_NS)
    return (now_ns // interval_ns + 1) * interval_ns


def _rate(slot: InstrumentSlot) -> Decimal | None:
    if slot.funding is not None:
        return Decimal(repr(slot.funding.rate))
    if slot.funding_bps_per_h is None:
        return None
    return Decimal(repr(slot.funding_bps_per_h * ASSUMED_INTERVAL_H)) / 10_000


def _mark(slot: InstrumentSlot) -> Decimal | None:
    if slot.funding is not None and slot.funding.mark_price is not None:
        return Decimal(repr(slot.funding.mark_price))
    last = slot.window.last()
    return None if last is None else (Decimal(repr(last.bid_price)) + Decimal(repr(last.ask_price))) / 2
