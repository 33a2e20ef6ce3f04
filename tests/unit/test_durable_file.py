"""How every SQLite file of a data directory is opened."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.storage.durable_file import in_one_step, make_durable, open_file, open_to_read, version_of

TABLE = ("CREATE TABLE facts (x)", "PRAGMA user_version = 3")


def prepare(connection: sqlite3.Connection, path: Path) -> int:
    version = version_of(connection, path, 3, "a test's")
    make_durable(connection, path)
    if not version:
        in_one_step(connection, TABLE)
    return version


def test_a_file_is_made_for_us_alone_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "facts.db"
    for version in (0, 3):
        connection, answer = open_file(path, prepare)
        with closing(connection):
            assert answer == version
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            connection.execute("INSERT INTO facts VALUES (1)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(open_to_read(path)) as reader:
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (2,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM facts")


@pytest.mark.parametrize(
    ("statement", "words"), [("PRAGMA user_version = 4", "newer version"), ("CREATE TABLE x (y)", "not a test's of")]
)
def test_what_is_not_ours_is_left_as_it_is(tmp_path: Path, statement: str, words: str) -> None:
    path = tmp_path / "facts.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(statement)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=words):
        open_file(path, prepare)
    assert path.read_bytes() == before


def test_a_damaged_file_is_one_line_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "facts.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"cannot be used: .*; move it away$"):
        open_file(path, prepare, "move it away")


def test_half_a_step_is_none(tmp_path: Path) -> None:
    path = tmp_path / "facts.db"

    def stumble(connection: sqlite3.Connection, path: Path) -> None:
        in_one_step(connection, (*TABLE, "CREATE nonsense"))

    with pytest.raises(StorageError, match="cannot be used"):
        open_file(path, stumble)
    connection, version = open_file(path, prepare)
    connection.close()
    assert version == 0
