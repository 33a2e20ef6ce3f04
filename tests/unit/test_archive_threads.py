"""One writes, one merges and removes, others read: nobody sees a row twice, or misses one."""

import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import DAY_NS, ETH, HOUR_NS, KNOWN, MINUTE_NS, START_NS, by_instrument, quotes

MINUTES = 20
STEP_NS = 20 * MINUTE_NS


def test_readers_writer_and_merging_do_not_meet(tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path) as store:
        written: list[int] = []
        failures: list[BaseException] = []
        done = threading.Event()

        def write() -> None:
            for step in range(MINUTES):
                at = START_NS + step * STEP_NS
                store.write(Channel.QUOTES, "binance.spot", quotes(at), KNOWN)
                written.append(at)
            done.set()

        def merge() -> None:
            while not done.is_set():
                store.merge(START_NS + len(written) * STEP_NS + HOUR_NS)
                store.retain(START_NS, {Channel.QUOTES: DAY_NS}, None)

        def read_rows() -> None:
            while not done.is_set():
                least = len(written)
                sequences = store.rows(Channel.QUOTES, ETH.id, 0, 2**62, ["sequence"]).column(0).to_pylist()
                expected = [
                    number
                    for step in range(len(sequences) // 10)
                    for number in quotes(START_NS + step * STEP_NS).column("sequence").to_pylist()[::2]
                ]
                assert sequences == expected
                assert len(sequences) >= least * 10

        def read_segments() -> None:
            while not done.is_set():
                for segment in store.segments(written=True):
                    assert store.read(segment).equals(by_instrument(quotes(segment.start_ns)))

        def safely(work: Callable[[], None]) -> Callable[[], None]:
            def run() -> None:
                try:
                    work()
                except BaseException as error:
                    failures.append(error)
                    done.set()

            return run

        threads = [threading.Thread(target=safely(work)) for work in (write, merge, read_rows, read_segments)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        assert len(written) == MINUTES
        assert any(segment.merged_from for segment in store.segments())
        assert store.rows(Channel.QUOTES, ETH.id, 0, 2**62).num_rows == MINUTES * 10


def test_writing_does_not_wait_for_merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merging, go_on = threading.Event(), threading.Event()
    with ArchiveStore.open(tmp_path) as store:
        for minute in range(2):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + minute * MINUTE_NS), KNOWN)
        put = store._root.put

        def slow(path: str, data: memoryview) -> None:
            if "00h" in path:
                merging.set()
                assert go_on.wait(60)
            put(path, data)

        monkeypatch.setattr(store._root, "put", slow)
        thread = threading.Thread(target=store.merge, args=(START_NS + HOUR_NS + 5 * MINUTE_NS,))
        thread.start()
        assert merging.wait(60)
        late = store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + 2 * MINUTE_NS), KNOWN)
        go_on.set()
        thread.join()
        assert late is not None
        assert [one.merged_from for one in store.segments()] == [(), (1, 2)]
        rows = store.rows(Channel.QUOTES, ETH.id, 0, 2**62)
        expected = [by_instrument(quotes(START_NS + at * MINUTE_NS, instruments=(ETH.id,))) for at in range(3)]
        assert rows.num_rows == pa.concat_tables(expected).num_rows // 2


def test_what_gets_its_place_while_litter_is_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    with ArchiveStore.open(tmp_path) as store:
        put, litter = store._root.put, store._manifest.litter

        def slow(path: str, data: memoryview) -> None:
            begun.set()
            assert go_on.wait(60)
            put(path, data)

        def then_written() -> list[tuple[int, str]]:
            found = litter()
            go_on.set()
            writing.join(60)
            return found

        monkeypatch.setattr(store._root, "put", slow)
        rows = quotes(START_NS)
        writing = threading.Thread(target=store.write, args=(Channel.QUOTES, "binance.spot", rows, KNOWN))
        writing.start()
        assert begun.wait(60)
        monkeypatch.setattr(store._manifest, "litter", then_written)
        store.retain(START_NS, {Channel.QUOTES: DAY_NS}, None)
        (segment,) = store.segments()
        assert store.read(segment).equals(by_instrument(rows))
