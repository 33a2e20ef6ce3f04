"""The cursor file: durable, refused where it is somebody else's, and never behind what it said."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.storage.mongo.cursors import FILE_NAME, VERSION, Cursor, CursorFile


def test_a_cursor_is_there_again(tmp_path: Path) -> None:
    with closing(CursorFile.open(tmp_path)) as cursors:
        assert cursors.get("a", "journal") is None
        cursors.put("a", "journal", Cursor(5, 0, "run:1"))
        cursors.put("a", "journal", Cursor(7, 3, "run:2"))
        cursors.put("b", "journal", Cursor(1, 0, ""))
        cursors.put_aside("a", "archive", 4, "damaged")
        cursors.put_aside("a", "archive", 2, "gone")
        cursors.drop_aside("a", "archive", 2)
        origin = cursors.origin
    with closing(CursorFile.open(tmp_path)) as cursors:
        assert cursors.origin == origin
        assert cursors.get("a", "journal") == Cursor(7, 3, "run:2")
        assert cursors.get("b", "journal") == Cursor(1)
        assert cursors.aside("a", "archive") == [(4, "damaged")]
        assert cursors.aside("b", "archive") == []


def test_the_file_is_ours_alone_and_every_step_is_fsynced(tmp_path: Path) -> None:
    with closing(CursorFile.open(tmp_path)) as cursors:
        assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
        assert cursors._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_two_directories_have_two_names(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with closing(CursorFile.open(tmp_path)) as one, closing(CursorFile.open(tmp_path / "other")) as other:
        assert one.origin != other.origin


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StorageError, match="newer version") as raised:
        CursorFile.open(tmp_path)
    assert raised.value.exit_code == 6


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="not an outbox"):
        CursorFile.open(tmp_path)


def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="move it away to fill MongoDB again"):
        CursorFile.open(tmp_path)


def test_a_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        CursorFile.open(tmp_path / "missing")


def test_cursors_stand_in_the_order_of_delivery() -> None:
    assert Cursor(1, 9) < Cursor(2, 0) < Cursor(2, 1)
