"""A data directory with a journal, an archive and a ledger of imports, and what is in it."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.journal import SqliteJournal
from tests.unit.history_files import BINANCE_LINEAR, DAY_NS

MINUTE_NS = 60_000_000_000
START_NS = DAY_NS
AN_HOUR_LATER_NS = DAY_NS + 70 * MINUTE_NS
EVER = (-(2**63), 2**63 - 1)
Facts = tuple[list[tuple[Any, ...]], list[dict[str, Any]]]


def write_journal(data_dir: Path, records: Iterable[int], run_id: str = "run-1", body: str = "x" * 200) -> None:
    journal = SqliteJournal(data_dir, run_id)
    for number in records:
        journal.record(RecordKind.DECISION, f"key-{number}", START_NS + number, {"number": number, "text": body})
    journal.close()


def write_minute(data_dir: Path, minute: int, rows: int = 50) -> None:
    table = pa.table(
        {
            "instrument": [BINANCE_LINEAR.id] * rows,
            "ts_recv_ns": [START_NS + minute * MINUTE_NS + at * 1_000_000 for at in range(rows)],
            "ts_event_ns": [START_NS + minute * MINUTE_NS + at * 1_000_000 for at in range(rows)],
            "trade_id": [f"{minute * 1_000 + at}" for at in range(rows)],
            "price": [60_000.1 + at % 7 for at in range(rows)],
            "quantity": [0.001 * (at + 1) for at in range(rows)],
            "buyer_is_maker": [at % 2 == 0 for at in range(rows)],
        },
        schema=SCHEMAS[Channel.TRADES],
    )
    with ArchiveStore.open(data_dir) as store:
        store.write(Channel.TRADES, "binance.linear", table, {BINANCE_LINEAR.id: BINANCE_LINEAR})


def merge(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        store.merge(AN_HOUR_LATER_NS)


def facts(data_dir: Path) -> Facts:
    """Every record of the journal, every row of the archive."""
    with closing(sqlite3.connect(data_dir / "journal.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        records = connection.execute("SELECT * FROM records ORDER BY seq").fetchall()
    with ArchiveStore.open(data_dir, read_only=True) as store:
        rows = store.rows(Channel.TRADES, BINANCE_LINEAR.id, *EVER).to_pylist()
    return records, rows


def objects(place: Path) -> set[str]:
    """Names of all objects at a local place."""
    return {path.name for path in (place / "objects").rglob("*") if path.is_file()}
