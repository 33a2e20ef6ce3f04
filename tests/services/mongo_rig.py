"""What the tests of MongoDB stand on: an archive in a folder, rows of every channel, and digests of what is stored."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage import schema
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.errors import SegmentRemoved
from bot.storage.archive.ports import SegmentInfo, SegmentStore, Span
from bot.storage.journal import SqliteJournal
from bot.storage.mongo.archive_source import ArchiveSource
from bot.storage.mongo.collections import Layout
from bot.storage.mongo.cursors import CursorFile
from bot.storage.mongo.journal_documents import COLLECTIONS as JOURNAL
from bot.storage.mongo.journal_documents import record_of
from bot.storage.mongo.journal_source import JournalSource
from bot.storage.mongo.market_documents import COLLECTIONS as MARKET
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper, Pace
from bot.storage.mongo.tables import table_of
from bot.storage.mongo.uri import MongoTarget

BTC = "binance:BTC/USDT:USDT"
ETH = "binance:ETH/USDT:USDT"
NOON_NS = 1_723_118_400_000_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class FolderStore:
    """A `SegmentStore` of one Feather file a segment, that another process may read meanwhile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.removed: set[int] = set()
        self.damaged: set[int] = set()
        root.mkdir(parents=True, exist_ok=True)

    def write(
        self,
        channel: Channel,
        scope: str,
        table: pa.Table,
        instruments: Mapping[str, Any] | None = None,
        unwritten: Span | None = None,
    ) -> SegmentInfo | None:
        if not table.num_rows:
            return None
        number = len(self._infos()) + 1
        path = f"{number:06d}-{channel.value}-{scope}.feather"
        times = table["ts_recv_ns"].to_pylist()
        feather.write_feather(table.cast(SCHEMAS[channel]), str(self.root / path), compression="zstd")
        data = (self.root / path).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        facts = [number, channel, scope, min(times), max(times) + 1, table.num_rows, len(data), sha256, path]
        temporary = self.root / f"{path}.tmp"
        temporary.write_text(json.dumps(facts))
        temporary.rename(self.root / f"{path}.json")
        return SegmentInfo(*facts)

    def unwritten(self) -> Span | None:
        return None

    def _infos(self) -> list[SegmentInfo]:
        found = [json.loads(path.read_text()) for path in sorted(self.root.glob("*.json"))]
        return [SegmentInfo(facts[0], Channel(facts[1]), *facts[2:]) for facts in found]

    def segments(
        self,
        channel: Channel | None = None,
        *,
        after: int = 0,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        written: bool = False,
    ) -> Sequence[SegmentInfo]:
        return [
            info
            for info in self._infos()
            if info.number > after
            and (channel is None or info.channel is channel)
            and (start_ns is None or info.stop_ns > start_ns)
            and (stop_ns is None or info.start_ns < stop_ns)
            and (written or info.number not in self.removed)
        ]

    def read(self, segment: SegmentInfo, columns: Sequence[str] | None = None) -> pa.Table:
        if segment.number in self.removed:
            raise SegmentRemoved(segment.path)
        if segment.number in self.damaged:
            raise StorageError(f"{segment.path} is damaged")
        return feather.read_table(str(self.root / segment.path), columns=columns, memory_map=False)

    def rows(
        self, channel: Channel, instrument: str, start_ns: int, stop_ns: int, columns: Sequence[str] | None = None
    ) -> pa.Table:
        found = [self.read(info) for info in self.segments(channel, start_ns=start_ns, stop_ns=stop_ns)]
        rows = [
            row
            for table in found
            for row in table.to_pylist()
            if row["instrument"] == instrument and start_ns <= row["ts_recv_ns"] < stop_ns
        ]
        return pa.Table.from_pylist(sorted(rows, key=lambda row: row["ts_recv_ns"]), schema=SCHEMAS[channel])

    def instrument(self, instrument_id: str) -> None:
        return None

    def instruments(self, channel: Channel) -> Sequence[str]:
        return sorted(self.newest(channel))

    def newest(self, channel: Channel) -> dict[str, int]:
        rows = [row for info in self.segments(channel) for row in self.read(info).to_pylist()]
        return {row["instrument"]: row["ts_recv_ns"] for row in sorted(rows, key=lambda row: row["ts_recv_ns"])}


