"""History in CSV: columns by name where there is a header, by place where there is none; bad lines by number."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from bot.errors import RecordingError
from exchanges.common.history.files import DAY_NS, Span
from exchanges.common.history.history_stream import unpacked

SECONDS = pa.decimal128(19, 9)
"""A time in seconds with up to nine digits behind the point: its digits are nanoseconds."""
INTEGER, NUMBER, TRUTH, TEXT = pa.int64(), pa.float64(), pa.bool_(), pa.string()

_BLOCK_BYTES = 4 << 20
_MICROSECONDS_FROM = 10**14
"""As ms that would be the year 5138; as µs it is 1973."""
_REAL = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_WORDS = {
    INTEGER: (re.compile(r"-?\d{1,19}"), "a whole number"),
    NUMBER: (re.compile(_REAL + r"|[+-]?(nan|inf(inity)?)", re.IGNORECASE), "a number"),
    TRUTH: (re.compile(r"true|false|0|1", re.IGNORECASE), "true or false"),
    SECONDS: (re.compile(r"\d{1,10}(\.\d{0,9})?"), "a time in seconds"),
    TEXT: (re.compile(r".*"), "text"),
}


@dataclass(frozen=True)
class CsvForm:
    """A kind of file."""

    needed: Mapping[str, pa.DataType]
    """Columns that are read, and what is in them."""
    places: tuple[str, ...] = ()
    """All columns in the order of files without a header; empty: every file has one."""


@dataclass(frozen=True)
class CsvRows:
    """Lines of one file that follow one another."""

    path: Path
    first_line: int
    table: pa.Table

    def column(self, name: str) -> Any:
        """A column in one piece."""
        return self.table.column(name).combine_chunks()

    def times_ns(self, name: str, span: Span) -> NDArray[np.int64]:
        """A column of times in ms or µs (told by their size) or in SECONDS, as UTC ns.

        Raises:
            RecordingError: If one of them is more than a day off the file's span.
        """
        array = self.column(name)
        if array.type == SECONDS:
            # The low half of each 128-bit number; the high one is 0 for nineteen digits.
            ns = np.frombuffer(array.buffers()[1], np.int64)[2 * array.offset :: 2][: len(array)]
        else:
            numbers = np.asarray(array)
            factor = np.where(numbers >= _MICROSECONDS_FROM, 1_000, 1_000_000)
            largest = np.iinfo(np.int64).max // factor
            self.require((numbers >= 0) & (numbers <= largest), f"{name} is no time")
            ns = numbers * factor
        good = (ns >= span.start_ns - DAY_NS) & (ns < span.stop_ns + DAY_NS)
        self.require(good, f"{name} is not of {span.name}")
        return np.ascontiguousarray(ns)

    def positive(self, *names: str) -> None:
        """Raise RecordingError if a number is not above zero and finite."""
        for name in names:
            numbers = np.asarray(self.column(name))
            self.require(np.isfinite(numbers) & (numbers > 0), f"{name} is not above zero")

    def not_negative(self, *names: str) -> None:
        """Raise RecordingError if a number is below zero or not finite."""
        for name in names:
            numbers = np.asarray(self.column(name))
            self.require(np.isfinite(numbers) & (numbers >= 0), f"{name} is below zero or no number")

    def require(self, good: NDArray[np.bool_], why: str) -> None:
        """Raise RecordingError with the number of the first line that is not good."""
        if not good.all():
            bad(self.path, self.first_line + int(np.argmin(good)), why)


def bad(path: Path, line: int, why: str) -> NoReturn:
    """Raise RecordingError: what is wrong, and where."""
    raise RecordingError(f"{path}, line {line}: {why}; nothing of this file is kept")


def csv_rows(path: Path, form: CsvForm) -> Iterator[CsvRows]:
    """The lines of a file, some ten thousand at a time.

    Raises:
        RecordingError: With file and line, where a line has not the form.
    """
    names, has_header = _columns(path, form)
    line = 2 if has_header else 1
    try:
        with unpacked(path) as stream:
            for batch in _reader(stream, form, names, has_header):
                yield CsvRows(path, line, pa.Table.from_batches([batch]))
                line += batch.num_rows
    except pa.ArrowInvalid as error:
        _explain(path, form, names, has_header)
        raise RecordingError(f"{path}: {error}; nothing of this file is kept") from error


def _reader(stream: Any, form: CsvForm, names: Sequence[str], has_header: bool) -> Any:
    return csv.open_csv(
        stream,
        read_options=csv.ReadOptions(
            block_size=_BLOCK_BYTES, column_names=list(names), skip_rows=int(has_header), use_threads=False
        ),
        parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(form.needed),
            include_columns=list(form.needed),
            null_values=[],
            true_values=["true", "True", "TRUE", "1"],
            false_values=["false", "False", "FALSE", "0"],
        ),
    )


def _columns(path: Path, form: CsvForm) -> tuple[list[str], bool]:
    """The names of the columns, and whether the file tells them itself."""
    with unpacked(path) as stream:
        fields = stream.readline(65_536).decode("utf-8", "replace").rstrip("\r\n").split(",")
    if fields == [""]:
        bad(path, 1, "the file is empty")
    has_header = not re.fullmatch(_REAL, fields[0])
    if has_header:
        names = fields
    else:
        names = [*form.places, *(f"column {at + 1}" for at in range(len(form.places), len(fields)))][: len(fields)]
    missing = [name for name in form.needed if name not in names]
    if missing:
        bad(path, 1, f"no column {missing[0]}")
    return names, has_header


def _explain(path: Path, form: CsvForm, names: Sequence[str], has_header: bool) -> None:
    """Look at every line for the one that pyarrow, which counts none, has stumbled over."""
    needed = [(names.index(name), name, *_WORDS[kind]) for name, kind in form.needed.items()]
    with unpacked(path) as stream:
        for number, line in enumerate(stream, 1):
            if number == 1 and has_header:
                continue
            fields = line.decode("utf-8", "replace").rstrip("\r\n").split(",")
            if len(fields) != len(names):
                bad(path, number, f"{len(fields)} columns instead of {len(names)}")
            for at, name, pattern, words in needed:
                if not pattern.fullmatch(fields[at]):
                    bad(path, number, f"{name} is not {words}")


def only(rows: CsvRows, keep: NDArray[np.bool_]) -> pa.Table:
    """The lines that are to be kept."""
    return rows.table if keep.all() else rows.table.filter(pa.array(keep))


def is_text(column: pa.Array, text: str) -> NDArray[np.bool_]:
    """Where a text column has this text, in any case of letters."""
    return np.asarray(pc.equal(pc.utf8_lower(column), text))
