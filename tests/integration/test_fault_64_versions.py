"""Fault 64: another version of the program on a journal with an open pair."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.engine.accounts.left_open import left_open
from bot.errors import ExitCode, StorageError
from bot.ports import RecordKind
from bot.storage import schema
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from tests.integration.fault_rig import assert_whole, bot, records

PAIR = {"pair": "r1-1", "state": "open"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A run that was killed with a pair open."""
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.RUN, "r1", 1, {"run_id": "r1", "market": "simulated", "started_ns": 1})
    journal.record(RecordKind.PAIR, "r1-1", 2, PAIR)
    journal.close()
    return tmp_path


def become(data_dir: Path, version: int) -> None:
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def become_oldest(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        connection.execute("DROP TABLE record_index")
        connection.execute("CREATE INDEX records_by_run ON records (run_id, kind, seq)")
    become(data_dir, schema.OLDEST)


def version_of(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def test_fault_64_a_newer_journal_ends_the_program_with_6_and_stays_as_it_is(data_dir: Path) -> None:
    become(data_dir, schema.VERSION + 1)
    before = (data_dir / schema.FILE_NAME).read_bytes()
    async with bot(data_dir) as running:
        assert await running.end(0) == ExitCode.STORAGE
        assert any("written by a newer version" in line for line in running.said)
    with pytest.raises(StorageError, match="newer version"):
        JournalReader.open(data_dir)
    with pytest.raises(StorageError, match="newer version"):
        left_open(data_dir)
    assert (data_dir / schema.FILE_NAME).read_bytes() == before


async def test_fault_64_an_older_journal_is_brought_up_to_date_and_its_open_pair_told(data_dir: Path) -> None:
    become_oldest(data_dir)
    assert left_open(data_dir), "older journals are read as they are"
    assert version_of(data_dir) == schema.OLDEST
    async with bot(data_dir) as running:
        await running.says("run r1 on the simulated market was killed, and left a pair open: r1-1 was open")
        assert await running.end(signal.SIGINT) == ExitCode.INTERRUPTED
    assert version_of(data_dir) == schema.VERSION
    assert_whole(data_dir)
    assert [key for _, _, key, _ in records(data_dir)][:2] == ["r1", "r1-1"], "what was there is there still"
    assert left_open(data_dir) == [], "of the newest run"


def test_fault_64_an_unknown_kind_of_record_is_refused(data_dir: Path) -> None:
    row = schema.to_row(3, "r1", RecordKind.EVENT, 3, "", "{}")
    changed = (*row[:2], "prophecy", *row[3:6], schema._checksum(3, "r1", "prophecy", 3, "", row[5]))
    with closing(sqlite3.connect(data_dir / schema.FILE_NAME)) as connection:
        connection.execute(schema.insert(1), changed)
        connection.commit()
    with pytest.raises(StorageError, match="journal record 3 cannot be read"):
        SqliteJournal(data_dir, "r2")
