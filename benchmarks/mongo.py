"""What MongoDB is fed a second, beside a loop that does nothing but `insert_many` with the same documents."""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import SecretStr

from benchmarks.rows import Row, Target, against, figure
from bot.clock import SystemClock
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.mongo.archive_source import ArchiveSource
from bot.storage.mongo.collections import Layout, prepare
from bot.storage.mongo.cursors import CursorFile
from bot.storage.mongo.delivery import Collection
from bot.storage.mongo.market_documents import documents
from bot.storage.mongo.segment_rows import Form, SegmentRows
from bot.storage.mongo.shipper import MongoShipper
from bot.storage.mongo.uri import MongoTarget, connect

_SEGMENTS = 2
_ROWS = 20_000
_AT_ONCE = 1_000
_NOON_NS = 1_723_118_400_000_000_000
_INGEST = 2_000
_PEER = "insert_many alone"
_SHARE = Target("ratio", at_most=False, limit=0.7, unit="documents/s")
_DRAIN = Target("value", at_most=False, limit=5 * _INGEST, unit="quotes/s")


def rows(rounds: int) -> list[Row]:
    """Documents a second by tick, quotes a second by the minute, and how long the event loop is held meanwhile."""
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        why = "set MONGODB_URI to a server whose databases crypto_pipe_bench_* may be written and dropped"
        return [Row(name="mongodb ticks", value=None, unit="documents/s", target=str(_SHARE), note=why)]
    return asyncio.run(_rows(uri, rounds))


async def _rows(uri: str, rounds: int) -> list[Row]:
    bare, ticks, minutes = [], [], []
    for _ in range(rounds):
        bare.append(await _bare(uri))
        ticks.append(await _shipped(uri, Form.ROW))
        minutes.append(await _shipped(uri, Form.MINUTE))
    (bare_rate, bare_late), (rate, late) = _columns(bare), _columns(ticks)
    return [
        against("mongodb ticks", "documents/s", rate, _PEER, bare_rate, _SHARE, "read, encoded, cursor fsynced"),
        figure("mongodb ticks drained", "quotes/s", rate, _DRAIN, "after an outage at 2,000 quotes/s"),
        figure("mongodb minutes drained", "quotes/s", _columns(minutes)[0], _DRAIN, "columns by instrument and minute"),
        against(
            "mongodb, loop late", "ms", late, _PEER, bare_late, None, "p99 of a 1 ms timer while ticks are drained"
        ),
    ]


def _columns(samples: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [rate for rate, _ in samples], [late for _, late in samples]


async def _bare(uri: str) -> tuple[float, float]:
    """Documents a second of the plain loop, with the same documents and indexes; how late a timer was meanwhile."""
    made = [row for segment in range(_SEGMENTS) for row in _documents(segment)]
    target = _target(uri)
    client = connect(target)
    try:
        database = client[target.database]
        await prepare(database, Layout(raw_ttl_s=None))
        return await _timed(_insert(database["quotes"], made), len(made))
    finally:
        await client.drop_database(target.database)
        await client.close()


async def _insert(collection: Collection, made: Sequence[dict[str, Any]]) -> None:
    for at in range(0, len(made), _AT_ONCE):
        await collection.insert_many(made[at : at + _AT_ONCE], ordered=False)


async def _shipped(uri: str, form: Form) -> tuple[float, float]:
    """Quotes a second out of an archive; how late a timer was meanwhile."""
    target = _target(uri)
    layout = Layout(quotes=form, raw_ttl_s=None)
    with TemporaryDirectory() as directory, ArchiveStore.open(Path(directory)) as store:
        for segment in range(_SEGMENTS):
            store.write(Channel.QUOTES, "binance.linear", _quotes(segment), {})
        clock, cursors = SystemClock(), CursorFile.open(Path(directory))
        shipper = MongoShipper(target, [ArchiveSource(store, clock.now_ns, quotes=form)], cursors, clock, layout=layout)
        try:
            await shipper.check()
            shipper.start()
            await _reached(shipper, 1)  # before, it connects and looks at the indexes: not what is measured
            done = shipper.status().sources[0].documents
            whole = -(-_ROWS // _AT_ONCE) * _SEGMENTS if form is Form.MINUTE else _ROWS * _SEGMENTS
            return await _timed(_reached(shipper, whole), _SEGMENTS * _ROWS * (1 - done / whole))
        finally:
            await shipper.stop()
            cursors.close()
            await _drop(target)


async def _reached(shipper: MongoShipper, documents: int) -> None:
    while shipper.status().sources[0].documents < documents:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.002)


async def _timed(work: Coroutine[None, None, None], quotes: float) -> tuple[float, float]:
    """Quotes a second, and the p99 of what a timer of 1 ms was late, in ms."""
    late: list[float] = []
    timer = asyncio.create_task(_lateness(late))
    started = perf_counter()
    await work
    seconds = perf_counter() - started
    timer.cancel()
    return quotes / seconds, quantiles(late, n=100)[98]


async def _lateness(late: list[float]) -> None:
    while True:
        before = perf_counter()
        await asyncio.sleep(0.001)
        late.append((perf_counter() - before - 0.001) * 1e3)


async def _drop(target: MongoTarget) -> None:
    client = connect(target)
    await client.drop_database(target.database)
    await client.close()


def _target(uri: str) -> MongoTarget:
    return MongoTarget.of(SecretStr(uri), f"crypto_pipe_bench_{secrets.token_hex(4)}")


def _documents(segment: int) -> list[dict[str, Any]]:
    return list(documents(Channel.QUOTES, Form.ROW, SegmentRows(_quotes(segment), Form.ROW), 0, _ROWS))


def _quotes(segment: int) -> pa.Table:
    draws = np.random.default_rng(segment)
    times = _NOON_NS + segment * 60_000_000_000 + np.sort(draws.integers(0, 60_000_000_000, _ROWS))
    bid = np.round(61_000 + np.cumsum(draws.integers(-2, 3, _ROWS)) * 0.1, 1)
    return pa.table(
        {
            "instrument": pa.array(["binance:BTC/USDT:USDT"] * _ROWS),
            "ts_recv_ns": times,
            "ts_event_ns": times - 2_000_000,
            "sequence": np.arange(_ROWS) + segment * _ROWS,
            "bid_price": bid,
            "bid_qty": draws.integers(1, 5_000, _ROWS) / 1000,
            "ask_price": np.round(bid + 0.1, 1),
            "ask_qty": draws.integers(1, 5_000, _ROWS) / 1000,
        },
        schema=SCHEMAS[Channel.QUOTES],
    )
