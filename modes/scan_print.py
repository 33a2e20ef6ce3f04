"""A scan on stdout: a table that changes on a terminal, and elsewhere tables, JSON objects or CSV one after another."""

import io
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.command_line import Arguments
from bot.command_options import Sort
from bot.domain.fees import FeeSchedule
from bot.scan.ranking import ScanRow
from bot.settings import Settings
from bot.storage.instants import utc_text
from bot.text import inert, spreadsheet_safe
from bot.tui.words import MISSING, bps, count, pair, time_of_day
from modes.query_print import csv_line

UNKNOWN = "unknown"
_KINDS = {"convergence": "perp-perp", "cash_and_carry": "spot-perp", "inventory": "spot-spot"}
_SUSPECTS = 3
"""Rows that are not ranked, shown below those that are."""
_LOG_LINES = 2
_WIDE = 110
_COLUMNS = {"edge": "net_bps", "carry": "carry_per_year", "funding": "funding_bps_per_day"}


@dataclass(frozen=True, slots=True)
class FeedLine:
    """How one feed is."""

    feed: str
    state: str
    detail: str
    instruments: int
    quoted: int
    """Of its instruments, those that have a quote now."""
    quotes: int
    malformed: int
    fees: FeeSchedule | None


@dataclass(frozen=True, slots=True)
class Scan:
    """One ranking."""

    ts_ns: int
    market: str
    sort: Sort
    tier: str | None
    holding_days: float
    feeds: Sequence[FeedLine]
    notes: Sequence[str]
    ranked: Sequence[ScanRow]
    unranked: Sequence[ScanRow]


class Screen(Protocol):
    """Where a scan is shown."""

    def log(self, level: str, text: str) -> None:
        """One line for a person."""

    def show(self, scan: Scan) -> None:
        """A ranking."""

    def finish(self, scan: Scan) -> None:
        """The last ranking."""


@contextmanager
def opened_screen(arguments: Arguments, settings: Settings) -> Iterator[Screen]:
    """What the command line asks for, for the length of the block."""
    form = "json" if arguments.json else arguments.format or "table"
    limit = settings.scan.rows if arguments.limit is None and form == "table" else arguments.limit or None
    if form == "table" and sys.stdout.isatty():
        with LiveScreen(limit) as screen:
            yield screen
    else:
        yield Lines(form, limit, only_last=arguments.for_s is not None)


class Lines:
    """One ranking after another; the last alone where the time is limited."""

    def __init__(self, form: str, limit: int | None, *, only_last: bool) -> None:
        """`table`, `json` or `csv`; the best `limit` rows, or all of them."""
        self._form = form
        self._limit = limit
        self._only_last = only_last
        self._shown = 0

    def log(self, level: str, text: str) -> None:
        """On stderr."""
        prefix = "" if level == "info" else f"{level}: "
        with suppress(OSError):
            print(f"{prefix}{inert(text)}", file=sys.stderr, flush=True)

    def show(self, scan: Scan) -> None:
        """On stdout, unless only the last one is wanted."""
        if not self._only_last:
            self._print(scan)

    def finish(self, scan: Scan) -> None:
        """On stdout, unless it was shown a moment ago."""
        if self._only_last or not self._shown:
            self._print(scan)

    def _print(self, scan: Scan) -> None:
        if self._form == "json":
            print(json.dumps(as_json(scan, self._limit), allow_nan=False), flush=True)
        elif self._form == "csv":
            lines = list(csv_lines(scan, self._limit))
            print("\n".join(lines[1:] if self._shown else lines), flush=True)
        else:
            print(("\n" if self._shown else "") + printed_table(scan, self._limit), flush=True)
        self._shown += 1


class LiveScreen:
    """A table on a screen of its own; the last one stays when it is left."""

    def __init__(self, limit: int | None) -> None:
        self._console = Console()
        self._limit = limit
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._last: Scan | None = None

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        self._paint()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if self._last is not None:
            self._console.print(table(self._last, self._limit, self._console.width))
        for line in self._log:
            self._console.print(Text(line))

    def log(self, level: str, text: str) -> None:
        """Under the table."""
        self._log.append(("" if level == "info" else f"{level}: ") + inert(text))
        self._paint()

    def show(self, scan: Scan) -> None:
        """In place of the last one."""
        self._last = scan
        self._paint()

    def finish(self, scan: Scan) -> None:
        """In place of the last one."""
        self.show(scan)

    def _paint(self) -> None:
        height = self._console.height
        lines = Group(*(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._log))
        if self._last is None:
            self._live.update(lines, refresh=True)
            return
        head = len(_head(self._last, wide=True)) + len(_foot(self._last)) + 4 + len(self._log)
        room = max(1, height - head - 1)
        limit = room if self._limit is None else min(self._limit, room)
        self._live.update(Group(table(self._last, limit, self._console.width), lines), refresh=True)


