"""Rows as other programs like them: plain Feather, Parquet or CSV, one file."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.text import inert

_FORMULA = r"^[=+\-@\t\r]"
"""What makes a spreadsheet calculate a cell."""


class ExportFormat(StrEnum):
    """What a file is."""

    FEATHER = "feather"
    PARQUET = "parquet"
    CSV = "csv"


class Chunks(Protocol):
    """`ArchiveStore.chunks`."""

    def __call__(self, channel: Channel, instrument: str, start_ns: int, stop_ns: int) -> Iterator[pa.Table]:
        """Tables of one channel and instrument in a span, one after the other."""


def export(
    chunks: Chunks,
    channel: Channel,
    instruments: Sequence[str],
    span: tuple[int, int],
    path: Path,
    file_format: ExportFormat,
    progress: Callable[[float], None] | None,
) -> int:
    """See `ArchiveStore.export`."""
    part = path.with_name(path.name + ".part")
    rows = 0
    try:
        with part.open("wb") as file:
            with _writer(file, SCHEMAS[channel], file_format) as writer:
                for done, instrument in enumerate(instruments):
                    for chunk in chunks(channel, instrument, *span):
                        writer.write(plain(chunk) if file_format is ExportFormat.CSV else chunk)
                        rows += len(chunk)
                        if progress is not None and len(chunk):
                            progress((done + _part_done(chunk, span)) / len(instruments))
            file.flush()
            os.fsync(file.fileno())
        if rows or file_format is ExportFormat.CSV:
            part.replace(path)
        else:
            path.unlink(missing_ok=True)  # rows of an earlier export would pass for what was asked now
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the first error is the one to tell
            part.unlink(missing_ok=True)
    if progress is not None:
        progress(1.0)
    return rows


def plain(table: pa.Table) -> pa.Table:
    """The same rows in columns that CSV can hold; no text begins like a formula, none has control characters."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_list(field.type):
            texts = pa.array([_json(value) for value in column.to_pylist()], pa.string())
            table = table.set_column(at, pa.field(field.name, pa.string()), texts)
        elif pa.types.is_string(field.type):
            table = table.set_column(at, field, _quoted(column))
    return table


def _quoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    shown = texts
    if not pc.all(pc.utf8_is_printable(texts)).as_py():
        # A file that a person looks at in a terminal; Feather and Parquet keep every byte.
        shown = pa.chunked_array([pa.array([inert(text) for text in texts.to_pylist()], pa.string())])
    is_formula = pc.or_(pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(shown, _FORMULA))
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", shown, ""), shown)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))


def _part_done(chunk: pa.Table, span: tuple[int, int]) -> float:
    newest: int = chunk.column("ts_recv_ns")[-1].as_py()
    return min(max((newest - span[0]) / max(span[1] - span[0], 1), 0.0), 1.0)


def _writer(file: Any, schema: pa.Schema, file_format: ExportFormat) -> Any:
    if file_format is ExportFormat.FEATHER:
        options = pa.ipc.IpcWriteOptions(compression="zstd", unify_dictionaries=True)
        return pa.ipc.new_file(file, schema, options=options)
    if file_format is ExportFormat.PARQUET:
        return pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
    return pyarrow.csv.CSVWriter(file, plain(schema.empty_table()).schema)
