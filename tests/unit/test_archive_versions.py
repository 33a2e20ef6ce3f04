import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from bot.errors import ExitCode, StorageError
from bot.storage.archive import layout, manifest_schema
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import ETH, KNOWN, MINUTE_NS, START_NS, by_instrument, quotes

ALWAYS = (0, 2**62)


def write(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        for minute in range(2):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + minute * MINUTE_NS), KNOWN)


def make_older(data_dir: Path) -> None:
    """The manifest that version 1 would have written, with the same segments."""
    current, older = data_dir / "archive.db", data_dir / "older.db"
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        manifest_schema.create(connection, 1)
        connection.execute("ATTACH ? AS current", (str(current),))
        for table in ("segments", "blocks", "instruments", "seen", "litter"):
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM current.{table}")
    older.replace(current)


@pytest.mark.parametrize("read_only", [False, True])
def test_an_older_manifest_is_brought_up_to_date(tmp_path: Path, read_only: bool) -> None:
    write(tmp_path)
    make_older(tmp_path)
    with ArchiveStore.open(tmp_path, read_only=read_only) as store:
        assert [one.number for one in store.segments()] == [1, 2]
        assert store.read(store.segments()[0]).equals(by_instrument(quotes(START_NS)))
        assert store.rows(Channel.QUOTES, ETH.id, *ALWAYS).num_rows == 20
        assert store.instrument(ETH.id) == ETH
    with closing(sqlite3.connect(tmp_path / "archive.db")) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert version == (1 if read_only else manifest_schema.VERSION)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_manifest_is_refused(tmp_path: Path, read_only: bool) -> None:
    write(tmp_path)
    with closing(sqlite3.connect(tmp_path / "archive.db")) as connection:
        connection.execute(f"PRAGMA user_version = {manifest_schema.VERSION + 1}")
    with pytest.raises(StorageError, match="written by a newer version") as told:
        ArchiveStore.open(tmp_path, read_only=read_only)
    assert told.value.exit_code is ExitCode.STORAGE


@pytest.mark.parametrize("read_only", [False, True])
def test_somebody_elses_database_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "archive.db")) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    with pytest.raises(StorageError, match="not an archive"):
        ArchiveStore.open(tmp_path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "archive.db").write_bytes(b"nothing of ours" * 100)
    with pytest.raises(StorageError, match=r"archive\.db"):
        ArchiveStore.open(tmp_path, read_only=read_only)


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(layout, "FILE_VERSION", layout.FILE_VERSION + 1)
        write(tmp_path)
    with ArchiveStore.open(tmp_path) as store, pytest.raises(StorageError, match="newer version") as told:
        store.read(store.segments()[0])
    assert told.value.exit_code is ExitCode.STORAGE


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path)
    (path, _) = sorted((tmp_path / "archive").rglob("*.arrow"))
    with pa.OSFile(str(path)) as file:
        schema = pa.ipc.open_file(file).schema
    facts = json.loads(schema.metadata[b"crypto_pipe"])
    assert (facts["version"], facts["channel"], facts["scope"]) == (1, "quotes", "binance.spot")
    assert facts["steps"] == {"ts_event_ns": 1_000_000}
    assert {schema.field(name).type for name in ("bid_price", "ask_qty", "ts_recv_ns")} == {pa.int64()}
