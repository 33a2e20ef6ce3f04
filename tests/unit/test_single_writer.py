import os
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.single_writer import SingleWriter
from bot.storage.archive.manifest_file import WriterLock


def test_each_thing_of_a_directory_has_one_writer(tmp_path: Path) -> None:
    home = tmp_path / "{new}"
    journal, archive = SingleWriter(home), WriterLock(home)
    with pytest.raises(StorageError, match=rf"in use by a running bot \(process {os.getpid()}\)"):
        SingleWriter(home)
    with pytest.raises(StorageError, match=rf"archive in .*\{{new\}} is being written by another .* \({os.getpid()}\)"):
        WriterLock(home)
    with pytest.raises(StorageError, match="one at a time"):
        SingleWriter(home, "archive.lock", "one at a time")
    archive.release()
    archive.release()
    WriterLock(home).release()
    journal.release()
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        SingleWriter(tmp_path / "file" / "below")


def test_it_is_let_go_at_the_end_of_a_block(tmp_path: Path) -> None:
    with SingleWriter(tmp_path, "backup.lock"), pytest.raises(StorageError):
        SingleWriter(tmp_path, "backup.lock")
    SingleWriter(tmp_path, "backup.lock").release()
