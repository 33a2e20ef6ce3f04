"""`kill -9` between any two steps: what was acknowledged is readable exactly once, and nothing is left over."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.integration.archive_killer import MINUTES, NOW_NS
from tests.unit.archive_rows import BTC, DAY_NS, ETH, MINUTE_NS, START_NS, by_instrument, files, quotes

ROOT = Path(__file__).parents[2]
MINUTE_STARTS = [START_NS + minute * MINUTE_NS for minute in range(MINUTES)]


def killed_at_every_step(directory: Path, what: str) -> list[Path]:
    command = [sys.executable, "-m", "tests.integration.archive_killer", str(directory), what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    runs = int(done.stdout)
    assert runs > 5
    return [directory / str(step) for step in range(runs + 1)]


def expected(starts_ns: list[int]) -> pa.Table:
    return by_instrument(pa.concat_tables([quotes(start_ns) for start_ns in starts_ns]))


def everything(store: ArchiveStore) -> pa.Table:
    return pa.concat_tables(
        [store.rows(Channel.QUOTES, instrument, 0, 2**62) for instrument in (BTC.id, ETH.id)]
    ).combine_chunks()


def assert_tidy(store: ArchiveStore, data_dir: Path) -> None:
    assert files(data_dir) == sorted(segment.path for segment in store.segments())


@pytest.mark.parametrize("what", ["write", "merge", "retain", "open"])
def test_every_step_may_be_the_last(tmp_path: Path, what: str) -> None:
    outcomes = set()
    for data_dir in killed_at_every_step(tmp_path, what):
        acknowledged = [int(line) for line in data_dir.with_suffix(".acknowledged").read_text().split()]
        with ArchiveStore.open(data_dir) as store:
            numbers = [segment.number for segment in store.segments(written=True)]
            assert set(acknowledged) <= set(numbers)
            assert numbers == list(range(1, len(numbers) + 1)) or what == "merge"
            starts = [*MINUTE_STARTS, *([START_NS + MINUTES * MINUTE_NS] if len(numbers) > MINUTES + 1 else [])]
            kept = [*starts, START_NS + DAY_NS] if len(store.segments()) > 1 else [START_NS + DAY_NS]
            assert everything(store).equals(expected(kept))
            assert_tidy(store, data_dir)
            outcomes.add(tuple(segment.number for segment in store.segments()))
            # And it goes on as if nothing had been.
            store.merge(NOW_NS)
            assert everything(store).equals(expected(kept))
            assert_tidy(store, data_dir)
    assert (
        outcomes
        == {
            "write": {(1, 2, 3, 4), (1, 2, 3, 4, 5)},
            "merge": {(1, 2, 3, 4), (4, 5)},
            "retain": {(1, 2, 3, 4), (4,)},
            "open": {(1, 2, 3, 4)},
        }[what]
    )
