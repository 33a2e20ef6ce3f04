import secrets
from pathlib import Path

import pyarrow as pa
import pytest

from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.errors import FileGone
from bot.storage.archive.roots import open_root
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import DAY_NS, ETH, KNOWN, MINUTE_NS, START_NS, by_instrument, quotes


@pytest.fixture(params=["a directory", "file://", "memory://", "local://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kind: str = request.param
    if kind == "memory://":
        return f"memory://{secrets.token_hex(4)}"
    return str(tmp_path / "root") if kind == "a directory" else f"{kind}{tmp_path}/root"


def test_a_root_holds_whole_files(url: str, tmp_path: Path) -> None:
    root = open_root(url, tmp_path / "default")
    root.put("a/b/one", memoryview(b"0123456789"))
    root.put("a/b/two", memoryview(b"x"))
    root.put("a/b/one", memoryview(b"abcdefghij"))
    assert (root.get("a/b/one"), root.get("a/b/one", 3, 4), root.get("a/b/one", 8, 4)) == (
        b"abcdefghij",
        b"defg",
        b"ij",
    )
    root.remove("a/b/one")
    root.remove("a/b/one")
    root.remove("never/was")
    with pytest.raises(FileGone, match="a/b/one"):
        root.get("a/b/one")
    assert root.get("a/b/two") == b"x"
    assert not (tmp_path / "default").exists()


def test_an_archive_lives_in_any_root(url: str, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path / "data", url) as store:
        minutes = [
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + at * MINUTE_NS), KNOWN) for at in range(3)
        ]
        (day,) = store.merge(START_NS + 2 * DAY_NS)
    with ArchiveStore.open(tmp_path / "data", url) as store:
        expected = by_instrument(pa.concat_tables([quotes(START_NS + at * MINUTE_NS) for at in range(3)]))
        assert store.read(day).equals(expected)
        assert minutes[1] is not None
        assert store.read(minutes[1]).equals(by_instrument(quotes(minutes[1].start_ns)))
        assert store.rows(Channel.QUOTES, ETH.id, 0, 2**62).num_rows == 30
        store.retain(START_NS + 3 * DAY_NS, {Channel.QUOTES: DAY_NS}, None)
        assert store.rows(Channel.QUOTES, ETH.id, 0, 2**62).num_rows == 0
    assert not (tmp_path / "data" / "archive").exists()


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/archive", "s3://key@bucket/archive", "ftp://user:secret@host/x"]
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as told:
        open_root(url, tmp_path)
    assert "environment" in str(told.value)
    assert "secret" not in str(told.value)


def test_an_unknown_url_is_refused_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nonsense://x cannot be opened"):
        ArchiveStore.open(tmp_path, "nonsense://x?password=1")
    ArchiveStore.open(tmp_path).close()


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a directory should be")
    with ArchiveStore.open(tmp_path, str(tmp_path / "taken")) as store:
        with pytest.raises(StorageError, match=r"taken/quotes.* cannot be written"):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)
        assert list(store.segments()) == []
        (tmp_path / "taken").unlink()
        assert store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN) is not None
