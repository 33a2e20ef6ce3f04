"""Rows as they come in: packed into small blocks, which are handed over whole and never written to again."""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
"""A structured array."""
BLOCK_ROWS = 4_096


class RowBuffer:
    """Rows of one layout. Times must be the second value of a row, slots the first."""

    __slots__ = ("_block", "_dtype", "_full", "_limit", "_memory", "_offset", "_pack_into", "_row_bytes", "taken")

    def __init__(self, layout: str, names: Sequence[str]) -> None:
        """Empty.

        Args:
            layout: For `struct`, without gaps; `q`, `d` and `?` are known.
            names: Of the columns.
        """
        packer = struct.Struct("=" + layout)
        kinds = {"q": "=i8", "d": "=f8", "?": "?"}
        self._pack_into: Callable[..., None] = packer.pack_into
        self._row_bytes = packer.size
        self._dtype = np.dtype([(name, kinds[code]) for name, code in zip(names, layout, strict=True)])
        self._full: list[Rows] = []
        self.taken = 0
        """Rows handed over so far."""
        self._next_block()

    def _next_block(self) -> None:
        self._block = np.empty(BLOCK_ROWS, self._dtype)
        # The rows as bytes: packing into them takes a third of the time that numpy needs to set a row.
        self._memory = self._block.view(np.uint8).data
        self._offset = 0
        self._limit = BLOCK_ROWS * self._row_bytes

    def add(self, *values: Any) -> None:
        """Keep one row.

        Raises:
            OverflowError: If an integer does not fit 64 bits; nothing was kept.
        """
        offset = self._offset
        try:
            self._pack_into(self._memory, offset, *values)
        except struct.error as error:
            raise OverflowError(f"a number that fits no column: {values!r}") from error
        self._advance(offset)

    def _advance(self, offset: int) -> None:
        self._offset = offset = offset + self._row_bytes
        if offset == self._limit:
            self._full.append(self._block)
            self._next_block()

    def __len__(self) -> int:
        return len(self._full) * BLOCK_ROWS + self._offset // self._row_bytes

    @property
    def received(self) -> int:
        """Rows that ever came."""
        return self.taken + len(self)

    def blocks(self) -> list[Rows]:
        """The rows that are here, oldest first; views, not copies."""
        filled = self._offset // self._row_bytes
        return [*self._full, self._block[:filled]] if filled else list(self._full)

    def take(self) -> list[Rows]:
        """The rows that are here, which then belong to the caller."""
        blocks = self.blocks()
        self.taken += len(self)
        self._full = []
        if self._offset:
            self._next_block()
        return blocks


def joined(blocks: Sequence[Rows]) -> Rows:
    """One array of all blocks."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def in_order(times_ns: NDArray[np.int64], floor_ns: int) -> NDArray[np.int64]:
    """Times that never go back: a row stamped before its predecessor (the clock was stepped) gets its time.

    `floor_ns` is the time of the row before the first one.
    """
    ordered: NDArray[np.int64] = np.maximum.accumulate(np.maximum(times_ns, floor_ns))
    return ordered


def newest_of(known: NDArray[np.int64], parts: Iterable[Sequence[Rows]]) -> NDArray[np.int64]:
    """By slot: the time of its newest row, in these parts or known before; times never go back."""
    newest = known.copy()
    for blocks in parts:
        for rows in blocks:
            np.maximum.at(newest, rows["slot"], rows["ts_recv_ns"])
    return newest