def quotes(times: Iterable[int], instrument: str = BTC, seed: int = 1) -> pa.Table:
    """A quote at each time, ts_event_ns missing now and then."""
    draws = random.Random(seed)
    rows = [
        {
            "instrument": instrument,
            "ts_recv_ns": ts,
            "ts_event_ns": None if draws.random() < 0.1 else ts - 2_000_000,
            "sequence": ts // 1000 + number,
            "bid_price": 61_000 + draws.randrange(1000) / 10,
            "bid_qty": draws.randrange(1, 9000) / 1000,
            "ask_price": 61_100 + draws.randrange(1000) / 10,
            "ask_qty": draws.randrange(1, 9000) / 1000,
        }
        for number, ts in enumerate(times)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.QUOTES])


def every_channel(ts: int = NOON_NS) -> dict[Channel, pa.Table]:
    """Some rows of every channel, awkward ones among them."""
    level = {"price": "61000.10", "quantity": "0.500"}
    rows: dict[Channel, list[dict[str, Any]]] = {
        Channel.TRADES: [
            {
                "instrument": name,
                "ts_recv_ns": ts + at,
                "ts_event_ns": ts,
                "trade_id": f"{at}$\x00\x1b[2J",
                "price": 61e3,
            }
            | {"quantity": 0.1, "buyer_is_maker": at % 2 == 0}
            for name in (ETH, BTC)
            for at in (0, 0, 1)
        ],
        Channel.KLINES: [
            {"instrument": BTC, "ts_recv_ns": ts + 59_999_000_000, "open_ns": ts, "open": 61e3, "high": 61_000.1}
            | {"low": 60_999.9, "close": 61e3, "volume": 0.1, "quote_volume": 6_100.0, "trades": 3}
            | {"taker_buy_volume": 0.0, "taker_buy_quote_volume": 0.0}
        ],
        Channel.FUNDING: [
            {"instrument": BTC, "ts_recv_ns": ts, "ts_event_ns": ts, "rate": 1e-4, "next_funding_ns": ts + MINUTE_NS}
            | {"interval_h": None, "mark_price": 61e3}
        ],
        Channel.DEPTH: [
            {"instrument": BTC, "ts_recv_ns": ts, "ts_event_ns": None, "message": 0, "kind": "snapshot", "first_id": 5}
            | {"last_id": 5, "side": side, "price": 61e3 + side, "quantity": 1.5}
            for side in (1, -1)
        ]
        + [
            {"instrument": BTC, "ts_recv_ns": ts, "ts_event_ns": ts, "message": 1, "kind": "delta", "first_id": 6}
            | {"last_id": 7, "side": 0, "price": 0.0, "quantity": 0.0},
            {
                "instrument": BTC,
                "ts_recv_ns": ts + 5,
                "ts_event_ns": None,
                "message": 2,
                "kind": "invalid",
                "first_id": 0,
            }
            | {"last_id": 0, "side": 0, "price": 0.0, "quantity": 0.0},
        ],
        Channel.GAPS: [
            {
                "instrument": BTC,
                "ts_recv_ns": ts,
                "channel": "quotes",
                "start_ns": ts - 5,
                "stop_ns": ts,
                "reason": "=x",
            }
        ],
        Channel.VIEWS: [
            {"instrument": "BTC/USDT:USDT", "ts_recv_ns": ts, "view": view}
            for view in (
                '{"event_time":1723118400000,"binance":{"symbol":"BTCUSDT","top_bid":"61000.10"}}',
                '{"event_time":1,"$where":{"a.b":"\\ud800"},"time":{"":1},"%24;":[123456789012345678901234567890]}',
            )
        ],
        Channel.MINUTE_BOOKS: [
            {"instrument": BTC, "ts_recv_ns": ts, "event_time_ns": ts - 3, "last_transaction_time_ns": None}
            | {"bids": [level, level], "offers": [{"price": "61000.20", "quantity": "1"}]},
            {"instrument": BTC, "ts_recv_ns": ts + MINUTE_NS, "event_time_ns": ts, "last_transaction_time_ns": ts}
            | {"bids": [], "offers": [level]},
        ],
        Channel.MINUTE_TRADES: [
            minute_trades(ts),
            minute_trades(ts + MINUTE_NS, base="1234567890123456789.123456789012345678"),
        ],
    }
    made = {channel: pa.Table.from_pylist(found, schema=SCHEMAS[channel]) for channel, found in rows.items()}
    return made | {Channel.QUOTES: quotes([ts, ts, ts + 7, ts + MINUTE_NS])}


