"""The archive: bytes a row of real markets, rows a second in and out, beside SQLite and DuckDB with the same rows."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.frames import ROOT, market
from benchmarks.measure import interleaved, per_item_us, progress
from benchmarks.peers import absent, load, named
from benchmarks.rows import Row, Target, against, figure, without_peer
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import TopOfBook
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from exchanges.recorded.files import RecordedFile
from exchanges.registry import all_venues

_MINUTE_NS = 60_000_000_000
_FAR_NS = 2**62
_BYTES = Target("value", at_most=True, limit=9, unit="B/row")
_ROWS = Target("value", at_most=False, limit=5_000_000, unit="rows/s")
_SQLITE = Target("ratio", at_most=False, limit=6, unit="rows/s")
_DUCKDB = Target("ratio", at_most=False, limit=2, unit="rows/s")
_TILED_ROWS = 1_000_000
_SQLITE_ROWS = 200_000
_SQLITE_BATCH = 10_000
_DUCKDB_BATCH = 65_536
_COLUMNS = SCHEMAS[Channel.QUOTES].names
_NOTE = "to a durable segment (encoded, fsynced, named) and back, checksum included; {} quotes of one instrument"
_CREATE = (
    "CREATE TABLE quotes (instrument TEXT, ts_recv_ns BIGINT, ts_event_ns BIGINT, sequence BIGINT, "
    "bid_price DOUBLE, bid_qty DOUBLE, ask_price DOUBLE, ask_qty DOUBLE)"
)

Table = tuple[Instrument, pa.Table]


def rows(rounds: int) -> list[Row]:
    """Size, speed, and both peers."""
    source, tables = _market()
    instrument, table = tables[0]
    tiled = _tiled(table, _TILED_ROWS)
    known = {instrument.id: instrument}
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        sizes = _sizes(Path(folder) / "sizes", source, tables)
        with ArchiveStore.open(Path(folder) / "ours") as store:
            progress("archive: writing and reading")
            speeds = _speeds(store, tiled, known, rounds)
            sqlite = _sqlite(store, tiled.slice(0, _SQLITE_ROWS), known, Path(folder), rounds)
            duckdb = _duckdb(store, tiled, known, Path(folder), rounds)
    return [*sizes, *speeds, sqlite, duckdb]


def _sizes(data_dir: Path, source: str, tables: list[Table]) -> list[Row]:
    """A file a minute, as a recorder writes them; then merged."""
    progress("archive: recorded minutes")
    with ArchiveStore.open(data_dir) as store:
        for instrument, table in tables:
            minutes = np.asarray(table.column("ts_recv_ns")) // _MINUTE_NS
            for start, stop in _runs(minutes):
                part = table.slice(start, stop - start)
                store.write(Channel.QUOTES, str(instrument.feed), part, {instrument.id: instrument})
        fresh = _bytes_a_row(store, None)
        store.merge(_FAR_NS)
        note = "files with all that stands in them"
        each = [
            figure(f"archive, {feed} ({source})", "B/row", [_bytes_a_row(store, feed)], _BYTES, note)
            for feed in dict.fromkeys(str(instrument.feed) for instrument, _ in tables)
        ]
        together = figure(f"archive, all merged ({source})", "B/row", [_bytes_a_row(store, None)], _BYTES, note)
        return [*each, together, figure(f"archive, all in a file a minute ({source})", "B/row", [fresh], None, note)]


def _speeds(store: ArchiveStore, table: pa.Table, known: Mapping[str, Instrument], rounds: int) -> list[Row]:
    segment = store.write(Channel.QUOTES, "binance.spot", table, known)
    assert segment is not None
    assert store.read(segment).combine_chunks().equals(table.combine_chunks())
    writing, reading = interleaved(
        rounds, _writer(store, table, known), lambda: _rate(lambda: store.read(segment), len(table))
    )
    note = _NOTE.format(len(table))
    return [
        figure("archive, written", "rows/s", writing, _ROWS, note),
        figure("archive, read", "rows/s", reading, _ROWS, note),
    ]


def _sqlite(store: ArchiveStore, table: pa.Table, known: Mapping[str, Instrument], folder: Path, rounds: int) -> Row:
    tuples = list(zip(*(table.column(name).to_pylist() for name in _COLUMNS), strict=True))

    def insert() -> None:
        path = folder / "quotes.sqlite"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_CREATE)
            for start in range(0, len(tuples), _SQLITE_BATCH):
                connection.execute("BEGIN")
                batch = tuples[start : start + _SQLITE_BATCH]
                connection.executemany("INSERT INTO quotes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch)
                connection.execute("COMMIT")

    ours, theirs = interleaved(rounds, _writer(store, table, known), lambda: _rate(insert, len(table)))
    note = f"SQLite: WAL, synchronous=FULL, {_SQLITE_BATCH} ready tuples a transaction, no index; {len(table)} rows"
    return against("archive, written, against SQLite", "rows/s", ours, "sqlite3", theirs, _SQLITE, note)


def _duckdb(store: ArchiveStore, table: pa.Table, known: Mapping[str, Instrument], folder: Path, rounds: int) -> Row:
    name = "archive, written, against DuckDB"
    duckdb: Any = load("duckdb", "duckdb")
    write = _writer(store, table, known)
    if duckdb is None:
        return without_peer(name, "rows/s", interleaved(rounds, write)[0], "duckdb", _DUCKDB, absent("duckdb"))

    def insert() -> None:
        path = folder / "quotes.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute(_CREATE)
            for start in range(0, len(table), _DUCKDB_BATCH):
                batch = table.slice(start, _DUCKDB_BATCH)
                connection.register("batch", batch)
                connection.execute("INSERT INTO quotes SELECT * FROM batch")
                connection.unregister("batch")

    ours, theirs = interleaved(rounds, write, lambda: _rate(insert, len(table)))
    note = f"DuckDB: Arrow tables of {_DUCKDB_BATCH} rows into a database file, a transaction each; {len(table)} rows"
    return against(name, "rows/s", ours, named("duckdb"), theirs, _DUCKDB, note)


def _writer(store: ArchiveStore, table: pa.Table, known: Mapping[str, Instrument]) -> Callable[[], float]:
    return lambda: _rate(lambda: store.write(Channel.QUOTES, "binance.spot", table, known), len(table))


def _rate(work: Callable[[], object], items: int) -> float:
    return 1e6 / per_item_us(work, items)


def _bytes_a_row(store: ArchiveStore, scope: str | None) -> float:
    segments = [one for one in store.segments() if scope in (None, one.scope)]
    return sum(one.size_bytes for one in segments) / sum(one.rows for one in segments)


def _runs(values: "np.ndarray[Any, np.dtype[np.int64]]") -> list[tuple[int, int]]:
    starts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(pairwise(starts))


class _Columns:
    """A sink that keeps quotes, and hears nothing else."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        sizes = (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty)
        self.rows.append((ts_recv_ns, quote.ts_event_ns, quote.sequence, *sizes))

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def _market() -> tuple[str, list[Table]]:
    """ETH on three recorded markets, through the decoders; the generated sample where they are absent."""
    folder = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared")) / "recordings" / "binance-2024-08-08"
    parts = {"spot": ("spot-", "ETHUSDT"), "linear": ("usdm-", "ETHUSDT"), "inverse": ("cm-", "ETHUSD_PERP")}
    tables = []
    for segment, (prefix, symbol) in parts.items():
        feed = Feed.parse(f"binance.{segment}")
        instrument = all_venues()["binance"].shipped_instruments(feed)[symbol]
        lines = [
            line
            for path in sorted(folder.glob(f"{prefix}*.gz"))
            for batch in RecordedFile(path).batches()
            for line in zip(batch.stamps, batch.payloads, strict=True)
        ]
        if lines:
            tables.append((instrument, _decoded(feed, symbol, instrument, lines)))
    if tables:
        return "recorded ETH", tables
    quotes = market().feeds
    return market().source, [
        (q.instrument, _decoded(q.instrument.feed, q.symbol, q.instrument, q.lines)) for q in quotes
    ]


def _decoded(feed: Feed, symbol: str, instrument: Instrument, lines: list[tuple[int, bytes]]) -> pa.Table:
    sink: Any = _Columns()
    decoder = all_venues()[feed.venue].decoder(feed, {symbol: 0}, sink)
    for ts_recv_ns, raw in lines:
        decoder.on_frame(raw, ts_recv_ns)
    columns = zip(*((instrument.id, *row) for row in sink.rows), strict=True)
    schema = SCHEMAS[Channel.QUOTES]
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _tiled(table: pa.Table, rows_wanted: int) -> pa.Table:
    """The same market again and again, each time later."""
    turns = -(-rows_wanted // len(table))
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        again = pa.concat_arrays([column.combine_chunks()] * turns)
        if field.name in ("ts_recv_ns", "sequence") or (field.name == "ts_event_ns" and not again.null_count):
            numbers = np.asarray(column)
            span = int(numbers[-1] - numbers[0]) // 1_000_000 * 1_000_000 + 1_000_000
            again = pa.array(np.asarray(again) + np.repeat(np.arange(turns) * span, len(table)))
        columns.append(again)
    return pa.table(columns, schema=table.schema).slice(0, rows_wanted)
