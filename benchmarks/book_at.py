"""The order book at any moment of what was recorded: an hour of a busy market, as the archive keeps it."""

import gzip
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.frames import LINEAR, ROOT
from benchmarks.measure import per_item_us, progress
from benchmarks.rows import Row, Target, figure
from bot.domain.order_book import BookChange, BookState
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import ArchiveRows
from bot.storage.stored_queries import StoredMarket
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.binance.shipped import INSTRUMENTS

_MINUTE_NS = 60_000_000_000
_MINUTES = 60
_MOMENTS = 40
_LIMIT = Target("value", at_most=True, limit=50, unit="ms")
_FAR_NS = 2**62
_INSTRUMENT = INSTRUMENTS[LINEAR]["ETHUSDT"]
_SIDES = ((1, "bids"), (-1, "asks"))


def rows(rounds: int) -> list[Row]:
    """Fresh (a file a minute) and merged; none where there is no recording."""
    shared = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
    path = shared / "recordings" / "binance-2024-08-08" / "usdm-ethusdt_20240808.gz"
    if not path.is_file():
        progress("the order book at a moment: no recording is at hand")
        return []
    minute = _minute(path)
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, ArchiveStore.open(Path(folder)) as store:
        progress("the order book at a moment: writing an hour")
        _fill(store, minute)
        fresh = _figure(store, rounds, "a file a minute", len(minute))
        store.merge(_FAR_NS)
        return [*fresh, *_figure(store, rounds, "merged", len(minute))]


def _figure(store: ArchiveStore, rounds: int, files: str, depth_rows: int) -> list[Row]:
    market = StoredMarket(ArchiveRows(store))
    segments = store.segments(Channel.DEPTH)
    start_ns, stop_ns = segments[0].start_ns, max(segment.stop_ns for segment in segments)
    rng = random.Random(1)
    typical, slow = [], []
    for _ in range(rounds):
        moments = [rng.randrange(start_ns, stop_ns - 1) for _ in range(_MOMENTS)]
        taken = sorted(per_item_us(lambda ts=ts: _ask(market, ts), 1) / 1e3 for ts in moments)  # type: ignore[misc]
        typical.append(median(taken))
        slow.append(taken[int(len(taken) * 0.95)])
    note = f"{depth_rows:,} rows a minute and a snapshot with each; {_MOMENTS} random moments a round"
    return [
        figure(f"order book at a moment, {files}", "ms", typical, _LIMIT, note),
        figure(f"order book at a moment, {files}, 95 of 100", "ms", slow, _LIMIT, note),
    ]


def _ask(market: StoredMarket, ts_ns: int) -> None:
    book = market.order_book(_INSTRUMENT.id, ts_ns)
    if book.state is not BookState.VALID:
        raise SystemExit(f"our bug: no book at {ts_ns}: {book.reason}")


def _fill(store: ArchiveStore, minute: pa.Table) -> None:
    """The minute again and again, each time one later and with the numbers that follow."""
    messages = minute.column("message").to_numpy()
    count = int(messages[-1]) + 1
    for number in range(_MINUTES):
        moved = minute
        for name, step in (("ts_recv_ns", _MINUTE_NS), ("ts_event_ns", _MINUTE_NS), ("message", count)):
            at = moved.schema.get_field_index(name)
            column = np.asarray(moved.column(name).to_numpy()) + number * step
            moved = moved.set_column(at, SCHEMAS[Channel.DEPTH].field(name), pa.array(column))
        store.write(Channel.DEPTH, str(LINEAR), moved, {_INSTRUMENT.id: _INSTRUMENT})


def _minute(path: Path) -> pa.Table:
    """The first whole minute of the recording, with the book at its start before its changes."""
    found: list[dict[str, Any]] = []
    changes = _changes(path)
    minute_ns = None
    for message, (ts_ns, change) in enumerate(_first_minute(changes)):
        minute_ns = minute_ns or ts_ns // _MINUTE_NS
        for side, name in _SIDES:
            found += [
                {"instrument": _INSTRUMENT.id, "ts_recv_ns": ts_ns, "ts_event_ns": change.ts_event_ns,
                 "message": message, "kind": "snapshot" if change.whole else "delta", "first_id": change.sequence,
                 "last_id": change.sequence, "side": side, "price": float(price), "quantity": float(quantity)}
                for price, quantity in getattr(change, name)
            ]  # fmt: skip
    return pa.Table.from_pylist(found, schema=SCHEMAS[Channel.DEPTH])


def _first_minute(changes: Iterator[tuple[int, BookChange, BookChange | None]]) -> Iterator[tuple[int, BookChange]]:
    before = minute = None
    for ts_ns, change, image in changes:
        if before is not None and before != ts_ns // _MINUTE_NS:
            if minute is not None:
                return
            minute = ts_ns // _MINUTE_NS
            if image is not None:
                yield ts_ns, image
        elif minute is not None:
            yield ts_ns, change
        before = ts_ns // _MINUTE_NS


class _Kept:
    """Hears of a book's changes."""

    def __init__(self) -> None:
        self.changes: list[BookChange] = []

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        self.changes.append(change)

    def on_book_state(self, state: BookState, reason: str) -> None:
        """Whatever it is."""

    def on_book_wanted(self, reason: str) -> None:
        """The recording has it."""


def _changes(path: Path) -> Iterator[tuple[int, BookChange, BookChange | None]]:
    """Receive time, change, and the whole book with it."""
    kept = _Kept()
    builder = BinanceBookBuilder(1_000, kept)
    with gzip.open(path) as file:
        yield from _told(file, builder, kept)


def _told(
    lines: Iterable[bytes], builder: BinanceBookBuilder, kept: _Kept
) -> Iterator[tuple[int, BookChange, BookChange | None]]:
    for line in lines:
        stamp, _, raw = line.rstrip().partition(b" ")
        ts_ns = int(stamp)
        if b"@depth" in raw[:40]:
            builder.on_frame(raw, ts_ns)
        elif raw.startswith(b'{"lastUpdateId"'):
            builder.on_snapshot(raw, ts_ns)
        if kept.changes and builder.book is not None:
            yield ts_ns, kept.changes[-1], builder.book.image()
        kept.changes.clear()