def minute_trades(ts: int, revision: int = 0, base: str = "10.5") -> dict[str, Any]:
    sums = {"base_buy": Decimal(base), "base_sell": Decimal(0), "quote_buy": Decimal(100), "quote_sell": Decimal("0.1")}
    return {"instrument": BTC, "ts_recv_ns": ts, "count_buy": 3, "count_sell": 0, "revision": revision, **sums}


def digest(table: pa.Table) -> str:
    """Of the rows, whatever order instruments come in."""
    rows = table.to_pylist()
    rows.sort(key=lambda row: (row["instrument"], row["ts_recv_ns"]))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def journal_records(data_dir: Path, count: int, run_id: str = "run-1") -> None:
    """Append records of every kind; hostile bodies among them."""
    journal = SqliteJournal(data_dir, run_id)
    kinds = list(RecordKind)
    for number in range(count):
        body = {"number": number, "price": Decimal("0.10"), "$where": {"a.b\x00": [number, 10**30, "\ud800"]}}
        journal.record(kinds[number % len(kinds)], f"key-{number}", NOON_NS + number, body)
    journal.close()


def journal_digest(data_dir: Path) -> str:
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        rows = connection.execute(f"SELECT {schema.COLUMNS} FROM records ORDER BY run_id, seq").fetchall()
    return hashlib.sha256(repr([schema.from_row(row) for row in rows]).encode()).hexdigest()


def newest_seq(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()[0])


def mongo_journal_digest(database: Any) -> str:
    records = [record_of(document) for name in JOURNAL.values() for document in database[name].find()]
    records.sort(key=lambda record: (record.run_id, record.seq))
    return hashlib.sha256(repr(records).encode()).hexdigest()


def archive_digests(store: SegmentStore) -> dict[Channel, str]:
    found: dict[Channel, list[pa.Table]] = {channel: [SCHEMAS[channel].empty_table()] for channel in Channel}
    for info in store.segments(written=True):
        found[info.channel].append(store.read(info))
    return {channel: digest(_newest(channel, pa.concat_tables(tables))) for channel, tables in found.items()}


def mongo_digests(database: Any) -> dict[Channel, str]:
    return {channel: digest(table_of(channel, database[MARKET[channel]].find())) for channel in Channel}


def _newest(channel: Channel, table: pa.Table) -> pa.Table:
    if channel is not Channel.MINUTE_TRADES:
        return table
    rows = sorted(table.to_pylist(), key=lambda row: row["revision"])
    newest = {(row["instrument"], row["ts_recv_ns"]): row for row in rows}
    return pa.Table.from_pylist(list(newest.values()), schema=SCHEMAS[channel])


def assert_equal(data_dir: Path, store: SegmentStore, database: Any) -> None:
    """Journal, archive and MongoDB hold the same rows, none twice."""
    assert mongo_journal_digest(database) == journal_digest(data_dir)
    stored, kept = mongo_digests(database), archive_digests(store)
    assert {channel for channel in Channel if stored[channel] != kept[channel]} == set()


