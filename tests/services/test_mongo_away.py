"""MongoDB is away for an hour of virtual time at 2,000 quotes a second, and comes back."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from pymongo import MongoClient

from bot.clock import VirtualClock
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper, Pace, State
from bot.storage.mongo.tables import filter_of, table_of
from bot.storage.mongo.uri import Client, MongoTarget, connect
from tests.services.mongo_rig import BTC, ETH, MINUTE_NS, NOON_NS, journal_records, newest_seq, shipper_of, until
from tests.services.run import free_port

pytestmark = pytest.mark.services

MINUTES = 60
PER_MINUTE = 60_000
"""Of each of two instruments: 2,000 a second."""


def minute_of_quotes(number: int) -> pa.Table:
    """Two instruments that wander on their grid, a thousand quotes a second each."""
    draws = np.random.default_rng(number)
    times = NOON_NS + number * MINUTE_NS + np.sort(draws.integers(0, MINUTE_NS, PER_MINUTE))
    parts = []
    for instrument in (BTC, ETH):
        bid = np.round(61_000 + np.cumsum(draws.integers(-2, 3, PER_MINUTE)) * 0.1, 1)
        parts.append(
            pa.table(
                {
                    "instrument": pa.array([instrument] * PER_MINUTE),
                    "ts_recv_ns": times,
                    "ts_event_ns": times - 2_000_000,
                    "sequence": np.arange(PER_MINUTE) + number * PER_MINUTE,
                    "bid_price": bid,
                    "bid_qty": draws.integers(1, 5_000, PER_MINUTE) / 1000,
                    "ask_price": np.round(bid + 0.1, 1),
                    "ask_qty": draws.integers(1, 5_000, PER_MINUTE) / 1000,
                },
                schema=SCHEMAS[Channel.QUOTES],
            )
        )
    return pa.concat_tables(parts)


@pytest.fixture
def database(mongodb_uri: str, database_name: str) -> Iterator[Any]:
    with MongoClient(mongodb_uri) as client:
        yield client[database_name]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveStore]:
    with closing(ArchiveStore.open(tmp_path)) as opened:
        yield opened


@asynccontextmanager
async def forwarding(port: int, uri: str) -> AsyncIterator[None]:
    """The server, reachable under a port of ours."""
    there = urlsplit(uri)
    writers: list[asyncio.StreamWriter] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(there.hostname, there.port)
        writers.extend((writer, forth))
        await asyncio.gather(copy(reader, forth), copy(back, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield
        for writer in writers:
            writer.close()


def impatient(target: MongoTarget) -> Client:
    return connect(target, find_within_s=1.0)


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def test_fault_62_an_hour_away(tmp_path: Path, store: ArchiveStore, mongodb_uri: str, database: Any) -> None:
    clock = VirtualClock(NOON_NS)
    port = free_port()
    journal_records(tmp_path, 500)
    events: list[str] = []
    with shipper_of(
        tmp_path,
        store,
        f"mongodb://127.0.0.1:{port}/",
        database.name,
        quotes_as=Form.MINUTE,
        clock=clock,
        client=impatient,
        pace=Pace(),
        log=lambda level, text: events.append(text),
    ) as shipper:
        shipper.start()
        await until(lambda: shipper.status().state is State.AWAY)
        grown_mb = await _away(clock, store)
        await until(lambda: shipper.status().sources[1].rows_waiting == MINUTES * 2 * PER_MINUTE)
        status = shipper.status()
        assert status.state is State.AWAY
        assert status.sources[0].rows_waiting == 500
        assert status.sources[1].lag_s == pytest.approx(MINUTES * 60, abs=60)
        assert grown_mb < 40
        assert len([text for text in events if "away" in text]) == 1  # once, and not at every try
        async with forwarding(port, mongodb_uri):
            seconds, swollen_mb = await _back(clock, shipper, store, newest_seq(tmp_path))
            await shipper.stop()
    assert swollen_mb < 80
    assert seconds < MINUTES * 60 / 5
    for number in range(MINUTES):
        _assert_minute(database, store, number)


async def _away(clock: VirtualClock, store: ArchiveStore) -> float:
    """An hour passes and is archived; MB by which the process grew after its first minutes."""
    before = 0.0
    for number in range(MINUTES):
        await asyncio.to_thread(store.write, Channel.QUOTES, "binance.linear", minute_of_quotes(number), {})
        clock.advance_to(NOON_NS + (number + 1) * MINUTE_NS)
        await asyncio.sleep(0)  # the shipper has its turn
        if number == 5:
            before = resident_mb()
    return resident_mb() - before


async def _back(clock: VirtualClock, shipper: MongoShipper, store: ArchiveStore, seq: int) -> tuple[float, float]:
    """Seconds that it took to deliver everything, and MB by which the process grew meanwhile."""
    before, most = resident_mb(), 0.0
    started = perf_counter()
    newest = store.segments(written=True)[-1].number
    while True:
        journal, archive = shipper.status().sources
        if journal.position >= seq and archive.position >= newest:
            return perf_counter() - started, most - before
        clock.advance_to(clock.now_ns() + 1_000_000_000)
        await asyncio.sleep(0.05)
        most = max(most, resident_mb())


def _assert_minute(database: Any, store: ArchiveStore, number: int) -> None:
    start = NOON_NS + number * MINUTE_NS
    for instrument in (BTC, ETH):
        found = database["quotes"].find(filter_of(Channel.QUOTES, Form.MINUTE, instrument, start, start + MINUTE_NS))
        kept = store.rows(Channel.QUOTES, instrument, start, start + MINUTE_NS)
        assert table_of(Channel.QUOTES, found).equals(kept.combine_chunks())
        assert len(kept) == PER_MINUTE
