"""Funding at its hour: every perpetual on its own schedule.

A venue tells the next settlement in its own time, and soon after it the rate of the one after that. So what was last
told of a settlement is kept until it is due, and it is due by the venue's clock.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from bot.clock import Clock, Timer
from bot.domain.account import FundingPayment
from bot.engine.slot import ASSUMED_INTERVAL_H, HOUR_NS, InstrumentSlot
from bot.execution.ledger import Ledger
from bot.matching.cash import exact
from bot.ports import Journal, QuoteDrivenVenue, RecordKind

_WAKE_NS = 2_000_000_000
"""A timer is set this long before: until then the venue's clock, and its schedule, may still be learnt."""


@dataclass(frozen=True, slots=True)
class _Settlement:
    """What was last told of a coming settlement; None where nothing tells."""

    due_ns: int
    """By the venue's clock."""
    rate: Decimal | None
    mark: Decimal | None
    assumed: bool

    def is_over(self, slot: InstrumentSlot, now_ns: int) -> bool:
        """By the venue's clock, or because the venue speaks of the one after it already."""
        has_moved_on = slot.funding is not None and slot.funding.ts_event_ns >= self.due_ns
        return now_ns >= self.due_ns or has_moved_on


class FundingClock:
    """Settles funding on the venue that fills orders from quotes, and in the ledger."""

    def __init__(
        self, slots: Sequence[InstrumentSlot], venue: QuoteDrivenVenue, ledger: Ledger, journal: Journal, clock: Clock
    ) -> None:
        self._slots = [slot for slot in slots if slot.instrument.is_perpetual]
        self._venue = venue
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._coming: dict[int, _Settlement] = {}
        self._settled_ns: dict[int, int] = {}
        self._timers: dict[int, tuple[int, Timer]] = {}

    def watch(self) -> None:
        """Take in what is known of every coming settlement, and settle what is due; to be called once a second.

        Between two calls a timer settles what falls due: a pair opened just after the hour pays nothing for it.
        """
        for slot in self._slots:
            self._watch(slot)

    def _watch(self, slot: InstrumentSlot) -> None:
        now_ns = self._clock.now_ns() + (slot.clock_offset.offset_ns or 0)
        coming = self._coming.get(slot.index)
        if coming is not None and coming.is_over(slot, now_ns):
            self._settle(slot, coming)
            self._settled_ns[slot.index] = coming.due_ns
        # Not the one just settled again, should the venue's clock turn out to be a little behind.
        next_ns = _next_due(slot, max(now_ns, self._settled_ns.get(slot.index, 0)))
        mark = _mark(slot, self._clock.now_ns())
        if mark is None and coming is not None and coming.due_ns == next_ns:
            mark = coming.mark  # told by then, though not lately
        self._coming[slot.index] = _Settlement(next_ns, _rate(slot), mark, slot.funding_assumed)
        slot.next_funding_ns = next_ns
        self._wake(slot, next_ns, next_ns - now_ns)

    def _wake(self, slot: InstrumentSlot, due_ns: int, wait_ns: int) -> None:
        before = self._timers.get(slot.index)
        if wait_ns > _WAKE_NS or (before is not None and before[0] == due_ns):
            return
        if before is not None:
            before[1].cancel()
        self._timers[slot.index] = (due_ns, self._clock.call_later(wait_ns / 1e9, partial(self._watch, slot)))

    def _settle(self, slot: InstrumentSlot, coming: "_Settlement") -> None:
        rate, mark = coming.rate, coming.mark
        if rate is None or mark is None:
            return
        payment = self._venue.settle_funding(slot.instrument, rate, mark)
        if payment is not None:
            self.book(payment, assumed=coming.assumed)

    def book(self, payment: FundingPayment, *, assumed: bool = False) -> Collection[str] | None:
        """Share a payment out to the pairs that held the position, and write it down.

        Returns the pairs, which may be over by now; None where it was told before: it counts once.
        """
        if self._ledger.knows(payment):
            return None
        shares = self._ledger.on_funding(payment)
        rest = _rest(payment, shares.values())
        parts = [*shares.items(), *([(None, rest)] if rest else [])]
        for pair, amount in parts:
            body = {
                "pair": pair,
                "instrument": payment.instrument.id,
                "asset": payment.asset,
                "payment": str(amount),
                "rate": str(payment.rate),
                "quantity": str(payment.quantity),
                "mark_price": str(payment.mark_price),
                "assumed": assumed,
                # Each part tells of all: a crash may take some of them, and the next start writes those down.
                "parts": [[whose, str(part)] for whose, part in parts],
            }
            self._journal.record(RecordKind.FUNDING, payment.instrument.id, payment.ts_ns, body)
        return shares.keys()


@exact
def _rest(payment: FundingPayment, shares: Iterable[Decimal]) -> Decimal:
    """What is nobody's."""
    return payment.amount - sum(shares, Decimal(0))


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


def _mark(slot: InstrumentSlot, now_ns: int) -> Decimal | None:
    if slot.funding is not None and slot.funding.mark_price is not None:
        return Decimal(repr(slot.funding.mark_price))
    last = slot.newest(now_ns)
    return None if last is None else (Decimal(repr(last.bid_price)) + Decimal(repr(last.ask_price))) / 2
