"""A file's rows on the way into the archive: all of them on disk first, then in order of time, piece by piece.

Nothing reaches the archive before the last line has been read, so a bad line leaves nothing behind. And history files
need not be in order: some go back in time, some interleave the logs of two servers. Memory holds one piece.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel

PIECE_ROWS = 500_000
"""Rows of a segment, unless one minute has more."""
MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole minutes of one UTC day."""

    start_ns: int
    stop_ns: int
    rows: int


class Spool:
    """Rows of one instrument and channel, in a file of its own, which `close` removes."""

    def __init__(self, path: Path, channel: Channel, instrument: str) -> None:
        """Empty.

        Raises:
            StorageError: If the file cannot be made.
        """
        self._path = path
        self._instrument = instrument
        self._schema = SCHEMAS[channel]
        fields = [field for field in self._schema if field.name != "instrument"]
        self._columns = pa.schema(fields)
        self._minutes: Counter[int] = Counter()
        self._bounds: list[tuple[int, int]] = []
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_file(self._file, self._columns, options=_OPTIONS)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error}") from error
        self._reader: pa.RecordBatchFileReader | None = None
        self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Append rows.

        Raises:
            StorageError: If the disk does not take them.
        """
        rows = table.select(self._columns.names).cast(self._columns)
        for batch in rows.combine_chunks().to_batches():
            recv = np.asarray(batch.column("ts_recv_ns"))
            minutes, counts = np.unique(recv // MINUTE_NS, return_counts=True)
            self._minutes.update(dict(zip(minutes.tolist(), counts.tolist(), strict=True)))
            self._bounds.append((int(recv.min()), int(recv.max())))
            try:
                self._writer.write_batch(batch)
            except OSError as error:
                raise StorageError(f"{self._path} cannot be written: {error}") from error
            self.rows += batch.num_rows

    def pieces(self) -> list[Piece]:
        """What the segments are to be: the same for the same rows, whenever this is asked."""
        found: list[Piece] = []
        for minute, rows in sorted(self._minutes.items()):
            start_ns, stop_ns = minute * MINUTE_NS, (minute + 1) * MINUTE_NS
            last = found[-1] if found else None
            if last and last.start_ns // DAY_NS == start_ns // DAY_NS and last.rows + rows <= PIECE_ROWS:
                found[-1] = Piece(last.start_ns, stop_ns, last.rows + rows)
            else:
                found.append(Piece(start_ns, stop_ns, rows))
        return found

    def table(self, piece: Piece) -> pa.Table:
        """The rows of a piece in the channel's schema, by time; equal times by the venue's sequence, else as they came.

        Raises:
            StorageError: If they cannot be read.
        """
        try:
            reader = self._opened()
            parts = [
                _between(reader.get_batch(at), piece)
                for at, (low, high) in enumerate(self._bounds)
                if low < piece.stop_ns and high >= piece.start_ns
            ]
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error
        rows = pa.Table.from_batches(parts, self._columns)
        rows = rows.take(pa.array(_order(rows)))
        name = pa.repeat(pa.scalar(self._instrument, pa.string()), len(rows))
        return rows.add_column(0, "instrument", name).select(self._schema.names).cast(self._schema)

    def close(self) -> None:
        """Remove the file; calling it twice does nothing."""
        if self._reader is None:
            self._writer.close()
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _opened(self) -> pa.RecordBatchFileReader:
        if self._reader is None:
            self._writer.close()
            self._file.close()
            self._file = pa.OSFile(str(self._path), "rb")
            self._reader = pa.ipc.open_file(self._file)
        return self._reader


def digest(pieces: Iterable[Piece]) -> str:
    """Of what a file is to become."""
    text = ";".join(f"{piece.start_ns},{piece.stop_ns},{piece.rows}" for piece in pieces)
    return hashlib.sha256(text.encode()).hexdigest()


def _between(batch: pa.RecordBatch, piece: Piece) -> pa.RecordBatch:
    recv = np.asarray(batch.column("ts_recv_ns"))
    inside = (recv >= piece.start_ns) & (recv < piece.stop_ns)
    return batch if inside.all() else batch.filter(pa.array(inside))


def _order(rows: pa.Table) -> NDArray[np.intp]:
    recv = np.asarray(rows.column("ts_recv_ns"))
    if "sequence" in rows.column_names:
        return np.lexsort((np.asarray(rows.column("sequence")), recv))
    return np.argsort(recv, kind="stable")
