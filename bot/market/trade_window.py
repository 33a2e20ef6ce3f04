"""The last 24 hours of one instrument's public trades."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bot.domain.market import PublicTrade
from bot.market.gap_marks import GapMarks, KnownGap
from bot.market.packed_history import INT64, PackedFloats, PackedHistory, PackedInts
from bot.market.packing import Floats, Ints
from bot.market.segment import Grids
from bot.market.trade_ids import PackedIds, pack_ids


class TradeColumns(NamedTuple):
    """Public trades by column, equally long."""

    ts_recv_ns: Ints
    """Our receive time, UTC ns; never goes back."""
    ts_event_ns: Ints
    """The venue's time, UTC ns."""
    trade_id: list[str]
    price: Floats
    quantity: Floats
    buyer_is_maker: NDArray[np.bool_]
    """True: the taker sold."""

    @property
    def rows(self) -> int:
        """How many rows; `len()` would be the number of columns."""
        return len(self.ts_recv_ns)


class _IdColumn:
    __slots__ = ("_ids",)

    def __init__(self, ids: Any) -> None:
        self._ids: PackedIds = pack_ids(ids)

    @property
    def nbytes(self) -> int:
        return self._ids.nbytes

    def values(self, start: int, stop: int) -> list[str]:
        return self._ids.texts(start, stop)


class TradeWindow:
    """Public trades of the newest `hold_h` hours, counted back from the newest; each stands as often as it came.

    Older ones take some 25 bytes where `grid` (tick and lot) is known and ids are numbers, 40 where they are UUIDs, and
    come back bit by bit.
    """

    __slots__ = ("_history",)

    def __init__(self, *, hold_h: float = 24.0, grid: tuple[float, float] | None = None) -> None:
        grids = Grids.of(grid)
        packers = (
            PackedInts,  # how long it took, which has fewer digits than when it was
            _IdColumn,
            partial(PackedFloats, grid=grids.price),
            partial(PackedFloats, grid=grids.size),
            PackedInts,
        )
        self._history = PackedHistory(hold_h, packers)

    def append(self, ts_recv_ns: int, trade: PublicTrade) -> None:
        """Keep a trade; one stamped before its predecessor gets the predecessor's time and counts as a clock step.

        Raises:
            OverflowError: If a time does not fit 64 bits; nothing was kept.
        """
        fields = trade.__dict__  # attribute access on a pydantic model takes twice as long
        delay_ns = max(ts_recv_ns, self._history.last_recv_ns) - fields["ts_event_ns"]
        if delay_ns not in INT64 or fields["ts_event_ns"] not in INT64:
            raise OverflowError(f"a time that does not fit 64 bits: {trade!r}")
        self._history.append(
            ts_recv_ns, delay_ns, fields["trade_id"], fields["price"], fields["quantity"], fields["buyer_is_maker"]
        )

    def load(self, trades: TradeColumns) -> None:
        """Take trades from before every one that is held, newest part first where they come in parts.

        Raises:
            ValueError: If receive times go back, or do not end before the oldest trade; nothing was taken.
        """
        recv_ns, event_ns, ids, price, quantity, maker = trades
        self._history.load(recv_ns, (recv_ns - event_ns, ids, price, quantity, maker))

    @property
    def clock_steps(self) -> int:
        """Trades whose own receive time was before their predecessor's."""
        return self._history.clock_steps

    @property
    def gap_marks(self) -> GapMarks:
        """Where trades may be missing; gaps that are known to have ended are added here."""
        return self._history.gap_marks

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From `start_ns` to the next one some may be missing."""
        self._history.begin_gap(start_ns, reason)

    def end_gap(self, stop_ns: int) -> None:
        """A gap that lasts ends here, though none has come."""
        self._history.end_gap(stop_ns)

    def gaps(self, start_ns: int, stop_ns: int) -> list[KnownGap]:
        """Where trades may be missing within a span, by start."""
        return self._history.gaps(start_ns, stop_ns)

    @property
    def last_recv_ns(self) -> int:
        """Receive time of the newest trade; 0 before the first."""
        return self._history.last_recv_ns

    @property
    def nbytes(self) -> int:
        """Bytes of the packed trades; the newest ones, about a thousand, are not packed and left out."""
        return self._history.nbytes

    def __len__(self) -> int:
        """Trades of the last `hold_h` hours."""
        return len(self._history)

    def between(self, start_ns: int, stop_ns: int) -> TradeColumns:
        """Trades received from `start_ns` to before `stop_ns`, none older than `hold_h`; a copy."""
        recv_ns, delay_ns, ids, price, quantity, maker = self._columns(start_ns, stop_ns)
        times = np.concatenate((np.empty(0, np.int64), *recv_ns))
        return TradeColumns(
            times,
            times - np.concatenate((np.empty(0, np.int64), *delay_ns)),
            [one for part in ids for one in part],
            np.concatenate((np.empty(0), *price)),
            np.concatenate((np.empty(0), *quantity)),
            np.concatenate((np.empty(0, np.bool_), *maker)).astype(np.bool_),
        )

    def _columns(self, start_ns: int, stop_ns: int) -> list[list[Any]]:
        parts = self._history.between(start_ns, stop_ns)
        return [[part[at] for part in parts] for at in range(6)]
