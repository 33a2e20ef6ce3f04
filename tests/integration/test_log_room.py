"""The journal's write-ahead log: long from the beginning, cleared when nobody waits, and whole all the same."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.ports import RecordKind
from bot.storage import log_room
from bot.storage.journal import SqliteJournal
from bot.storage.log_room import LogRoom
from bot.storage.torn_tail import examine

PATIENCE_S = 60
FRAME = 24 + 4096
MADE = 32 + 1_000 * FRAME


def a_journal(data_dir: Path) -> SqliteJournal:
    return SqliteJournal(data_dir, "r1", deliver=lambda call: call())


def write(journal: SqliteJournal, name: str, size: int = 900) -> None:
    """One record, and wait until it is durable."""
    durable = threading.Event()
    journal.record(RecordKind.ORDER, name, 1, {"pad": "x" * size})
    journal.when_durable(durable.set)
    assert durable.wait(PATIENCE_S)


def log_of(data_dir: Path) -> Path:
    return data_dir / "journal.db-wal"


def keys(data_dir: Path) -> list[str]:
    connection = sqlite3.connect(data_dir / "journal.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [key for (key,) in connection.execute("SELECT key FROM records ORDER BY seq")]
    finally:
        connection.close()


def left_by_a_crash(data_dir: Path, to: Path) -> Path:
    to.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        shutil.copyfile(data_dir / name, to / name)
    return to


def test_a_commit_writes_over_what_is_there(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    lengths = set()
    for number in range(5):
        write(journal, str(number))
        lengths.add(log_of(tmp_path).stat().st_size)
    assert lengths == {MADE}
    journal.close()
    assert keys(tmp_path) == [*"01234"]


def test_zeros_behind_the_last_transaction_are_no_damage(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "data")
    for number in range(5):
        write(journal, str(number))
    crashed = left_by_a_crash(tmp_path / "data", tmp_path / "left")
    journal.close()
    assert examine(log_of(crashed)) is None
    again = a_journal(crashed)
    assert again.dropped is None
    write(again, "5")
    again.close()
    assert keys(crashed) == [*"012345"]


def test_a_log_of_nothing_but_zeros_is_empty(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "data")
    write(journal, "0")
    journal.close()
    log_of(tmp_path / "data").write_bytes(bytes(MADE))
    assert examine(log_of(tmp_path / "data")) is None
    again = a_journal(tmp_path / "data")
    write(again, "1")
    again.close()
    assert keys(tmp_path / "data") == ["0", "1"]


def test_a_transaction_that_was_torn_before_the_zeros_is_dropped_and_named(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "data")
    for number in range(5):
        write(journal, str(number))
    crashed = left_by_a_crash(tmp_path / "data", tmp_path / "left")
    journal.close()
    log = bytearray(log_of(crashed).read_bytes())
    end = len(bytes(log).rstrip(b"\0"))
    log[end - 200 : end] = bytes(200)
    log_of(crashed).write_bytes(log)
    again = a_journal(crashed)
    assert again.dropped is not None
    assert "last transaction" in again.dropped
    again.close()
    assert keys(crashed) == [*"0123"]


def test_a_long_log_is_cleared_when_nobody_waits_and_begins_anew(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(3_000):
        journal.record(RecordKind.EVENT, str(number), 1, {"pad": "x" * 900})
    write(journal, "last")
    pause, tries = threading.Event(), PATIENCE_S * 100
    while journal._log_room.is_long and tries:
        tries -= 1
        pause.wait(0.01)
    assert not journal._log_room.is_long
    write(journal, "after")
    assert log_of(tmp_path).stat().st_size == MADE
    journal.close()
    assert keys(tmp_path)[-2:] == ["last", "after"]


def test_a_disk_that_is_slow_with_the_log_is_seen_to_be_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hang(self: LogRoom) -> None:
        self._frames = 0
        begun.set()
        assert go_on.wait(PATIENCE_S)

    monkeypatch.setattr(LogRoom, "clear", hang)
    monkeypatch.setattr(log_room, "_LONG_FRAMES", 0)
    journal = a_journal(tmp_path)
    journal.record(RecordKind.EVENT, "a", 1, {})
    assert begun.wait(PATIENCE_S)
    assert journal.behind_s() > 0
    go_on.set()
    write(journal, "b")
    journal.close()
    assert keys(tmp_path) == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE stands for a full disk")
def test_where_there_is_no_room_it_is_as_long_as_it_gets(tmp_path: Path) -> None:
    code = """
import resource, sys, threading
from pathlib import Path
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
data_dir, durable = Path(sys.argv[1]), threading.Event()
journal = SqliteJournal(data_dir, "r1", deliver=lambda call: call())
journal.record(RecordKind.ORDER, "a", 1, {})
journal.when_durable(durable.set)
assert durable.wait(60)
print((data_dir / "journal.db-wal").stat().st_size)
journal.close()
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, timeout=120, check=True
    )
    assert 0 < int(done.stdout) < 100_000
    assert keys(tmp_path) == ["a"]
