"""Fault 60 for the archive: a disk that is full, or takes no more, and comes back."""

import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import ETH, START_NS, by_instrument, files, quotes

ROOT = Path(__file__).parents[2]
ROWS = 200_000

CHILD = """
import resource, sys
from pathlib import Path
from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import *

data_dir, limit = Path(sys.argv[1]), int(sys.argv[2])
small = quotes(START_NS)
large = quotes(START_NS + MINUTE_NS, {rows})
with ArchiveStore.open(data_dir) as store:
    assert store.write(Channel.QUOTES, "binance.spot", small, KNOWN).number == 1
    # The kernel says "file too large" where a full disk says "no space": to a program both are a write that fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            store.write(Channel.QUOTES, "binance.spot", large, KNOWN)
        except StorageError as error:
            print(error)
        else:
            sys.exit("a write that cannot be durable was acknowledged")
        assert len(store.segments()) == 1
        assert store.read(store.segments()[0]).num_rows == 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert store.write(Channel.QUOTES, "binance.spot", large, KNOWN).number == 2
    store.retain(START_NS, {{}}, None)
"""


@pytest.mark.parametrize(
    ("limit", "told"),
    [(300_000, "quotes/binance.spot/"), (1_000, "archive.db")],
    ids=["no room for the file", "no room for the manifest"],
)
def test_fault_60_a_full_disk_names_nothing_and_goes_on_when_space_returns(
    tmp_path: Path, limit: int, told: str
) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(rows=ROWS), str(tmp_path), str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    lines = child.stdout.splitlines()
    assert len(lines) == 2
    assert all(told in line for line in lines)
    with ArchiveStore.open(tmp_path) as store:
        assert files(tmp_path) == sorted(segment.path for segment in store.segments())
        assert store.read(store.segments()[1]).num_rows == ROWS


def test_fault_60_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # A file in the way stops root too, whom permissions do not.
    with ArchiveStore.open(tmp_path) as store:
        (tmp_path / "archive").write_text("")
        with pytest.raises(StorageError, match=r"archive/quotes.* cannot be written"):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), {})
        (tmp_path / "archive").unlink()
        assert store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), {}) is not None
        rows = store.rows(Channel.QUOTES, ETH.id, 0, 2**62)
        assert rows.combine_chunks().equals(by_instrument(quotes(START_NS)).slice(10))
