"""The journal against what a machine does to it: SIGKILL, a full disk, a file that turns read-only, a held lock."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal

ROOT = Path(__file__).parents[2]
RUN = "r1"

WRITER = """
import os, sys, time
from pathlib import Path
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal

def acknowledge(number):
    os.write(1, b"%d\\n" % number)

journal = SqliteJournal(Path(sys.argv[1]), sys.argv[2], group_commit_ms=0.5, deliver=lambda callback: callback())
number = 0
while True:
    number += 1
    journal.record(RecordKind.ORDER, str(number), number, {"number": number, "pad": "x" * (number % 700)})
    if number % 3 == 0:
        journal.when_durable(lambda number=number: acknowledge(number))
    if number % 500 == 0:
        time.sleep(0.0005)
"""

FULL_DISK = """
import json, os, resource, sys
from pathlib import Path
from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
lost, told = [], []
acknowledged = 0

def count(number):
    global acknowledged
    acknowledged = number

journal = SqliteJournal(Path(sys.argv[1]), "r1", deliver=lambda callback: callback(),
                        on_failure=told.append, on_lost=lost.append)
number = 0
while journal.failed is None:
    number += 1
    journal.record(RecordKind.ORDER, str(number), number, {"pad": "x" * 900})
    try:
        journal.when_durable(lambda number=number: count(number))
    except StorageError:
        break
journal.record(RecordKind.ORDER, "unwind", 0, {})
try:
    journal.close()
    closed = "quietly"
except StorageError as error:
    closed = str(error)
print(json.dumps({"recorded": number, "acknowledged": acknowledged, "told": told, "closed": closed,
                  "lost": [json.loads(line)["key"] for line in lost]}))
"""


def keys(data_dir):
    connection = sqlite3.connect(data_dir / "journal.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [
            int(key) for (key,) in connection.execute("SELECT key FROM records WHERE run_id = ? ORDER BY seq", (RUN,))
        ]
    finally:
        connection.close()


def spawn(code, *args):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_sigkill_loses_no_acknowledged_record(tmp_path):
    """Killed after a random number of acknowledgements, ten times: all acknowledged are there, in order, once."""
    chance = random.Random(2024)
    for attempt in range(10):
        data_dir = tmp_path / str(attempt)
        child = spawn(WRITER, data_dir, RUN)
        kill_after = chance.randrange(1, 400)
        acknowledged = 0
        for count, line in enumerate(child.stdout, start=1):
            acknowledged = int(line)
            if count == kill_after:
                child.send_signal(signal.SIGKILL)
        # What the pipe still held was acknowledged too: the loop above read it to its end.
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        kept = keys(data_dir)
        assert acknowledged >= 3
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= acknowledged
        again = SqliteJournal(data_dir, "r2")  # the dead process's lock is gone, and the file goes on
        again.record(RecordKind.EVENT, "", 1, {})
        again.close()


def test_a_full_disk_is_told_and_nothing_is_called_durable(tmp_path):
    child = spawn(FULL_DISK, tmp_path)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    said = json.loads(out)
    kept = keys(tmp_path)
    (told,) = said["told"]
    # A writer without time for it may find more waiting than is kept: then close says that, too.
    assert said["closed"] in (told, f"{told}; more than 100000 records waited for it")
    assert "cannot be written" in said["closed"]
    assert said["acknowledged"] <= len(kept) < said["recorded"]
    assert kept == list(range(1, len(kept) + 1))
    # Nothing is dropped silently: what is not in the file was handed over, line by line.
    assert said["lost"] == [*map(str, range(len(kept) + 1, said["recorded"] + 1)), "unwind"]


def test_another_process_is_refused(tmp_path):
    child = spawn(WRITER, tmp_path, RUN)
    try:
        child.stdout.readline()
        with pytest.raises(StorageError, match=f"process {child.pid}"):
            SqliteJournal(tmp_path, "r2")
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_lock_held_for_a_moment_delays_and_loses_nothing(tmp_path):
    """Somebody looks into the file with a tool that locks it: the writer waits, then writes."""
    journal = SqliteJournal(tmp_path, RUN, deliver=lambda callback: callback())
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    durable = threading.Event()
    journal.record(RecordKind.ORDER, "1", 1, {})
    journal.when_durable(durable.set)
    assert not durable.wait(0.05)
    other.execute("ROLLBACK")
    assert durable.wait(60)
    other.close()
    journal.close()
    assert keys(tmp_path) == [1]


def test_a_torn_last_transaction_is_dropped_and_the_rest_stays(tmp_path):
    """Power cut in the middle of a write: the write-ahead log ends in half a frame."""
    journal = SqliteJournal(tmp_path / "data", RUN, deliver=None)
    for number in range(1, 6):
        journal.record(RecordKind.ORDER, str(number), number, {"pad": "x" * 9_000})
        journal.when_durable(lambda: None)
    (tmp_path / "cut").mkdir()
    for name in ("journal.db", "journal.db-wal"):
        (tmp_path / "cut" / name).write_bytes((tmp_path / "data" / name).read_bytes())
    journal.close()
    os.truncate(tmp_path / "cut" / "journal.db-wal", (tmp_path / "cut" / "journal.db-wal").stat().st_size - 1_000)

    again = SqliteJournal(tmp_path / "cut", RUN, deliver=None)
    again.record(RecordKind.ORDER, "6", 6, {})
    again.close()
    assert keys(tmp_path / "cut") == [1, 2, 3, 4, 6]
    assert keys(tmp_path / "data") == [1, 2, 3, 4, 5]