# Tables


def printed_table(scan: Scan, limit: int | None) -> str:
    """The table as text, for a file or a pipe."""
    target = io.StringIO()
    width = int(os.environ.get("COLUMNS", "0") or 0) or 140
    Console(file=target, width=width, no_color=True, highlight=False).print(table(scan, limit, width))
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines())


def table(scan: Scan, limit: int | None, width: int) -> Group:
    """A ranking for a person: head, the best rows, what is not ranked and why."""
    wide = width >= _WIDE
    shown = Table(box=None, pad_edge=False, expand=True, header_style="bold", padding=(0, 1))
    shown.add_column("#", justify="right", no_wrap=True)
    shown.add_column("Buy → sell", ratio=3, no_wrap=True, overflow="ellipsis", min_width=20 if wide else 32)
    if wide:
        shown.add_column("Kind", no_wrap=True)
    for title in _titles(scan.sort):
        shown.add_column(title, justify="right", no_wrap=True)
    if wide:
        shown.add_column("Top takes", justify="right", no_wrap=True)
    shown.add_column("Note", ratio=2 if wide else 1, no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(scan.ranked[:limit], start=1):
        shown.add_row(*_cells(str(number), row, wide=wide))
    for row in _suspects(scan):
        shown.add_row(*_cells("–", row, wide=wide), style="yellow")
    head = [Text(line, no_wrap=True, overflow="ellipsis", style="bold" if not index else "") for index, line in
            enumerate(_head(scan, wide=wide))]  # fmt: skip
    foot = [Text(line, no_wrap=True, overflow="ellipsis", style="dim") for line in _foot(scan)]
    return Group(*head, Text(""), shown, *foot)


def _titles(sort: Sort) -> tuple[str, str, str]:
    """The figures, that which is ranked by marked."""
    names = {"edge": "Net bps", "carry": "Carry %/y", "funding": "Fund. bps/d"}
    edge, carry, funding = (f"▾{text}" if name == sort else text for name, text in names.items())
    return edge, carry, funding


def _cells(number: str, row: ScanRow, *, wide: bool) -> list[Text]:
    holds = row.kind != "inventory"
    figures = [
        _figure(row.net_bps, row, "fees", "funding"),
        _percent(row.carry_per_year, row) if holds else MISSING,
        _figure(row.funding_bps_per_day, row, "funding") if holds else MISSING,
    ]
    cells = [number, inert(pair(row.buy, row.sell))]
    cells += [_KINDS.get(row.kind, row.kind)] if wide else []
    cells += figures
    cells += [MISSING if row.top_notional is None else count(row.top_notional)] if wide else []
    cells.append(_note(row))
    return [Text(cell) for cell in cells]


def _figure(value: float | None, row: ScanRow, *needs: str) -> str:
    if value is not None:
        return bps(value)
    return UNKNOWN if any(one.startswith(needs) for one in row.unknown) else MISSING


def _percent(value: float | None, row: ScanRow) -> str:
    if value is not None:
        return bps(value * 100.0)
    return UNKNOWN if row.unknown else MISSING


def _note(row: ScanRow) -> str:
    words = [row.status] if row.status else []
    words += [f"unknown: {', '.join(row.unknown)}"] if row.unknown else []
    return inert("; ".join([*words, *row.notes]))


def _head(scan: Scan, *, wide: bool) -> list[str]:
    tier = "my tier" if scan.tier is None else f"tier {scan.tier}"
    by = {"edge": "net edge", "carry": "carry a year", "funding": "funding a day"}[scan.sort]
    lines = [f"{scan.market.upper()} market, ranked by {by} at {tier}, {time_of_day(scan.ts_ns)} UTC"]
    feeds = [f"{one.feed} {_state(one)}, {_fees(one, wide=wide)}" for one in scan.feeds]
    return [*lines, *(inert("   ".join(feeds[at : at + 2])) for at in range(0, len(feeds), 2))]


def _state(one: FeedLine) -> str:
    if one.state == "live":
        return f"{one.quoted} of {one.instruments} quoted"
    return f"{one.state.upper()}{' ' + one.detail if one.detail else ''}"


def _fees(one: FeedLine, *, wide: bool) -> str:
    if one.fees is None:
        return "fees unknown"
    return f"taker {one.fees.taker_bps}" + (f" ({one.fees.words})" if wide else "")


def _foot(scan: Scan) -> list[str]:
    why = Counter(_short(row) for row in scan.unranked)
    told = ", ".join(f"{number} {reason}" for reason, number in why.most_common())
    lines = [f"{len(scan.ranked):,} ranked, {len(scan.unranked):,} not{': ' + told if told else ''}"]
    return [inert(line) for line in [*lines, *scan.notes]]


def _short(row: ScanRow) -> str:
    if row.status:
        # What stands before the figures and names of one row.
        return row.status.partition(":")[0].partition(" of ")[0]
    missing = sorted({one.partition(" ")[0] for one in row.unknown})
    return f"without {', '.join(missing)}" if missing else "that hold nothing"


def _suspects(scan: Scan) -> Sequence[ScanRow]:
    return [row for row in scan.unranked if row.status.startswith("SUSPECT")][:_SUSPECTS]


# Programs


def as_json(scan: Scan, limit: int | None) -> dict[str, Any]:
    """A ranking for programs; None where a figure is not known, or there is none."""
    return {
        "schema_version": 1,
        "time": utc_text(scan.ts_ns),
        "market": scan.market,
        "sort": scan.sort,
        "tier": scan.tier,
        "holding_days": scan.holding_days,
        "feeds": [_feed_json(one) for one in scan.feeds],
        "notes": [inert(note) for note in scan.notes],
        "ranked": [_row_json(number, row) for number, row in enumerate(scan.ranked[:limit], start=1)],
        "ranked_in_all": len(scan.ranked),
        "unranked": [_row_json(None, row) for row in scan.unranked[:limit]],
        "unranked_in_all": len(scan.unranked),
    }


def _feed_json(one: FeedLine) -> dict[str, Any]:
    fees = one.fees
    return {
        "feed": one.feed,
        "state": one.state,
        "detail": inert(one.detail),
        "instruments": one.instruments,
        "quoted": one.quoted,
        "quotes": one.quotes,
        "malformed": one.malformed,
        "maker_bps": None if fees is None else float(fees.maker_bps),
        "taker_bps": None if fees is None else float(fees.taker_bps),
        "fees": UNKNOWN if fees is None else fees.words,
    }


def _row_json(rank: int | None, row: ScanRow) -> dict[str, Any]:
    costs = [{"name": inert(one.name), "bps": one.bps, "assumed": one.assumed} for one in row.costs]
    return {"rank": rank, **_values(row), "costs": costs, "unknown": list(row.unknown), "notes": list(row.notes)}


def _values(row: ScanRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "buy": inert(row.buy),
        "sell": inert(row.sell),
        "buy_price": row.buy_price,
        "sell_price": row.sell_price,
        "top_notional": row.top_notional,
        "gross_bps": row.gross_bps,
        "needed_bps": row.needed_bps,
        "net_bps": row.net_bps,
        "carry_per_year": row.carry_per_year,
        "funding_bps_per_day": row.funding_bps_per_day,
        "age_s": row.age_s,
        "status": inert(row.status),
    }


def csv_lines(scan: Scan, limit: int | None) -> Iterator[str]:
    """The same as CSV, a header first; nothing in it is taken for a formula. Empty: not known, or there is none."""
    rows: list[tuple[int | None, ScanRow]] = list(enumerate(scan.ranked[:limit], start=1))
    rows += [(None, row) for row in scan.unranked[:limit]]
    for index, (rank, row) in enumerate(rows):
        cells: Mapping[str, Any] = {
            "time": utc_text(scan.ts_ns),
            "rank": rank,
            **_values(row),
            "unknown": "; ".join(row.unknown),
            "notes": "; ".join(row.notes),
        }
        if not index:
            yield csv_line(list(cells))
        yield csv_line(["" if value is None else spreadsheet_safe(inert(str(value))) for value in cells.values()])
