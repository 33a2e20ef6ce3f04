"""The journal: what was recorded is in the file, in order; what cannot be durable is never called durable."""

import json
import sqlite3
import stat
import sys
import threading
import time
from contextlib import closing
from decimal import Decimal
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.errors import ExitCode, StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from bot.storage.schema import CREATE, FILE_NAME, STRIDE, VERSION, insert, to_row


def rows(data_dir, columns="seq, run_id, kind, ts_ns, key, body"):
    connection = sqlite3.connect(data_dir / "journal.db")
    try:
        return connection.execute(f"SELECT {columns} FROM records ORDER BY seq").fetchall()
    finally:
        connection.close()


def test_records_lie_in_order_with_their_digits(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.RUN, "r1", 1, {"a": Decimal("1.10"), "nested": [{"b": True}], "none": None})
    journal.record(RecordKind.EVENT, "e", 2, lambda: {"late": 1})
    journal.close()
    assert rows(tmp_path) == [
        (1, "r1", "run", 1, "r1", '{"a":"1.10","nested":[{"b":true}],"none":null}'),
        (2, "r1", "event", 2, "e", '{"late":1}'),
    ]


def test_a_second_run_goes_on_counting(tmp_path):
    for run in ("r1", "r2"):
        journal = SqliteJournal(tmp_path, run)
        journal.record(RecordKind.EVENT, "", 1, {})
        journal.close()
    assert rows(tmp_path, "seq, run_id") == [(1, "r1"), (2, "r2")]


def test_numbers_that_are_not_finite_become_null(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.EVENT, "", 1, {"x": float("nan"), "y": [float("inf"), 1.5], "z": Decimal("0.1")})
    journal.close()
    assert rows(tmp_path, "body") == [('{"x":null,"y":[null,1.5],"z":"0.1"}',)]


def test_files_are_for_the_owner_alone(tmp_path):
    journal = SqliteJournal(tmp_path / "data", "r1", deliver=None)
    journal.record(RecordKind.EVENT, "", 1, {})
    journal.when_durable(lambda: None)
    files = sorted(path.name for path in (tmp_path / "data").iterdir())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    journal.close()
    assert {"journal.db", "journal.db-wal"} <= set(files)
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_on_a_virtual_clock_durable_means_now(tmp_path):
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=None)
    seen = []
    journal.record(RecordKind.ORDER, "o1", 1, {})
    journal.when_durable(lambda: seen.append(len(rows(tmp_path))))
    assert seen == [1]
    journal.record(RecordKind.ORDER, "o2", 2, {})
    journal.when_durable(lambda: seen.append(len(rows(tmp_path))))
    journal.close()
    assert seen == [1, 2]


def test_live_callbacks_come_through_deliver_after_their_records(tmp_path):
    delivered, done = [], threading.Event()
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=lambda callback: callback())
    for number in range(3):
        journal.record(RecordKind.ORDER, str(number), number, {})
        journal.when_durable(lambda number=number: delivered.append((number, len(rows(tmp_path)) > number)))
    journal.when_durable(done.set)
    assert done.wait(60)
    journal.close()
    assert delivered == [(0, True), (1, True), (2, True)]


def test_whoever_waits_goes_on_once_the_writer_is_at_the_disk(tmp_path, monkeypatch):
    """Else it would keep the interpreter from the writer, and do its own work before the disk has begun."""
    monkeypatch.setattr("bot.storage.journal._ASIDE_S", 60)
    happened, done = [], threading.Event()
    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    journal._connection.set_trace_callback(happened.append)
    for number in range(3):
        journal.record(RecordKind.ORDER, str(number), number, lambda number=number: happened.append(number) or {})
        journal.when_durable(done.set)
        happened.append("went on")
        assert done.wait(60)
        done.clear()
    journal.close()
    words = [one for one in happened if not str(one).startswith("INSERT")]
    assert words == [0, "went on", 1, "went on", 2, "went on"]


