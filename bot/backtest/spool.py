"""Pieces of a tape on disk, so that a long one needs no more memory than a short one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.backtest.books import BookEvent
from bot.backtest.tape import Event, Piece
from bot.market.columns import Columns


class Spool:
    """Takes the pieces of one tape and gives them back in order, as often as asked.

    The newest piece stays in memory: a short tape never touches the disk.
    """

    def __init__(self, directory: Path) -> None:
        """Keep files in `directory`, which is there, and is the caller's to remove."""
        self._directory = directory
        self._events: list[tuple[Event, ...]] = []
        self._newest: Piece | None = None
        self.rows = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    def add(self, piece: Piece) -> None:
        """The next piece."""
        if self._newest is not None:
            self._write(self._newest)
        self._newest = piece
        self.rows += len(piece)
        if len(piece):
            self.first_ns = int(piece.rows.ts_recv_ns[0]) if self.first_ns is None else self.first_ns
            self.last_ns = int(piece.rows.ts_recv_ns[-1])

    def pieces(self) -> Iterator[Piece]:
        """Every piece from the first one on."""
        for number, events in enumerate(self._events):
            columns = Columns(*(self._read(number, name) for name in Columns._fields))
            yield Piece(
                self._read(number, "slot"), self._read(number, "ends"), columns, events, self._read_books(number)
            )
        if self._newest is not None:
            yield self._newest

    def _write(self, piece: Piece) -> None:
        number = len(self._events)
        for name, column in {"slot": piece.slot, "ends": piece.ends, **piece.rows._asdict()}.items():
            np.save(self._path(number, name), column, allow_pickle=False)
        with self._path(number, "books").with_suffix(".jsonl").open("w") as file:
            file.writelines(f"{event.model_dump_json()}\n" for event in piece.books)
        self._events.append(tuple(piece.events))

    def _read(self, number: int, name: str) -> NDArray[Any]:
        column: NDArray[Any] = np.load(self._path(number, name), allow_pickle=False)
        return column

    def _read_books(self, number: int) -> tuple[BookEvent, ...]:
        with self._path(number, "books").with_suffix(".jsonl").open() as file:
            return tuple(BookEvent.model_validate_json(line) for line in file)

    def _path(self, number: int, name: str) -> Path:
        return self._directory / f"{number:04}-{name}.npy"
