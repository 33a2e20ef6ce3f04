"""Rows on stdout: a table for people, a JSON object a line for programs, CSV that no spreadsheet calculates with."""

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.domain.order_book import BookState
from bot.storage.instants import utc_text
from bot.text import clip, inert, inert_tree, spreadsheet_safe
from modes.query_moments import BookAnswer

_MORE = "more"
"""Column of what a record has and the first one had not: other versions of the program wrote other fields."""
_CELL = 48
"""Characters of a table's cell at most."""
_ROWS_A_PAGE = 1_000
"""A table's widths are those of so many rows."""


class Printer:
    """Writes rows as they come; what is left is written when the block ends."""

    def __init__(self, form: str) -> None:
        """`table`, `json` or `csv`."""
        self._form = form
        self._waiting: list[dict[str, str]] = []
        self._columns: list[str] = []
        self._notes: list[str] = []

    def __enter__(self) -> "Printer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._page()
        for note in self._notes:
            print(note, file=sys.stderr)

    def show(self, row: Mapping[str, Any]) -> None:
        """One row; all have the same columns."""
        if self._form == "json":
            print(json.dumps(_plain(row), separators=(",", ":"), allow_nan=False))
            return
        values = _flat(row, self._form)
        if self._form == "csv":
            self._csv(values, is_record="body" in row)
            return
        self._waiting.append({name: _text(name, value, self._form) for name, value in values.items()})
        if len(self._waiting) >= _ROWS_A_PAGE:
            self._page()

    def lines(self, lines: Sequence[str]) -> None:
        """Words as they are."""
        for line in lines:
            print(line)

    def note(self, text: str) -> None:
        """To be said at the end, on stderr."""
        self._notes.append(text)

    def _csv(self, values: Mapping[str, Any], *, is_record: bool) -> None:
        if not self._columns:
            self._columns = list(values)
            print(csv_line([*self._columns, _MORE] if is_record else self._columns))
        cells = [_text(name, values.get(name), "csv") for name in self._columns]
        if is_record:
            more = {name: value for name, value in values.items() if name not in self._columns}
            cells.append(_text(_MORE, more or None, "csv"))
        print(csv_line(cells))

    def _page(self) -> None:
        rows, self._waiting = self._waiting, []
        if rows:
            columns = list(dict.fromkeys(name for row in rows for name in row))
            for line in _table(columns, rows):
                print(line)


def book_table(answer: BookAnswer, levels: int | None) -> list[str]:
    """A book for people: what it is, then bids and asks side by side."""
    book = answer.book
    words = [f"{inert(book.instrument)} at {utc_text(book.ts_ns)}: {book.state.name}"]
    if book.reason:
        words.append(inert(book.reason))
    if book.sequence is not None and book.state is BookState.VALID:
        words.append(f"sequence {book.sequence}")
    if answer.age_s is not None:
        words.append(f"newest message {answer.age_s:.3f} s old")
    if answer.snapshot_age_s is not None:
        words.append(f"built on a whole book {answer.snapshot_age_s:.3f} s old")
    lines = [", ".join(words)]
    if book.state is not BookState.VALID:
        return lines
    sides = [[(f"{price!r}", f"{quantity!r}") for price, quantity in side[:levels]] for side in (book.bids, book.asks)]
    rows = []
    for number in range(max(map(len, sides))):
        (bid, bid_qty), (ask, ask_qty) = (side[number] if number < len(side) else ("", "") for side in sides)
        rows.append({"bid quantity": bid_qty, "bid": bid, "ask": ask, "ask quantity": ask_qty})
    lines += _table(list(rows[0]), rows)
    shown = [
        f"{min(len(side), len(kept)):,} of {len(side):,}"
        for side, kept in zip((book.bids, book.asks), sides, strict=True)
    ]
    return [*lines, f"{shown[0]} bids, {shown[1]} asks"]


def _flat(row: Mapping[str, Any], form: str) -> dict[str, Any]:
    """A record's body as columns of its own; lists of levels have no place in a table."""
    body = row.get("body")
    flat = {name: value for name, value in row.items() if name != "body"}
    if isinstance(body, Mapping):
        flat |= {name: value for name, value in body.items() if name not in flat}
        one = flat.get("instrument")
        if isinstance(one, Mapping):
            flat["instrument"] = f"{one.get('venue')}:{one.get('symbol')}"
    if form == "csv":
        return flat
    key = flat.get("key")
    said_twice = [name for name, value in flat.items() if name != "key" and value is not None and value == key]
    hidden = ("bids", "offers", "start", "end", "seq", *said_twice)
    return {name: value for name, value in flat.items() if name not in hidden}


def _plain(value: Any) -> Any:
    """What JSON can hold; text of other people is inert."""
    if isinstance(value, Mapping):
        return {inert(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return inert_tree(value)


def _text(name: str, value: Any, form: str) -> str:
    if value is None:
        return ""
    if form == "table" and name.endswith("_ns") and isinstance(value, int):
        return utc_text(value)
    if isinstance(value, Mapping | list | tuple):
        text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    elif isinstance(value, Decimal):
        text = format(value, "f")
    else:
        text = inert(str(value))
    return clip(text, _CELL) if form == "table" else spreadsheet_safe(text)


def csv_line(cells: Sequence[str]) -> str:
    """Cells as one line of a CSV, without its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    heads = {name: inert(name.removesuffix("_ns").replace("_", " ")) for name in columns}
    widths = {name: max(len(heads[name]), *(len(row.get(name, "")) for row in rows)) for name in columns}
    yield "  ".join(heads[name].rjust(widths[name]) for name in columns).rstrip()
    for row in rows:
        yield "  ".join(row.get(name, "").rjust(widths[name]) for name in columns).rstrip()
