"""Reading the journal: beside a writer, of nothing, of something damaged."""

import os
import sqlite3
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from bot.storage.schema import CREATE, STRIDE, VERSION


@pytest.fixture
def journal(tmp_path):
    journal = SqliteJournal(tmp_path, "r1", deliver=None)
    yield journal
    journal.close()


def settle(journal):
    journal.when_durable(lambda: None)


def write_run(data_dir, run_id, started_ns, finished_ns=None):
    journal = SqliteJournal(data_dir, run_id)
    journal.record(RecordKind.RUN, run_id, 7, {"run_id": run_id, "started_ns": started_ns})
    journal.record(RecordKind.EVENT, "", 9, {"text": "hello"})
    if finished_ns is not None:
        journal.record(RecordKind.RUN, run_id, 8, {"finished_ns": finished_ns, "complete": True})
    journal.close()


def test_nothing_recorded_is_no_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "journal.db").touch()
    for data_dir in (tmp_path, tmp_path / "nowhere", tmp_path / "empty"):
        with JournalReader.open(data_dir) as reader:
            assert reader.runs() == []
            assert list(reader.records("r1")) == []
    assert not (tmp_path / "journal.db").exists()


def test_reads_while_a_bot_writes(tmp_path, journal):
    with JournalReader.open(tmp_path) as reader:
        for number in range(3):
            journal.record(RecordKind.ORDER, str(number), number, {"number": number})
            settle(journal)
            assert [record.body["number"] for record in reader.records("r1", RecordKind.ORDER)] == [*range(number + 1)]


def test_a_half_read_answer_does_not_stop_the_writer(tmp_path, journal):
    for number in range(10):
        journal.record(RecordKind.ORDER, str(number), number, {})
    settle(journal)
    with JournalReader.open(tmp_path) as reader:
        answer = reader.records("r1")
        next(answer)
        journal.record(RecordKind.ORDER, "11", 11, {})
        settle(journal)
        answer.close()


def test_kinds_are_told_apart_and_keep_their_order(tmp_path, journal):
    for number, kind in enumerate([RecordKind.ORDER, RecordKind.FILL, RecordKind.EVENT, RecordKind.ORDER]):
        journal.record(kind, str(number), number, {})
    settle(journal)
    with JournalReader.open(tmp_path) as reader:
        assert [r.key for r in reader.records("r1", RecordKind.ORDER)] == ["0", "3"]
        assert [r.key for r in reader.records("r1", RecordKind.FILL, RecordKind.ORDER)] == ["0", "1", "3"]
        assert [r.key for r in reader.records("r1")] == ["0", "1", "2", "3"]
        assert list(reader.records("r2")) == []


KINDS = (RecordKind.ORDER, RecordKind.FILL, RecordKind.RUN)
PORTIONS = st.lists(
    st.tuples(st.booleans(), st.integers(1, STRIDE + 30), st.sampled_from(KINDS), st.booleans()),
    min_size=1,
    max_size=12,
)
"""Whether a new run begins, how many records, of which kind at first, and whether they are another run's beside it."""


def last_of(written, run):
    """A run's end, its last RUN record after the first; without one its newest record. Times are numbers here."""
    ends = [seq for seq, of, kind in written if of == run and kind is RecordKind.RUN]
    return ends[-1] if len(ends) > 1 else max(seq for seq, of, _ in written if of == run)


@settings(max_examples=25)
@given(PORTIONS)
def test_every_record_is_found_by_run_and_kind_however_far_the_index_goes(portions):
    with TemporaryDirectory() as directory, JournalReader.open(Path(directory)) as nothing:
        data_dir, written, runs = Path(directory), [], ["r0"]
        assert list(nothing.records("r0")) == []
        journal = SqliteJournal(data_dir, "r0", deliver=None)
        with JournalReader.open(data_dir) as reader:
            for is_new, count, first, is_beside in portions:
                if is_new:
                    journal.close()
                    runs.append(f"r{len(runs)}")
                    journal = SqliteJournal(data_dir, runs[-1], deliver=None)
                run = runs[-1] + "-beside" if is_beside else runs[-1]
                for kind in (first, *[KINDS[at % 2] for at in range(count - 1)]):
                    written.append((len(written) + 1, run, kind))
                    (journal.beside(run) if is_beside else journal).record(kind, "k", len(written), {})
                settle(journal)
                for run, kinds in product((runs[-1], runs[0], runs[-1] + "-beside"), (KINDS[:1], KINDS[1:], ())):
                    there = [seq for seq, of, kind in written if of == run and kind in (kinds or KINDS)]
                    assert [record.seq for record in reader.records(run, *kinds)] == there
                began = dict.fromkeys(of for _, of, kind in written if kind is RecordKind.RUN)
                assert [run.run_id for run in reader.runs()] == list(began)
                assert {run.run_id: run.last_ns for run in reader.runs()} == {of: last_of(written, of) for of in began}
        journal.close()
        with sqlite3.connect(data_dir / "journal.db") as connection:
            assert (
                connection.execute("SELECT count(*) FROM record_index").fetchone()[0] == len(written) // STRIDE * STRIDE
            )
        connection.close()


def test_runs_know_how_they_ended(tmp_path):
    write_run(tmp_path, "r1", 100, 200)
    write_run(tmp_path, "r2", 300)
    with JournalReader.open(tmp_path) as reader:
        first, second = reader.runs()
        assert (first.run_id, first.started_ns, first.last_ns) == ("r1", 100, 200)
        assert first.end == {"finished_ns": 200, "complete": True}
        assert (second.run_id, second.end, second.last_ns) == ("r2", None, 9)
        assert [run.run_id for run in reader.runs(since_ns=200)] == ["r1", "r2"]
        assert [run.run_id for run in reader.runs(since_ns=201)] == ["r2"]
        assert reader.runs(since_ns=301) == []


def test_a_damaged_record_is_told(tmp_path):
    write_run(tmp_path, "r1", 100)
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes().replace(b'"hello"', b'"hullo"'))
    with JournalReader.open(tmp_path) as reader, pytest.raises(StorageError, match="record 2 is damaged"):
        list(reader.records("r1"))


def test_a_file_of_garbage_is_told(tmp_path):
    (tmp_path / "journal.db").write_bytes(os.urandom(5_000))
    with pytest.raises(StorageError, match="cannot be read"):
        JournalReader.open(tmp_path)


def test_a_damaged_page_is_told(tmp_path):
    journal = SqliteJournal(tmp_path, "r1")
    for number in range(500):
        journal.record(RecordKind.ORDER, str(number), number, {"pad": "x" * 100})
    journal.close()
    path = tmp_path / "journal.db"
    data = bytearray(path.read_bytes())
    data[8_192:16_384] = b"\xff" * 8_192
    path.write_bytes(data)
    with JournalReader.open(tmp_path) as reader, pytest.raises(StorageError):
        list(reader.records("r1"))


def test_a_newer_schema_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "journal.db")
    for statement in CREATE:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="newer version"):
        JournalReader.open(tmp_path)


def test_an_odd_path_is_only_a_path(tmp_path):
    data_dir = tmp_path / "50% ?mode=rwc#x"
    write_run(data_dir, "r1", 1, 2)
    with JournalReader.open(data_dir) as reader:
        assert len(reader.runs()) == 1


def test_it_cannot_write(tmp_path):
    write_run(tmp_path, "r1", 1, 2)
    with JournalReader.open(tmp_path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM records")
