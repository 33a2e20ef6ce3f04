"""One file, block by block: Feather (Arrow IPC, zstd) whose blocks carry checksums and can be read alone."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from bot.storage.archive.channels import Channel
from bot.storage.archive.differences import Flags, Ints, differences, filled, group_starts, running_sums
from bot.storage.archive.errors import FileDamaged
from bot.storage.archive.layout import Layout, layout_in, layout_of, metadata, step_column
from bot.storage.archive.wide import codes_of

BLOCK_ROWS = 65_536
_MAGIC_BYTES = 8
_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that lie together in a file."""

    offset: int
    length: int
    sha256: bytes
    rows: int
    first_instrument: str
    last_instrument: str
    min_ns: int
    max_ns: int
    carry: Mapping[str, int]
    """Value that the first difference of each column is to; empty where the block begins an instrument."""


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """Everything of a file but its name."""

    data: pa.Buffer
    sha256: bytes
    header: Block
    """Schema and dictionaries, which every block needs; it has no rows."""
    blocks: tuple[Block, ...]


class FileEncoder:
    """Takes wide rows in file order and makes a file of them."""

    def __init__(self, channel: Channel, scope: str, schema: pa.Schema, steps: Mapping[str, int]) -> None:
        """`schema`: of the wide rows; the dictionaries of all of them must be the same. `steps`: by column."""
        self._schema = schema.with_metadata(metadata(channel, scope, schema, steps))
        self._layout = layout_in(self._schema, "")
        self._sink = pa.BufferOutputStream()
        self._writer = pa.ipc.new_file(self._sink, self._schema, options=_OPTIONS)
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._carry: dict[str, int] = {}
        self._last_instrument: str | None = None
        self._spans: list[int] = []
        self._facts: list[tuple[int, str, str, int, int, Mapping[str, int]]] = []

    def add(self, wide: pa.Table) -> None:
        """Append rows."""
        self._waiting.append(wide)
        self._waiting_rows += len(wide)
        if self._waiting_rows >= BLOCK_ROWS:
            whole = self._waiting_rows // BLOCK_ROWS * BLOCK_ROWS
            waiting = pa.concat_tables(self._waiting)
            for start in range(0, whole, BLOCK_ROWS):
                self._write(waiting.slice(start, BLOCK_ROWS))
            self._waiting, self._waiting_rows = [waiting.slice(whole)], len(waiting) - whole

    def finish(self) -> EncodedFile:
        """The file."""
        if self._waiting_rows:
            self._write(pa.concat_tables(self._waiting))
        self._writer.close()
        data = self._sink.getvalue()
        start = _first_batch(data.slice(0, self._spans[0])) if self._spans else len(data)
        header = Block(0, start, _sha256(data.slice(0, start)), 0, "", "", 0, 0, {})
        bounds = pairwise([start, *self._spans])
        blocks = tuple(
            Block(begin, end - begin, _sha256(data.slice(begin, end - begin)), *facts)
            for (begin, end), facts in zip(bounds, self._facts, strict=True)
        )
        return EncodedFile(data, _sha256(data), header, blocks)

    def _write(self, wide: pa.Table) -> None:
        batch = wide.combine_chunks().to_batches()[0]
        instrument = batch.column("instrument")
        codes = codes_of(instrument)
        starts = group_starts(codes)
        names = [instrument.dictionary[int(codes[at])].as_py() for at in (0, -1)]
        carry = self._carry if names[0] == self._last_instrument else {}
        recv = np.asarray(batch.column("ts_recv_ns"))
        self._facts.append((len(batch), *names, int(recv.min()), int(recv.max()), dict(carry)))
        self._last_instrument, self._carry = names[1], {}
        arrays = [self._encoded(name, batch.column(name), starts, carry.get(name, 0)) for name in self._schema.names]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._spans.append(self._sink.tell())

    def _encoded(
        self, name: str, array: pa.Array, starts: "np.ndarray[tuple[int], np.dtype[np.intp]]", carry: int
    ) -> pa.Array:
        if name not in self._layout.differences:
            return array
        if array.null_count == len(array):
            self._carry[name] = carry if len(starts) == 1 else 0
            return array
        valid, values = _valid(array), _ints(array) // self._layout.steps.get(name, 1)
        if valid is not None:
            values = filled(values, valid, starts, carry)
        self._carry[name] = int(values[-1])
        steps = differences(values, starts, carry)
        return pa.array(steps, mask=None if valid is None else ~valid)


def encoded(channel: Channel, scope: str, wide: pa.Table) -> EncodedFile:
    """A file of wide rows, at least one."""
    steps = {name: wide.column(step_column(name))[0].as_py() for name in layout_of(channel).steps}
    encoder = FileEncoder(channel, scope, wide.schema, steps)
    encoder.add(wide)
    return encoder.finish()


class FileHeader:
    """Schema and dictionaries of a file, checked: what its blocks are read with."""

    def __init__(self, data: bytes, path: str) -> None:
        self._stream = data[_MAGIC_BYTES:]
        self._path = path
        self.schema = pa.ipc.read_schema(pa.py_buffer(self._stream))
        self.layout = layout_in(self.schema, path)

    def read(self, block: bytes, columns: Collection[str]) -> pa.Table:
        """The rows of one block as the file has them."""
        chosen = [at for at, name in enumerate(self.schema.names) if name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=chosen)
        return pa.ipc.open_stream(pa.py_buffer(self._stream + block), options=options).read_all()


def decoded(raw: pa.Table, layout: Layout, carry: Mapping[str, int]) -> pa.Table:
    """Wide rows out of a file's rows that stand together; `carry`: what the first differences are to."""
    if not len(raw) or not any(name in layout.differences for name in raw.column_names):
        return raw
    raw = raw.combine_chunks()
    starts = group_starts(codes_of(raw.column("instrument").chunk(0)))
    for at, name in enumerate(raw.column_names):
        if name in layout.differences:
            array = raw.column(name).chunk(0)
            if array.null_count == len(array):
                continue
            valid = _valid(array)
            sums = running_sums(_ints(array), starts, carry.get(name, 0)) * layout.steps.get(name, 1)
            raw = raw.set_column(at, raw.schema.field(at), pa.array(sums, mask=None if valid is None else ~valid))
    return raw


def _ints(array: pa.Array) -> Ints:
    return np.asarray(array.fill_null(0) if array.null_count else array)


def checked(data: bytes, sha256: bytes, path: str) -> bytes:
    """The same bytes.

    Raises:
        FileDamaged: If they are not those that were written.
    """
    if hashlib.sha256(data).digest() != sha256:
        raise FileDamaged(f"archive file {path} is damaged (checksum): restore it from a backup, or move it away")
    return data


def _valid(array: pa.Array) -> Flags | None:
    return np.asarray(array.is_valid()) if array.null_count else None


def _sha256(data: pa.Buffer) -> bytes:
    return hashlib.sha256(data).digest()


def _first_batch(data: pa.Buffer) -> int:
    """Where the first record batch begins."""
    return next(offset for offset, kind in _messages(data) if kind == "record batch")


def _messages(data: pa.Buffer) -> Iterator[tuple[int, str]]:
    reader = pa.BufferReader(data)
    reader.seek(_MAGIC_BYTES)
    while reader.tell() < len(data):
        offset = reader.tell()
        yield offset, pa.ipc.read_message(reader).type