def test_whoever_waits_goes_on_while_the_disk_works(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.storage.journal._ASIDE_S", 600)
    went_on, done, waited = threading.Event(), threading.Event(), []
    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    journal._connection.set_trace_callback(lambda statement: waited.append(went_on.wait(60)))
    journal.record(RecordKind.ORDER, "o", 1, {})
    journal.when_durable(done.set)
    went_on.set()
    assert done.wait(60)
    journal.close()
    assert all(waited)


def test_nobody_stands_aside_for_a_disk_that_is_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.storage.journal._ASIDE_S", 600)
    begun, went_on, waited = threading.Event(), threading.Event(), []

    def body():
        begun.set()
        waited.append(went_on.wait(60))
        return {}

    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    journal.record(RecordKind.ORDER, "1", 1, body)
    assert begun.wait(60)
    journal.record(RecordKind.ORDER, "2", 1, {})
    journal.when_durable(lambda: None)
    went_on.set()
    journal.close()
    assert waited == [True]
    assert len(rows(tmp_path)) == 2


def test_whoever_waits_goes_on_without_a_writer_that_is_held_up(tmp_path):
    held, done = threading.Event(), threading.Event()

    def body():
        held.wait(60)
        return {}

    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    for key in "ab":  # the second comes while the writer is busy with the first
        journal.record(RecordKind.ORDER, key, 1, body)
        journal.when_durable(done.set)
    assert not done.is_set()
    held.set()
    assert done.wait(60)
    journal.close()
    assert len(rows(tmp_path)) == 2


def test_nobody_stands_aside_for_what_is_durable_already(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.storage.journal._ASIDE_S", 60)
    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    begun = time.monotonic()
    for _ in range(3):
        done = threading.Event()
        journal.when_durable(done.set)
        assert done.wait(60)
    journal.close()
    assert time.monotonic() - begun < 60  # that of one who waited in vain


def test_nobody_stands_aside_while_the_writer_has_much_to_put_into_words(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.storage.journal._ASIDE_S", 600)
    went_on, done = threading.Event(), threading.Event()
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=lambda callback: callback())
    for number in range(40):  # the first words come only when the caller has gone on
        journal.record(RecordKind.EVENT, str(number), 1, lambda: {} if went_on.wait(60) else {"waited": "in vain"})
    journal.when_durable(done.set)
    went_on.set()
    assert done.wait(60)
    journal.close()
    assert rows(tmp_path, "DISTINCT body") == [("{}",)]


@pytest.mark.parametrize(("records", "commits"), [(50, []), (120, ["COMMIT"])])
def test_company_shares_a_transaction(tmp_path, records, commits):
    """A long group time and a close: everything in one commit; a few records are one statement, which is one too."""
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=lambda callback: callback())
    statements = []
    journal._connection.set_trace_callback(statements.append)
    for number in range(records):
        journal.record(RecordKind.EVENT, str(number), number, {})
    journal.close()
    inserted = [one for one in statements if one.startswith("INSERT")]
    assert [one for one in statements if one == "COMMIT"] == commits
    assert len(inserted) == -(-records // 50)
    assert len(rows(tmp_path)) == records


def test_the_file_refuses_changes(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.EVENT, "", 1, {})
    journal.close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    for statement in ("UPDATE records SET body = '{}'", "DELETE FROM records"):
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_second_writer_is_refused_until_the_first_lets_go(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    with pytest.raises(StorageError, match="in use by a running bot"):
        SqliteJournal(tmp_path, "r2")
    journal.close()
    SqliteJournal(tmp_path, "r2").close()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "journal.db")
    for statement in CREATE:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(StorageError, match="newer version") as refused:
        SqliteJournal(tmp_path, "r1")
    assert refused.value.exit_code is ExitCode.STORAGE
    assert (tmp_path / "journal.db").read_bytes() == before


def test_somebody_elses_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(StorageError, match="not a journal"):
        SqliteJournal(tmp_path, "r1")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"hello, I am a diary\n" * 100)
    with pytest.raises(StorageError, match="not a database; if it is damaged, keep it and restore a backup"):
        SqliteJournal(tmp_path, "r1")


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        SqliteJournal(tmp_path / "file" / "data", "r1")


def test_a_damaged_record_is_refused(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.ORDER, "o1", 1, {"quantity": Decimal("1.5")})
    journal.close()
    path = tmp_path / "journal.db"
    damaged = path.read_bytes().replace(b'{"quantity":"1.5"}', b'{"quantity":"9.5"}')
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match="record 1 is damaged"):
        SqliteJournal(tmp_path, "r1")


@pytest.mark.parametrize("body", [{"x": object()}, lambda: 1 / 0])
def test_a_record_that_cannot_be_written_fails_the_journal(tmp_path, body):
    lost = []
    journal = SqliteJournal(tmp_path, "r1", deliver=None, on_lost=lost.append)
    journal.record(RecordKind.EVENT, "good", 1, {})
    journal.record(RecordKind.EVENT, "bad\x1b[2J", 1, body)
    with pytest.raises(StorageError, match="our bug"):
        journal.when_durable(lambda: pytest.fail("called as if durable"))
    assert [json.loads(line)["key"] for line in lost] == ["good", "bad\x1b[2J"]
    assert all(line.isprintable() for line in lost)
    with pytest.raises(StorageError, match="our bug"):
        journal.close()
    assert rows(tmp_path) == []