async def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def is_done(shipper: MongoShipper, store: SegmentStore, seq: int) -> bool:
    """Whether everything that there is was acknowledged."""
    position = {source.name: source.position for source in shipper.status().sources}
    return position["journal"] >= seq and position["archive"] >= max(
        (info.number for info in store.segments(written=True)), default=0
    )


@contextmanager
def shipper_of(
    data_dir: Path, store: SegmentStore, uri: str, database: str, *, quotes_as: Form = Form.ROW, **options: Any
) -> Iterator[MongoShipper]:
    """A shipper over a data directory and an archive, to be stopped before the end."""
    clock = options.pop("clock", SystemClock())
    source_options = options.pop("source", {})
    options.setdefault("pace", Pace(poll_s=0.05, backoff_first_s=0.02, backoff_cap_s=0.2, refresh_s=0.1, aside_s=0.2))
    options.setdefault("layout", Layout(quotes=quotes_as, raw_ttl_s=None))
    journal = JournalSource(data_dir)
    archive = ArchiveSource(store, clock.now_ns, quotes=quotes_as, **source_options)
    target = MongoTarget.of(SecretStr(uri), database)
    with closing(CursorFile.open(data_dir)) as cursors, closing(journal):
        yield MongoShipper(target, [journal, archive], cursors, clock, **options)


def table(*parts: Any, schema: pa.Schema | None = None) -> pa.Table:
    """One table of tables, or of rows."""
    if schema is not None:
        return pa.Table.from_pylist([row for rows in parts for row in rows], schema=schema)
    return pa.concat_tables(parts)


class KillableServer:
    """A server of our own, beside the one that other tests share."""

    def __init__(self, serve: Path) -> None:
        self._serve = serve
        home = os.environ.get("CRYPTO_PIPE_SERVICES", "/var/tmp/crypto-pipe-services")
        _install_as_in(Path(home) / "mongodb", Path(f"{home}-killed") / "mongodb")
        own = {"CRYPTO_PIPE_SERVICES": f"{home}-killed", "DOCDB_PG_PORT": "15462", "DOCDB_PORT": "37062"}
        self._environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"} | own
        self.uri = self.up()

    def up(self) -> str:
        """Start it where it is not running; its URI."""
        return self._run("up").strip()

    def kill(self) -> None:
        """All of it, by SIGKILL."""
        self._run("kill")

    def down(self) -> None:
        """Stop it for good."""
        self._run("down")

    def _run(self, command: str) -> str:
        done = subprocess.run(
            [str(self._serve), command], env=self._environment, stdout=subprocess.PIPE, text=True, check=command == "up"
        )
        return done.stdout


def _install_as_in(first: Path, second: Path) -> None:
    """Take the programs of the server that is there already: to install them once more takes a minute, and a mirror.

    They are linked, not copied; data, sockets and temporary files stay where they are.
    """
    programs = first / "chroot"
    if (second / "chroot").exists() or not (programs / "usr/lib/postgresql").exists():
        return
    fresh = second / "chroot.new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "tmp").mkdir(parents=True)
    (fresh / "tmp").chmod(0o1777)
    for name in ("srv", "proc", "sys"):
        (fresh / name).mkdir()
    for part in programs.iterdir():
        if not (fresh / part.name).exists():
            subprocess.run(["cp", "-al", str(part), str(fresh)], check=True)
    subprocess.run(["cp", "-a", str(first / "venv"), str(second)], check=False)  # `serve` makes one where there is none
    fresh.rename(second / "chroot")


@contextmanager
def killable_server() -> Iterator[KillableServer]:
    """One that may be killed; skips, or fails where services are required, if it cannot be started."""
    shared = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    serve = shared / "services" / "mongodb" / "serve"
    if not os.environ.get("CRYPTO_PIPE_REQUIRE_SERVICES"):
        pytest.skip("a server that may be killed takes minutes to install: make test-services starts one")
    if not serve.exists():
        reason = f"no server with MongoDB's protocol that may be killed: {serve} starts one"
        pytest.fail(reason)
    server = KillableServer(serve)
    try:
        yield server
    finally:
        server.down()
