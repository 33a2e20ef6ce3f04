"""A segment's rows in the order that documents go by: instrument, then time; and where one document ends."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.storage.archive.channels import Channel

MINUTE_NS = 60_000_000_000
_Numbers = NDArray[np.int64]


class Form(StrEnum):
    """What one document holds."""

    ROW = "tick"
    """One row."""
    MESSAGE = "message"
    """The levels of one depth message."""
    MINUTE = "minute"
    """One instrument's quotes of a minute: columns, in parts of bounded size."""


class SegmentRows:
    """Rows sorted by instrument and receipt; where both are equal they keep the order in which they came."""

    def __init__(self, table: pa.Table, form: Form) -> None:
        """Sort them, unless they are."""
        names, codes = _codes(table)
        ts = _numbers(table, "ts_recv_ns")
        order = np.lexsort((ts, codes))
        if len(order) and not bool((np.diff(order) == 1).all()):
            table, codes, ts = table.take(pa.array(order)), codes[order], ts[order]
        self.table = table.combine_chunks()
        self.ts = ts
        self._names = names
        self._codes = codes
        self._units = self._ends(form)

    def __len__(self) -> int:
        return len(self.ts)

    def instruments(self, start: int, stop: int) -> list[str]:
        """The instrument of each row from `start` to before `stop`."""
        return [self._names[code] for code in self._codes[start:stop].tolist()]

    def instrument(self, row: int) -> str:
        """The instrument of a row."""
        return self._names[int(self._codes[row])]

    def slice_end(self, start: int, units: int, rows: int) -> int:
        """The end of a slice from `start` of that many documents or rows at most, and of one document at least."""
        at = int(np.searchsorted(self._units, start, side="right"))
        by_rows = int(np.searchsorted(self._units, start + rows, side="right")) - 1
        last = min(max(by_rows, at), at + units - 1, len(self._units) - 1)
        return int(self._units[last])

    def units(self, start: int, stop: int) -> list[tuple[int, int]]:
        """First and last + 1 row of every document from `start` to before `stop`."""
        lo, hi = np.searchsorted(self._units, (start, stop))
        bounds = self._units[lo : hi + 1].tolist()
        return list(pairwise(bounds))

    def ordinals(self, start: int, stop: int) -> list[int]:
        """How many rows of the same instrument and nanosecond stand before each."""
        firsts = self._starts(self.ts)
        at = np.searchsorted(firsts, np.arange(start, stop), side="right") - 1
        ordinals: list[int] = (np.arange(start, stop) - firsts[at]).tolist()
        return ordinals

    def _ends(self, form: Form) -> _Numbers:
        """Starts of all documents, and behind them the end of the last."""
        if form is Form.ROW:
            return np.arange(len(self) + 1)
        if form is Form.MESSAGE:
            starts = self._starts(self.ts, _numbers(self.table, "message"))
        else:
            starts = self._starts(self.ts // MINUTE_NS)
        return np.append(starts, len(self))

    def _starts(self, *keys: _Numbers) -> _Numbers:
        """Rows at which the instrument or one of the keys is not what it was in the row before."""
        if not len(self):
            return np.zeros(0, np.int64)
        is_new = np.zeros(len(self), np.bool_)
        is_new[0] = True
        for key in (self._codes, *keys):
            is_new[1:] |= key[1:] != key[:-1]
        return np.flatnonzero(is_new)


def form_of(channel: Channel, quotes: Form) -> Form:
    """How the channel's rows become documents, where quotes do it as told."""
    if channel is Channel.DEPTH:
        return Form.MESSAGE
    return quotes if channel is Channel.QUOTES else Form.ROW


def _codes(table: pa.Table) -> tuple[Sequence[str], _Numbers]:
    """Names in their order, and for each row the place of its own."""
    column = table["instrument"].combine_chunks().dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    names: list[str] = column.dictionary.to_pylist()
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    codes = rank[column.indices.to_numpy()] if len(names) else np.zeros(0, np.int64)
    return sorted(names), codes


def _numbers(table: pa.Table, name: str) -> _Numbers:
    numbers: _Numbers = table[name].to_numpy()
    return numbers
