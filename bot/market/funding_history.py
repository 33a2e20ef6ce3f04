"""The last 24 hours of one perpetual's funding rate, as it was announced."""

from functools import partial
from typing import NamedTuple

from bot.domain.market import FundingRate
from bot.market.gap_marks import GapMarks, KnownGap
from bot.market.packed_history import INT64, PackedFloats, PackedHistory, PackedInts
from bot.market.packing import Floats, Ints, grid_of

_RATE_STEP = 1e-8
"""Venues print eight digits of a rate; hours are whole ones, mark prices have digits of their own."""


class FundingColumns(NamedTuple):
    """Announced rates by column, equally long."""

    ts_recv_ns: Ints
    """Our receive time, UTC ns; never goes back."""
    ts_event_ns: Ints
    rate: Floats
    next_funding_ns: Ints
    interval_h: Floats
    """0 where the message did not say."""
    mark_price: Floats
    """0 where the message did not say."""

    @property
    def rows(self) -> int:
        """How many rows; `len()` would be the number of columns."""
        return len(self.ts_recv_ns)


class FundingHistory:
    """Announced rates of the newest `hold_h` hours, counted back from the newest; a venue repeats them every second."""

    __slots__ = ("_history",)

    def __init__(self, *, hold_h: float = 24.0, tick: float | None = None) -> None:
        """`tick` is the step of mark prices; without it, or off it, they take eight bytes."""
        packers = (
            PackedInts,
            partial(PackedFloats, grid=grid_of(_RATE_STEP)),
            PackedInts,
            partial(PackedFloats, grid=grid_of(1.0)),
            partial(PackedFloats, grid=None if tick is None else grid_of(tick)),
        )
        self._history = PackedHistory(hold_h, packers)

    def append(self, ts_recv_ns: int, funding: FundingRate) -> None:
        """Keep a rate; one stamped before its predecessor gets the predecessor's time.

        Raises:
            OverflowError: If a time does not fit 64 bits; nothing was kept.
        """
        if funding.ts_event_ns not in INT64 or funding.next_funding_ns not in INT64:
            raise OverflowError(f"a time that does not fit 64 bits: {funding!r}")
        # 0 is no interval and no price: it stands for what the message did not say.
        self._history.append(
            ts_recv_ns,
            funding.ts_event_ns,
            funding.rate,
            funding.next_funding_ns,
            funding.interval_h or 0.0,
            funding.mark_price or 0.0,
        )

    def load(self, rates: FundingColumns) -> None:
        """Take rates from before every one that is held, newest part first where they come in parts.

        Raises:
            ValueError: If receive times go back, or do not end before the oldest rate; nothing was taken.
        """
        self._history.load(rates.ts_recv_ns, rates[1:])

    @property
    def gap_marks(self) -> GapMarks:
        """Where rates may be missing; gaps that are known to have ended are added here."""
        return self._history.gap_marks

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From `start_ns` to the next one some may be missing."""
        self._history.begin_gap(start_ns, reason)

    def end_gap(self, stop_ns: int) -> None:
        """A gap that lasts ends here, though none has come."""
        self._history.end_gap(stop_ns)

    def gaps(self, start_ns: int, stop_ns: int) -> list[KnownGap]:
        """Where rates may be missing within a span, by start."""
        return self._history.gaps(start_ns, stop_ns)

    @property
    def last_recv_ns(self) -> int:
        """Receive time of the newest rate; 0 before the first."""
        return self._history.last_recv_ns

    @property
    def nbytes(self) -> int:
        """Bytes of the packed rates; the newest ones, about a thousand, are not packed and left out."""
        return self._history.nbytes

    def __len__(self) -> int:
        """Rates of the last `hold_h` hours."""
        return len(self._history)

    def between(self, start_ns: int, stop_ns: int) -> list[tuple[int, FundingRate]]:
        """Receive times and rates received from `start_ns` to before `stop_ns`, none older than `hold_h`."""
        parts = self._history.between(start_ns, stop_ns)
        return [_told(*row) for part in parts for row in zip(*part, strict=True)]

    def as_of(self, ts_ns: int) -> tuple[int, FundingRate] | None:
        """Receive time and rate of the newest announcement received at `ts_ns` or before; None where none is held."""
        row = self._history.as_of(ts_ns)
        return None if row is None else _told(*row)


def _told(
    recv_ns: int, event_ns: int, rate: float, next_ns: int, interval_h: float, mark_price: float
) -> tuple[int, FundingRate]:
    return int(recv_ns), FundingRate(
        rate=float(rate),
        next_funding_ns=int(next_ns),
        interval_h=float(interval_h) or None,
        mark_price=float(mark_price) or None,
        ts_event_ns=int(event_ns),
    )
