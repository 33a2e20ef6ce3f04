"""The last 24 hours of one instrument's top of book, as columns: models would take 1,392 bytes a row."""

import struct
from collections.abc import Callable
from math import nan

import numpy as np

from bot.domain.market import TopOfBook
from bot.market.columns import ROW_FORMAT, Columns, RowValues, joined
from bot.market.gap_marks import GapMarks, KnownGap
from bot.market.hot_buffer import ROW_BYTES
from bot.market.packing import Bits
from bot.market.row_store import SEGMENT_ROWS, RowStore
from bot.market.segment import Grids
from bot.market.zone_map import BUCKET_NS, NOBODY, ZoneMap, Zones, extremes_of, joined_zones, zones_of

ZONE_ROWS = 4_096
"""The zone map is brought up to date once in so many rows; a search looks at the rest itself."""

_pack = struct.Struct(ROW_FORMAT).pack
_pack_into = struct.Struct(ROW_FORMAT).pack_into

# A third faster than the constructor, which does the same.
_quote: Callable[[dict[str, object]], TopOfBook] = TopOfBook.__pydantic_validator__.validate_python


class Window:
    """Top of book of one instrument over the newest `hold_h` hours, counted back from the newest row.

    The last `rolling_s` seconds always stand in one piece: a view of them is a slice. Receive times never go back:
    a row stamped before its predecessor (the wall clock was stepped) gets the predecessor's time and is counted in
    `clock_steps`. Older rows are packed into ticks and lots where the instrument's `grid` (tick and lot) is known, and
    come back bit by bit, on the grid or off it.
    """

    __slots__ = (
        "_ask",
        "_bid",
        "_changes",
        "_hold_ns",
        "_last",
        "_limit",
        "_memory",
        "_offset",
        "_rolling_ns",
        "_store",
        "_zone_map",
        "_zoned",
        "clock_steps",
        "gap_marks",
        "last_recv_ns",
    )

    def __init__(
        self, *, hold_h: float = 24.0, rolling_s: float = 360.0, grid: tuple[float, float] | None = None
    ) -> None:
        self._hold_ns = round(hold_h * 3_600e9)
        self._rolling_ns = min(round(rolling_s * 1e9), self._hold_ns)
        self._store = RowStore(self._hold_ns, self._rolling_ns, Grids.of(grid))
        self._changes = self._store.changes
        self._zone_map = ZoneMap()
        self._zoned = 0
        self._last: TopOfBook | None = None
        self._bid = self._ask = nan  # equal to no price: the first row is a change
        self._memory = self._store.hot.memory
        self._offset = 0
        self._limit = 0
        self.gap_marks = GapMarks(self._hold_ns)
        """Where quotes may be missing; gaps that are known to have ended are added here."""
        self.clock_steps = 0
        """Rows whose own receive time was before their predecessor's."""
        self.last_recv_ns = 0
        """Receive time of the newest row; 0 before the first."""

    def append(self, ts_recv_ns: int, quote: TopOfBook) -> bool:
        """Keep a quote; true when its bid or ask price differs from the row before.

        Raises:
            OverflowError: If an integer of the quote does not fit 64 bits; nothing was kept.
        """
        if ts_recv_ns < self.last_recv_ns:
            self.clock_steps += 1
            ts_recv_ns = self.last_recv_ns
        offset = self._offset
        if offset == self._limit:
            self._make_room()
            offset = self._offset
        fields = quote.__dict__  # attribute access on a pydantic model takes twice as long
        bid = fields["bid_price"]
        ask = fields["ask_price"]
        try:
            _pack_into(
                self._memory,
                offset,
                ts_recv_ns,
                fields["ts_event_ns"] or 0,
                fields["sequence"],
                bid,
                fields["bid_qty"],
                ask,
                fields["ask_qty"],
            )
        except struct.error as error:
            raise OverflowError(f"an integer that does not fit 64 bits: {quote!r}") from error
        self._offset = offset + ROW_BYTES
        self.last_recv_ns = ts_recv_ns
        self._last = quote
        if bid == self._bid and ask == self._ask:
            return False
        self._bid = bid
        self._ask = ask
        self._changes.append(self._store.hot.first_row + offset // ROW_BYTES)
        return True

    def extend(self, columns: Columns, is_moved: Bits) -> None:
        """Keep many quotes, as `append` would keep them one by one.

        Args:
            columns: At least one row, in order of receipt, none from before the newest row.
            is_moved: Which of them differ in bid or ask price from the row before.
        """
        done = 0
        while done < columns.rows:
            if self._offset == self._limit:
                self._make_room()
            count = min((self._limit - self._offset) // ROW_BYTES, columns.rows - done)
            hot, start = self._store.hot, self._offset // ROW_BYTES
            hot.put(start, columns.slice(done, done + count))
            moved = np.flatnonzero(is_moved[done : done + count]) + (hot.first_row + start)
            self._changes.frombytes(moved.astype(np.int64).tobytes())
            self._offset += count * ROW_BYTES
            done += count
            self.last_recv_ns = int(columns.ts_recv_ns[done - 1])
        self._last = quote_of(columns.row(-1))
        self._bid, self._ask = self._last.bid_price, self._last.ask_price

    def _pack_segments(self, columns: Columns, is_moved: Bits) -> int:
        """Keep rows packed at once, as many as fill segments; none while the buffer holds rows. How many were kept."""
        store, done = self._store, 0
        while columns.rows - done >= SEGMENT_ROWS and store.is_packed(store.hot.first_row + self._offset // ROW_BYTES):
            stop = done + SEGMENT_ROWS
            rows, moved = columns.slice(done, stop), is_moved[done:stop]
            store.append_segment(rows, moved)
            changes = rows.take(np.flatnonzero(moved))
            self._zone_map.append(changes.ts_recv_ns, changes.bid_price, changes.ask_price)
            self._zone_map.evict(self.last_recv_ns - self._hold_ns)
            self._zoned = store.hot.first_row
            done = stop
        return done

    def _make_room(self) -> None:
        appended = self.appended
        store = self._store
        if appended - self._zoned >= ZONE_ROWS:
            new = joined(store.price_changes(self._zoned, appended))
            self._zone_map.append(new.ts_recv_ns, new.bid_price, new.ask_price)
            self._zone_map.evict(self.last_recv_ns - self._hold_ns)
            self._zoned = appended
        self._write_to_hot(appended, store.make_room(appended, self.last_recv_ns))

    def _write_to_hot(self, appended: int, limit_row: int) -> None:
        hot = self._store.hot
        self._memory = hot.memory
        self._offset = (appended - hot.first_row) * ROW_BYTES
        self._limit = (limit_row - hot.first_row) * ROW_BYTES

    def load(self, columns: Columns) -> None:
        """Take rows from before every row that is held, newest part first where they come in parts.

        What is older than `hold_h` is left out. `appended` and `clock_steps` do not count them. The newest of a
        window without rows is what `last` and `as_of` tell from then on.

        Raises:
            ValueError: If receive times go back, or do not end before the oldest row; nothing was taken.
        """
        store, recv_ns = self._store, columns.ts_recv_ns
        if not columns.rows:
            return
        if (recv_ns[1:] < recv_ns[:-1]).any():
            raise ValueError("rows to load must be in order of receipt")
        if store.has_evicted:
            return  # whatever is older than rows that were dropped is too old as well
        if self._last is not None and recv_ns[-1] >= store.oldest_recv_ns:
            raise ValueError("rows to load must be older than every row that is held")
        newest_ns = int(recv_ns[-1]) if self._last is None else self.last_recv_ns
        columns = columns.slice(int(np.searchsorted(recv_ns, newest_ns - self._hold_ns)), columns.rows)
        if columns.rows:
            self._load(columns, newest_ns)

    def _load(self, columns: Columns, newest_ns: int) -> None:
        store, appended = self._store, self.appended
        young = columns.rows - int(np.searchsorted(columns.ts_recv_ns, newest_ns - self._rolling_ns))
        behind = None if self._last is None else store.row(store.oldest_row)
        changed = _changed(columns, behind)
        store.load(columns, changed, young, appended)
        moved = np.flatnonzero(changed[:-1])
        self._zone_map.prepend(columns.ts_recv_ns[moved], columns.bid_price[moved], columns.ask_price[moved])
        self._write_to_hot(appended, appended)  # full: the next row makes room first
        if self._last is None:
            self.last_recv_ns = newest_ns
            self._last = quote_of(store.row(-1))
            self._bid, self._ask = self._last.bid_price, self._last.ask_price

    @property
    def appended(self) -> int:
        """How many rows were ever appended."""
        return self._store.hot.first_row + self._offset // ROW_BYTES

    @property
    def nbytes(self) -> int:
        """Bytes held for rows, the price-change index and the zone map; buffers count at their full capacity."""
        return self._store.nbytes + self._zone_map.nbytes

    def __len__(self) -> int:
        """Rows of the last `hold_h` hours."""
        return self.appended - self._row_at(self.last_recv_ns - self._hold_ns)

    def last(self) -> TopOfBook | None:
        """The newest quote; None before the first."""
        return self._last

    def between(self, start_ns: int, stop_ns: int) -> Columns:
        """Rows received from `start_ns` to before `stop_ns`, none older than `hold_h`.

        A view without copying where the rows stand in one part, as the last `rolling_s` always do.
        """
        start_row, stop_row = self._range(start_ns, stop_ns)
        hot = self._store.hot
        if start_row >= hot.first_row:
            return hot.view(start_row, stop_row)
        return joined(self._store.parts(start_row, stop_row))

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From `start_ns` to the next quote some may be missing."""
        self.gap_marks.begin(start_ns, reason, self._first_since)

    def gaps(self, start_ns: int, stop_ns: int) -> list[KnownGap]:
        """Where quotes may be missing within a span, by start; `between` and `as_of` know nothing of it."""
        return self.gap_marks.between(start_ns, stop_ns, self._first_since)

    def _first_since(self, ts_ns: int) -> int | None:
        number = self._row_at(ts_ns)
        return None if number == self.appended else self._store.row(number)[0]

    def price_changes(self, start_ns: int, stop_ns: int) -> Columns:
        """The rows of `between` whose bid or ask price differs from the row before; a copy."""
        return joined(self._store.price_changes(*self._range(start_ns, stop_ns)))

    def extremes(self, start_ns: int, stop_ns: int) -> tuple[float, float]:
        """The highest bid and the lowest ask of the rows of `between` and of the one that stood at their start.

        0 where nobody bid, infinity where nobody offered. Whole seconds are looked up in the zone map: a day takes
        little more than a minute.
        """
        start_ns = max(start_ns, self.last_recv_ns - self._hold_ns)
        if start_ns >= stop_ns or self._last is None:
            return NOBODY
        zones, row_at = self._zone_map, self._row_at
        first_s = -(-start_ns // BUCKET_NS)
        stop_s = max(stop_ns // BUCKET_NS, first_s)
        start_row, stop_row = row_at(start_ns), row_at(stop_ns)
        ranges = (
            (start_row, min(max(row_at(first_s * BUCKET_NS), start_row + 1), stop_row)),  # its first row, in any case
            (max(row_at(stop_s * BUCKET_NS), start_row), stop_row),
            (max(self._zoned, start_row), stop_row),  # not in the zone map yet
        )
        parts = [part for low, high in ranges for part in self._store.prices(low, high)]
        stood = self._row_as_of(start_ns)
        if stood is not None:
            parts.append((np.array([stood[3]]), np.array([stood[5]])))
        high, low = extremes_of(parts)
        zoned_high, zoned_low = zones.extremes(zones.at(first_s), zones.at(stop_s))
        return max(high, zoned_high), min(low, zoned_low)

    def zones(self, start_ns: int, stop_ns: int) -> Zones:
        """Of every second that the span touches and in which a price changed, and of the last one before; a copy."""
        zones = self._zone_map
        start, stop = zones.at(start_ns // BUCKET_NS), zones.at(-(-stop_ns // BUCKET_NS))
        found = zones.slice(max(start - 1, 0), stop)
        stop_row = self._row_at(stop_ns)
        if stop_row <= self._zoned:
            return found
        new = joined(self._store.price_changes(self._zoned, stop_row))
        return joined_zones(found, zones_of(new.ts_recv_ns, new.bid_price, new.ask_price))

    def as_of(self, ts_ns: int) -> tuple[int, TopOfBook] | None:
        """Receive time and quote of the newest row received at `ts_ns` or before; None where none is held."""
        if ts_ns >= self.last_recv_ns:
            return None if self._last is None else (self.last_recv_ns, self._last)
        row = self._store.row_before(ts_ns + 1, self.appended)
        if row is None or row[0] < self.last_recv_ns - self._hold_ns:
            return None
        return row[0], quote_of(row)

    def _row_as_of(self, ts_ns: int) -> RowValues | None:
        row = self._store.row_before(ts_ns + 1, self.appended)
        return None if row is None or row[0] < self.last_recv_ns - self._hold_ns else row

    def _range(self, start_ns: int, stop_ns: int) -> tuple[int, int]:
        start_row = self._row_at(max(start_ns, self.last_recv_ns - self._hold_ns))
        return start_row, max(start_row, self._row_at(stop_ns))

    def _row_at(self, ts_ns: int) -> int:
        return self.appended if ts_ns > self.last_recv_ns else self._store.row_at(ts_ns, self.appended)


def pack_row(ts_recv_ns: int, quote: TopOfBook) -> bytes:
    """A row in the memory of `ROW`.

    Raises:
        OverflowError: If an integer does not fit 64 bits.
    """
    prices = (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty)
    try:
        return _pack(ts_recv_ns, quote.ts_event_ns or 0, quote.sequence, *prices)
    except struct.error as error:
        raise OverflowError(f"an integer that does not fit 64 bits: {quote!r}") from error


def quote_of(row: RowValues) -> TopOfBook:
    """A row as a model; its receive time stands beside it."""
    _, event_ns, sequence, bid_price, bid_qty, ask_price, ask_qty = row
    return _quote(
        {
            "bid_price": bid_price,
            "bid_qty": bid_qty,
            "ask_price": ask_price,
            "ask_qty": ask_qty,
            "sequence": sequence,
            "ts_event_ns": event_ns or None,
        }
    )


def _changed(columns: Columns, behind: RowValues | None) -> Bits:
    """Which of the rows, and last whether the one behind them, has another bid or ask than the row before."""
    bid, ask = np.ascontiguousarray(columns.bid_price), np.ascontiguousarray(columns.ask_price)
    changed = np.ones(columns.rows + 1, np.bool_)
    changed[1:-1] = (bid[1:] != bid[:-1]) | (ask[1:] != ask[:-1])
    if behind is not None:
        changed[-1] = bool(behind[3] != bid[-1] or behind[5] != ask[-1])
    return changed
