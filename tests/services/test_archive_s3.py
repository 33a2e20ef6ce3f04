"""The archive in a bucket: the same answers, and the same words when something is wrong."""

import secrets
from pathlib import Path
from urllib.request import Request, urlopen

import pyarrow as pa
import pytest

from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.errors import FileGone
from bot.storage.archive.roots import open_root
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import DAY_NS, ETH, KNOWN, MINUTE_NS, START_NS, by_instrument, quotes

pytestmark = pytest.mark.services


@pytest.fixture
def url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty prefix of a bucket of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    bucket = f"crypto-pipe-test-{secrets.token_hex(4)}"
    with urlopen(Request(f"{s3_endpoint}/{bucket}", method="PUT"), timeout=60) as answer:
        assert answer.status == 200
    return f"s3://{bucket}/archive?region=us-east-1&endpoint_override={s3_endpoint}"


def test_objects_are_whole_or_not_there(url: str, tmp_path: Path) -> None:
    root = open_root(url, tmp_path)
    root.put("quotes/a/one", memoryview(b"0123456789"))
    assert (root.get("quotes/a/one"), root.get("quotes/a/one", 3, 4), root.get("quotes/a/one", 8, 9)) == (
        b"0123456789",
        b"3456",
        b"89",
    )
    root.remove("quotes/a/one")
    root.remove("quotes/a/one")
    with pytest.raises(FileGone, match="quotes/a/one is gone"):
        root.get("quotes/a/one")


def test_an_archive_lives_in_a_bucket(url: str, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path, url) as store:
        minutes = [
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + at * MINUTE_NS), KNOWN) for at in range(3)
        ]
        (day,) = store.merge(START_NS + 2 * DAY_NS)
    expected = by_instrument(pa.concat_tables([quotes(START_NS + at * MINUTE_NS) for at in range(3)]))
    with ArchiveStore.open(tmp_path, url, read_only=True) as store:
        assert store.read(day).equals(expected)
        assert minutes[2] is not None
        assert store.read(minutes[2]).equals(by_instrument(quotes(minutes[2].start_ns)))
        assert store.rows(Channel.QUOTES, ETH.id, START_NS + MINUTE_NS, 2**62).num_rows == 20
    with ArchiveStore.open(tmp_path, url) as store:
        store.retain(START_NS + 3 * DAY_NS, {Channel.QUOTES: DAY_NS}, None)
        with pytest.raises(FileGone):
            open_root(url, tmp_path).get(day.path)
    assert not (tmp_path / "archive").exists()


def test_a_damaged_object_is_named(url: str, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path, url) as store:
        segment = store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)
        assert segment is not None
        root = open_root(url, tmp_path)
        root.put(segment.path, memoryview(root.get(segment.path)[:-9]))
        with pytest.raises(StorageError, match=segment.path):
            store.read(segment)


def test_a_bucket_that_is_not_there_is_an_error_without_the_query(url: str, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path, url.replace("/archive", "-missing/archive", 1)) as store:
        with pytest.raises(StorageError, match="cannot be written") as told:
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)
        assert "endpoint_override" not in str(told.value)
        assert list(store.segments()) == []


def test_a_server_that_is_away_is_an_error_and_then_none(url: str, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path, url) as store:
        segment = store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)
        assert segment is not None
    away = url[: url.index("endpoint_override")] + "endpoint_override=http://127.0.0.1:9"
    with (
        pytest.raises(StorageError, match=r"cannot be (read|opened)"),
        ArchiveStore.open(tmp_path, away) as store,
    ):
        store.read(segment)
    with ArchiveStore.open(tmp_path, url) as store:
        assert store.read(segment).equals(by_instrument(quotes(START_NS)))
