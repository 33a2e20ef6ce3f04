"""Answers as rows of plain values, page by page: a span of days is never in memory whole."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bot.errors import SettingsError
from bot.storage.archive.channels import Channel
from bot.storage.instants import utc_text
from bot.storage.minutes.books import to_minute_books_row
from bot.storage.minutes.trades import to_minute_trades_row
from bot.storage.queries import Record, Run
from bot.suggestion import did_you_mean
from modes.query_source import CHANNELS, KeptSource

Row = Mapping[str, Any]
"""By column; `..._ns` are UTC ns, `Decimal` is exact."""
_MINUTE_NS = 60_000_000_000
_LONGEST_NS = 60 * _MINUTE_NS
_PAGE_ROWS = 20_000
_GAPPED = (Channel.QUOTES, Channel.TRADES, Channel.FUNDING, Channel.DEPTH)


def spans_of(source: KeptSource, what: str, names: Sequence[str], since_ns: int, until_ns: int) -> Iterator[Row]:
    """Rows of a kind, instrument by instrument, in order of receipt.

    Raises:
        SettingsError: If nothing was kept of an instrument in the span and around it.
    """
    for name in names:
        rows = (
            _gaps(source, name, since_ns, until_ns)
            if what == "gaps"
            else _pages(source, what, name, since_ns, until_ns)
        )
        found = False
        for row in rows:
            found = True
            yield row
        if not found and what != "gaps":
            source.nothing(name, what, f"from {utc_text(since_ns)} to before {utc_text(until_ns)}")


def _pages(source: KeptSource, what: str, name: str, start_ns: int, stop_ns: int) -> Iterator[Row]:
    ask = _QUESTIONS[what](source)
    length_ns = _MINUTE_NS
    while (begun := source.following(what, start_ns)) is not None and begun < stop_ns:
        end_ns = min(begun // _MINUTE_NS * _MINUTE_NS + length_ns, stop_ns)
        table = ask(name, begun, end_ns)
        for row in table.to_pylist():
            yield _SHAPES.get(what, dict)(row)
        length_ns = _next_length(length_ns, len(table))
        start_ns = end_ns


def _next_length(length_ns: int, rows: int) -> int:
    """How long the next page is to be, so that it has some ten thousand rows."""
    return min(length_ns * 2, _LONGEST_NS) if rows < _PAGE_ROWS else max(length_ns // 2, _MINUTE_NS)


def _gaps(source: KeptSource, name: str, since_ns: int, until_ns: int) -> Iterator[Row]:
    for channel in _GAPPED:
        yield from source.market.gaps(name, channel, since_ns, until_ns).to_pylist()


Ask = Callable[[str, int, int], pa.Table]
_QUESTIONS: Mapping[str, Callable[[KeptSource], Ask]] = {
    "quotes": lambda source: source.market.quotes,
    "trades": lambda source: source.market.trades,
    "funding": lambda source: source.market.funding,
    "views": lambda source: source.market.views,
    "klines": lambda source: source.market.klines,
    "minute-trades": lambda source: _minutes(source, "minute-trades"),
    "minute-books": lambda source: _minutes(source, "minute-books"),
}


def _minutes(source: KeptSource, what: str) -> Ask:
    return lambda name, start_ns, stop_ns: source.market.minute_rows(CHANNELS[what], name, start_ns, stop_ns)


def _view(row: Row) -> Row:
    return {**row, "view": json.loads(row["view"])}


def _minute_trades(row: dict[str, Any]) -> Row:
    head = {name: row[name] for name in ("instrument", "ts_recv_ns")}
    totals = {name: value for name, value in to_minute_trades_row(row).items() if name != "TIME"}
    return {**head, **totals, "revision": row["revision"], "whole": row["whole"]}


def _minute_books(row: dict[str, Any]) -> Row:
    head = {name: row[name] for name in ("instrument", "ts_recv_ns")}
    facts = to_minute_books_row(row)
    times = {f"{name}_ns": facts.pop(name) for name in ("event_time", "last_transaction_time")}
    return {**head, **times, **facts}


_SHAPES: Mapping[str, Callable[[dict[str, Any]], Row]] = {
    "views": _view,
    "minute-trades": _minute_trades,
    "minute-books": _minute_books,
}


def records_of(
    source: KeptSource,
    what: str,
    run_id: str | None,
    instruments: Sequence[str],
    since_ns: int | None,
    until_ns: int | None,
) -> Iterator[Row]:
    """Records of the journal, run by run, in the order in which they were made.

    Raises:
        SettingsError: If there is no such run, or none at all then.
    """
    runs = _runs(source, run_id, since_ns, until_ns)
    if what == "runs":
        for run in runs:
            yield _run(run)
        return
    for run in runs:
        for record in getattr(source.market, what)(run.run_id, since_ns, until_ns):
            if not instruments or _is_of(record, instruments):
                yield _record(record)


def _runs(source: KeptSource, run_id: str | None, since_ns: int | None, until_ns: int | None) -> Sequence[Run]:
    every = source.market.runs()
    if not every:
        raise SettingsError(f"no run is recorded in {source.settings.data_dir}, or in the database")
    known = [run.run_id for run in every]
    if run_id is not None and run_id not in known:
        near = did_you_mean(run_id, known) or f"; the newest is {known[-1]}"
        raise SettingsError(f"--run: there is no such run{near}")
    chosen = [run for run in every if run_id in (None, run.run_id)]
    during = [run for run in chosen if _overlaps(run, since_ns, until_ns)]
    if not during:
        first, last = chosen[0], chosen[-1]
        raise SettingsError(
            f"no run went on then; they are from {utc_text(first.market_started_ns)} to {utc_text(_ended_ns(last))}"
        )
    return during


def _overlaps(run: Run, since_ns: int | None, until_ns: int | None) -> bool:
    began = until_ns is None or run.market_started_ns < until_ns
    return began and (since_ns is None or _ended_ns(run) >= since_ns)


def _ended_ns(run: Run) -> int:
    return run.last_ns if run.market_ended_ns is None else run.market_ended_ns


def _run(run: Run) -> Row:
    return {
        "run_id": run.run_id,
        "started_ns": run.market_started_ns,
        "ended_ns": run.market_ended_ns,
        "market": run.start.get("market"),
        "strategy": run.start.get("strategy"),
        "start": run.start,
        "end": run.end,
    }


def _record(record: Record) -> Row:
    return {"run_id": record.run_id, "seq": record.seq, "ts_ns": record.ts_ns, "key": record.key, "body": record.body}


def _is_of(record: Record, instruments: Sequence[str]) -> bool:
    """Whether an order or fill is of one of the instruments, or a decision's route names it."""
    one = record.body.get("instrument")
    if isinstance(one, Mapping):
        return f"{one.get('venue')}:{one.get('symbol')}" in instruments
    return any(name in record.key for name in instruments)
