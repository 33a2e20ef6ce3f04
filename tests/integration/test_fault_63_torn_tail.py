"""Fault 63: half a record at the end of the journal is dropped and named; damage anywhere else is refused."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import ExitCode, StorageError
from bot.ports import RecordKind
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.journal import SqliteJournal
from bot.storage.torn_tail import examine
from tests.unit.archive_rows import START_NS, quotes

MAIN = Path(__file__).parents[2] / "main.py"
RECORDS = 5
FRAME = 24 + 4096


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A data directory as a power cut leaves it: five transactions, all of them in the write-ahead log."""
    journal = SqliteJournal(tmp_path / "data", "r1", deliver=None)
    for number in range(1, RECORDS + 1):
        journal.record(RecordKind.ORDER, str(number), number, {"pad": "x" * 9_000})
        journal.when_durable(lambda: None)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        (left / name).write_bytes((tmp_path / "data" / name).read_bytes())
    journal.close()
    return left


def keys(data_dir: Path) -> list[int]:
    connection = sqlite3.connect(data_dir / "journal.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [int(key) for (key,) in connection.execute("SELECT key FROM records ORDER BY seq")]
    finally:
        connection.close()


def log_of(data_dir: Path) -> Path:
    return data_dir / "journal.db-wal"


def test_fault_63_a_whole_log_is_taken_without_a_word(crashed: Path) -> None:
    journal = SqliteJournal(crashed, "r2", deliver=None)
    assert journal.dropped is None
    journal.close()
    assert keys(crashed) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut", [1, 1_000, FRAME, FRAME + 10, FRAME * 2 - 1])
def test_fault_63_a_torn_last_record_is_dropped_and_named(crashed: Path, cut: int) -> None:
    log = log_of(crashed)
    log.write_bytes(log.read_bytes()[:-cut])
    journal = SqliteJournal(crashed, "r2", deliver=None)
    assert journal.dropped is not None
    assert "last transaction" in journal.dropped
    journal.record(RecordKind.ORDER, "6", 6, {})
    journal.close()
    assert keys(crashed) == [1, 2, 3, 4, 6]


def test_fault_63_a_byte_that_changed_in_the_last_record_drops_it_and_is_named(crashed: Path) -> None:
    flip(log_of(crashed), -100)
    journal = SqliteJournal(crashed, "r2", deliver=None)
    assert journal.dropped is not None
    journal.close()
    assert keys(crashed) == [1, 2, 3, 4]


@pytest.mark.parametrize("at", [4 * FRAME + 1_000, 4 * FRAME + 2, 4 * FRAME + 9, 4 * FRAME + 17])
def test_fault_63_a_byte_that_changed_before_acknowledged_records_is_refused_and_nothing_is_touched(
    crashed: Path, at: int
) -> None:
    # Of the fifth frame: its page, and in its head the number of the page, a salt and the checksum.
    flip(log_of(crashed), 32 + at)
    before = log_of(crashed).read_bytes()
    for _ in range(2):  # refused again as well: what is left is no clean start
        with pytest.raises(StorageError, match=r"journal\.db-wal is damaged: \d transactions cannot be read") as told:
            SqliteJournal(crashed, "r2")
        assert told.value.exit_code is ExitCode.STORAGE
    assert log_of(crashed).read_bytes() == before


def test_fault_63_what_was_left_by_an_earlier_log_is_no_torn_tail(tmp_path: Path) -> None:
    """After a checkpoint SQLite writes the log anew from its beginning, over what was there."""
    journal = SqliteJournal(tmp_path, "r1", deliver=None)
    for number in range(50):
        journal.record(RecordKind.ORDER, str(number), number, {"pad": "x" * 9_000})
    journal.when_durable(lambda: None)
    other = sqlite3.connect(tmp_path / "journal.db")
    other.execute("PRAGMA wal_checkpoint(RESTART)")
    other.close()
    journal.record(RecordKind.ORDER, "50", 50, {})
    journal.when_durable(lambda: None)
    assert log_of(tmp_path).stat().st_size > 50 * 9_000
    assert examine(log_of(tmp_path)) is None
    journal.close()


def test_fault_63_a_damaged_record_in_the_file_ends_the_program_with_6(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, "r1", deliver=None)
    for number in range(RECORDS):
        journal.record(RecordKind.ORDER, str(number), number, {"word": "acknowledged"})
    journal.close()
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes().replace(b'"acknowledged"', b'"acknowledgeD"', 1))
    command = [sys.executable, str(MAIN), "--market", "simulated", "--headless", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == ExitCode.STORAGE
    assert "is damaged (checksum)" in done.stderr
    assert "Traceback" not in done.stderr


def test_fault_63_a_damaged_file_of_the_archive_is_refused(tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path) as store:
        info = store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), {})
        assert info is not None
        path = tmp_path / "archive" / info.path
        flip(path, path.stat().st_size // 2)
        with pytest.raises(StorageError, match="damaged"):
            store.read(info)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)
