from pathlib import Path

import pytest

from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import ETH, HOUR_NS, KNOWN, MINUTE_NS, START_NS, files, quotes, views

NOW_NS = START_NS + 10 * HOUR_NS


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    with ArchiveStore.open(tmp_path) as store:
        for hours_ago in (9, 6, 3, 0):
            at = NOW_NS - hours_ago * HOUR_NS - MINUTE_NS
            store.write(Channel.QUOTES, "binance.spot", quotes(at), KNOWN)
            store.write(Channel.VIEWS, "all", views(at, ["{}"]), {})
    return tmp_path


def test_each_channel_is_kept_for_its_time(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        removed = store.retain(NOW_NS, {Channel.QUOTES: 5 * HOUR_NS}, None)
        assert [one.number for one in removed] == [1, 3]
        assert [one.number for one in store.segments()] == [2, 4, 5, 6, 7, 8]
        assert [one.number for one in store.segments(written=True)] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert files(data_dir) == sorted(one.path for one in store.segments())
        assert store.retain(NOW_NS, {Channel.QUOTES: 5 * HOUR_NS}, None) == []


def test_the_oldest_go_until_the_rest_fits(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        segments = store.segments()
        left = sum(one.size_bytes for one in segments) - segments[0].size_bytes
        assert [one.number for one in store.retain(NOW_NS, {}, left - 1)] == [2, 1]
        assert store.retain(NOW_NS, {}, left - 1) == []


def test_the_last_hour_stays_whatever_it_takes(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        store.retain(NOW_NS, dict.fromkeys(Channel, 0), 0)
        assert [one.number for one in store.segments()] == [7, 8]


def test_numbers_are_not_used_again(data_dir: Path) -> None:
    with ArchiveStore.open(data_dir) as store:
        store.retain(NOW_NS + 5 * HOUR_NS, dict.fromkeys(Channel, 0), 0)
        assert list(store.segments()) == list(store.instruments(Channel.QUOTES)) == []
    with ArchiveStore.open(data_dir) as store:
        segment = store.write(Channel.QUOTES, "binance.spot", quotes(NOW_NS, instruments=(ETH.id,)), KNOWN)
        assert segment is not None
        assert segment.number == 9
        assert list(store.instruments(Channel.QUOTES)) == [ETH.id]
