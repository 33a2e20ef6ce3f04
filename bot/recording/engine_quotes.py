"""Quotes beside an engine: its windows keep what its gate let pass, so that only the rest is kept here.

The engine has packed every accepted quote into a window already. Once a minute the new rows are taken from there as
views, without a copy; a refused quote is packed here, with the number of rows that the window had then, which is its
place among them. Rows are counted, not timed: none is lost or doubled, however many have the same time.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.market.columns import Columns
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.quotes import QUOTE_LAYOUT, QUOTE_NAMES, quote_table
from bot.recording.rows import RowBuffer, Rows, in_order, joined, newest_of
from bot.storage.archive.channels import Channel


class KeptRows(Protocol):
    """What is asked of a window."""

    @property
    def last_recv_ns(self) -> int:
        """Receive time of the newest row; 0 before the first."""

    @property
    def appended(self) -> int:
        """How many rows were ever appended."""

    def between(self, start_ns: int, stop_ns: int) -> Columns:
        """Rows received from `start_ns` to before `stop_ns`."""


class EngineSlot(Protocol):
    """What is asked of an engine's slot; `bot.engine.slot.InstrumentSlot` is one."""

    @property
    def quote(self) -> TopOfBook | None:
        """The newest quote, if it was accepted."""

    @property
    def raw(self) -> bytes | None:
        """Payload of the newest accepted quote."""

    @property
    def window(self) -> KeptRows:
        """Where accepted quotes are."""

    def event_time_ns(self) -> int:
        """When the venue made the newest accepted quote, UTC ns."""


_Part = tuple[int, int, Columns]
"""Slot, the number of the first row, rows."""
_Floors = NDArray[np.int64]
"""By slot: the time of the newest row that was taken before."""


class WindowQuotes:
    """The new rows of an engine's windows. Make it before the first quote, and after the windows were filled."""

    def __init__(self, directory: Directory, slots: Sequence[EngineSlot]) -> None:
        """`slots` are the engine's, in the order of the directory. Windows must hold longer than rows wait here."""
        self._directory = directory
        self._slots = slots
        self._done = [(slot.window.appended, slot.window.last_recv_ns) for slot in slots]
        self._begun = [appended for appended, _ in self._done]
        # `place` is how many rows the window had.
        names = (*QUOTE_NAMES, "place")
        self._refused = {feed: RowBuffer(QUOTE_LAYOUT + "q", names) for feed in directory.slots_of}
        self._floors: _Floors = np.array([newest_ns for _, newest_ns in self._done], np.int64)

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Keep a quote that the engine refused."""
        self._refused[self._directory.instruments[slot].feed].add(
            slot,
            ts_recv_ns,
            quote.ts_event_ns or 0,
            quote.sequence,
            quote.bid_price,
            quote.bid_qty,
            quote.ask_price,
            quote.ask_qty,
            self._slots[slot].window.appended,
        )

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""
        batches = []
        for feed, slots in self._directory.slots_of.items():
            parts = [part for slot in slots if (part := self._new_rows(slot)) is not None]
            refused = self._refused[feed].take()
            if parts or refused:
                batches.append(self._batch(feed, parts, refused))
        return batches

    def _new_rows(self, slot: int) -> _Part | None:
        window = self._slots[slot].window
        first, since_ns = self._done[slot]
        appended, newest_ns = window.appended, window.last_recv_ns
        if appended == first:
            return None
        self._done[slot] = appended, newest_ns
        rows = window.between(since_ns, newest_ns + 1)
        # The oldest of them may have the time of rows that were taken before.
        return slot, first, rows.slice(max(0, rows.rows - (appended - first)), rows.rows)

    def _batch(self, feed: Feed, parts: list[_Part], refused: list[Rows]) -> Batch:
        before, newest = self._floors, newest_of(self._floors, [refused])
        for slot, _, part in parts:
            newest[slot] = max(newest[slot], part.ts_recv_ns[-1])
        self._floors = newest
        starts = [int(part.ts_recv_ns[0]) for _, _, part in parts] + [int(rows["ts_recv_ns"].min()) for rows in refused]
        rows = sum(part.rows for _, _, part in parts) + sum(map(len, refused))
        stop_ns = int(newest[self._directory.slots_of[feed]].max()) + 1
        build = partial(_table, self._directory, parts, refused, before)
        return Batch(Channel.QUOTES, str(feed), rows, min(starts), stop_ns, build)

    def waiting(self) -> int:
        """How many rows `take` would hand over."""
        new = (slot.window.appended - first for slot, (first, _) in zip(self._slots, self._done, strict=True))
        return sum(new) + sum(map(len, self._refused.values()))

    def received(self, feed: Feed) -> int:
        """Rows of the feed that came since this was made."""
        slots = self._directory.slots_of[feed]
        accepted = sum(self._slots[slot].window.appended - self._begun[slot] for slot in slots)
        return accepted + self._refused[feed].received

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest accepted quote was received; 0 where none was."""
        return np.array([slot.window.last_recv_ns for slot in self._slots], np.int64)

    def newest(self, slot: int) -> tuple[int, bytes] | None:
        """The venue's time of the newest quote and its payload; None while the gate refuses them."""
        kept = self._slots[slot]
        return (kept.event_time_ns(), kept.raw) if kept.quote is not None and kept.raw is not None else None

    def forget(self, feed: Feed) -> None:
        """The engine forgets them by itself."""


def _table(directory: Directory, parts: Sequence[_Part], refused: Sequence[Rows], floors: _Floors) -> pa.Table:
    """Instrument by instrument: readers go by instrument, and nothing has to be sorted."""
    late: dict[int, Rows] = {}
    if refused:
        rows = joined(refused)
        late = {int(slot): rows[rows["slot"] == slot] for slot in np.unique(rows["slot"])}
    pieces = [_merged(slot, first, part, late.pop(slot, None), int(floors[slot])) for slot, first, part in parts]
    pieces += [_alone(rows, int(floors[slot])) for slot, rows in late.items()]
    return quote_table(directory, {name: np.concatenate([one[name] for one in pieces]) for name in QUOTE_NAMES})


def _merged(slot: int, first: int, part: Columns, late: Rows | None, floor_ns: int) -> dict[str, NDArray[Any]]:
    """One instrument's rows, refused ones put where they came."""
    columns: dict[str, NDArray[Any]] = {"slot": np.full(part.rows, slot, np.int64), **part._asdict()}
    if late is not None:
        places = np.clip(late["place"] - first, 0, part.rows)
        columns = {name: np.insert(column, places, late[name]) for name, column in columns.items()}
    return columns | {"ts_recv_ns": in_order(columns["ts_recv_ns"], floor_ns)}


def _alone(late: Rows, floor_ns: int) -> dict[str, NDArray[Any]]:
    return {name: late[name] for name in QUOTE_NAMES} | {"ts_recv_ns": in_order(late["ts_recv_ns"], floor_ns)}
