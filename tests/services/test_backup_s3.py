"""Backups in a bucket: what comes back is what was there, and what is missing is named."""

import os
import secrets
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from bot.errors import StorageError
from bot.storage.archive.roots import archive_of, open_root
from bot.storage.backup.backup import backup, backups
from bot.storage.backup.contents import FileKind, Part, sha256
from bot.storage.backup.restore import restore, verify
from bot.storage.backup.shelf import open_shelf
from tests.unit.backup_house import facts, merge, write_journal, write_minute

pytestmark = pytest.mark.services
NOW_NS = 1_795_320_000_000_000_000


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    name = f"crypto-pipe-test-{secrets.token_hex(4)}"
    with urlopen(Request(f"{s3_endpoint}/{name}", method="PUT"), timeout=60) as answer:
        assert answer.status == 200
    return name


@pytest.fixture
def url(bucket: str, s3_endpoint: str) -> str:
    return f"s3://{bucket}/backups?region=us-east-1&endpoint_override={s3_endpoint}"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    write_journal(directory, range(100))
    for minute in range(3):
        write_minute(directory, minute)
    return directory


def test_it_goes_and_comes_and_only_what_is_new_goes_again(data_dir: Path, url: str, tmp_path: Path) -> None:
    assert backups(url) == []
    first = backup(data_dir, url, NOW_NS)
    before = facts(data_dir)
    assert backup(data_dir, url, NOW_NS + 10**9).uploaded == 0
    write_journal(data_dir, range(100, 110), "run-2")
    merge(data_dir)
    third = backup(data_dir, url, NOW_NS + 2 * 10**9, keep=2)
    assert 0 < third.uploaded < first.uploaded
    assert len(backups(url)) == 2
    for one, expected in zip(backups(url), (before, facts(data_dir)), strict=True):
        assert verify(url, one.id) == one
        restore(url, tmp_path / one.id, backup_id=one.id)
        assert facts(tmp_path / one.id) == expected


def test_a_missing_object_is_named_and_nothing_is_restored(data_dir: Path, url: str, tmp_path: Path) -> None:
    backup(data_dir, url, NOW_NS)
    shelf = open_shelf(url)
    segment = next(file for file in shelf.files(shelf.backups()[0]) if file.kind is FileKind.SEGMENT)
    shelf.remove(segment.parts[0].path)
    with pytest.raises(StorageError, match=rf"{segment.parts[0].path} is missing"):
        restore(url, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert backup(data_dir, url, NOW_NS + 10**9).uploaded == 1
    restore(url, tmp_path / "back")
    assert facts(tmp_path / "back") == facts(data_dir)


def test_an_object_of_many_pieces_is_read_back(url: str) -> None:
    data = os.urandom(23_000_000)
    part = Part(sha256(data), len(data), is_packed=False)
    shelf = open_shelf(url)
    assert shelf.put(part, data) == len(data)
    assert shelf.get(part, "it") == data
    assert shelf.has_size(part.path, len(data))
    assert not shelf.has_size(part.path, len(data) + 1)


def test_a_bucket_that_is_not_there_is_a_storage_error(data_dir: Path, s3_endpoint: str, bucket: str) -> None:
    with pytest.raises(StorageError):
        backup(data_dir, f"s3://{bucket}-x/b?region=us-east-1&endpoint_override={s3_endpoint}", NOW_NS)


def test_a_markets_own_archive_lies_in_its_own_directory_of_the_bucket(url: str, tmp_path: Path) -> None:
    place = archive_of(url, "simulated")
    assert place is not None
    open_root(place, tmp_path).put("a", memoryview(b"1"))
    assert open_root(url, tmp_path).get("simulated/a") == b"1"