def test_what_is_handed_out_is_said_in_one_write(tmp_path, monkeypatch):
    # The engine's thread says its lines on the same stream: between two writes stood one of its own.
    said = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=said.append, flush=lambda: None))
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.EVENT, "bad", 1, {"x": object()})
    with pytest.raises(StorageError, match="our bug"):
        journal.close()
    [line] = filter(None, said)
    head, _, body = line.partition(": ")
    assert (head, json.loads(body)["key"], line[-1]) == ("not in the journal", "bad", "\n")


def test_after_close_nothing_is_taken(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        journal.record(RecordKind.EVENT, "", 1, {})
    with pytest.raises(StorageError, match="closed"):
        journal.when_durable(lambda: None)


def test_memory_for_a_slow_disk_is_bounded(tmp_path):
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, queue_limit=10, deliver=lambda callback: callback())

    def record_much():
        for number in range(100):
            journal.record(RecordKind.EVENT, str(number), number, {})

    with pytest.raises(StorageError, match="does not keep up"):
        record_much()
    journal.close()
    assert len(rows(tmp_path)) in (10, 11)  # the writer holds the first in its hand


def test_on_a_virtual_clock_the_caller_waits_for_a_slow_disk(tmp_path):
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=None, queue_limit=10)
    for number in range(100):
        journal.record(RecordKind.EVENT, str(number), number, {})
    journal.close()
    assert [key for (key,) in rows(tmp_path, "key")] == [str(number) for number in range(100)]


def test_close_drains_many_batches_at_once(tmp_path):
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000)
    for number in range(12_000):
        journal.record(RecordKind.EVENT, str(number), number, {})
    journal.close()
    assert rows(tmp_path, "count(*), max(seq)") == [(12_000, 12_000)]


def test_a_closed_loop_does_not_stop_the_writer(tmp_path):
    def closed(callback):
        raise RuntimeError("Event loop is closed")

    journal = SqliteJournal(tmp_path, "r1", deliver=closed)
    journal.when_durable(lambda: None)
    journal.record(RecordKind.EVENT, "", 1, {})
    journal.close()
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize("entry", [b"runr1", b"pairr1"])
def test_an_index_with_a_byte_that_changed_is_made_anew(tmp_path: Path, entry: bytes) -> None:
    kinds = (RecordKind.RUN, RecordKind.PAIR, *[RecordKind.EVENT] * STRIDE)
    with closing(SqliteJournal(tmp_path, "r1", deliver=None)) as journal:
        for kind in kinds:
            journal.record(kind, "k", 1, {})
    path = tmp_path / FILE_NAME
    data = path.read_bytes()
    assert data.count(entry) == 1, "in a record the run comes before the kind"
    path.write_bytes(data.replace(entry, b"x" + entry[1:]))
    with closing(SqliteJournal(tmp_path, "r2", deliver=None)) as journal:
        journal.record(RecordKind.RUN, "k", 1, {})
    with JournalReader.open(tmp_path) as reader:
        assert [run.run_id for run in reader.runs()] == ["r1", "r2"]
        assert [record.seq for record in reader.records("r1", RecordKind.PAIR)] == [2]
        assert len(list(reader.records("r1"))) == len(kinds)


OLD_CREATE = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL, kind TEXT NOT NULL, ts_ns INTEGER NOT NULL,"
    " key TEXT NOT NULL, body TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE INDEX records_by_run ON records (run_id, kind, seq)",
)
"""Of versions 1 to 3."""


@pytest.mark.parametrize("version", [1, 3])
def test_a_journal_of_a_version_before_is_read_and_brought_up_to_date(tmp_path: Path, version: int) -> None:
    kinds = (RecordKind.EVENT, RecordKind.ORDER)
    count = 2 * STRIDE + 3
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        for statement in (*OLD_CREATE, f"PRAGMA user_version = {version}"):
            connection.execute(statement)
        for seq in range(1, count + 1):
            connection.execute(insert(1), to_row(seq, f"old{seq % 3}", kinds[seq % 2], seq, f"k{seq}", "{}"))

    def check() -> None:
        with JournalReader.open(tmp_path) as reader:
            for run, of in product(range(3), (kinds[:1], kinds[1:], kinds, ())):
                there = [seq for seq in range(1, count + 1) if seq % 3 == run and kinds[seq % 2] in (of or kinds)]
                assert [record.seq for record in reader.records(f"old{run}", *of)] == there

    check()
    with JournalReader.open(tmp_path) as beside, closing(SqliteJournal(tmp_path, "new")) as journal:
        journal.record(RecordKind.JOB, "merge", 2, {})
        journal.when_durable(lambda: None)
        assert [record.seq for record in beside.records("new")] == [count + 1]
        assert len(list(beside.records("old1"))) == len(range(1, count + 1, 3))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert connection.execute("SELECT count(*) FROM record_index").fetchone()[0] == 2 * STRIDE
    check()
    with JournalReader.open(tmp_path) as reader:
        assert [record.key for record in reader.records("new")] == ["merge"]
