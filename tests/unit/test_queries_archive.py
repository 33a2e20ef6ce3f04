"""The questions of the suite, asked of the archive and the journal."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.market_queries import MarketQueries
from bot.storage.queries import JournalReader
from tests.unit.queries_data import END, MINUTE, RULES, Facts, make, write
from tests.unit.queries_suite import QueriesSuite

Stored = tuple[Facts, MarketQueries]


@contextmanager
def archived(data_dir: Path, merge_at_ns: int | None = None) -> Iterator[Stored]:
    facts = make()
    with ArchiveStore.open(data_dir) as store:
        write(facts, store, data_dir)
        if merge_at_ns is not None:
            assert store.merge(merge_at_ns)
        with JournalReader.open(data_dir) as journal:
            yield facts, archive_queries(store, journal, RULES)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with archived(tmp_path_factory.mktemp("fresh")) as stored:
        yield stored


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with archived(tmp_path_factory.mktemp("merged"), END + 48 * 60 * MINUTE) as stored:
        yield stored


class TestFreshArchive(QueriesSuite):
    @pytest.fixture
    def facts(self, fresh: Stored) -> Facts:
        return fresh[0]

    @pytest.fixture
    def queries(self, fresh: Stored) -> MarketQueries:
        return fresh[1]


class TestMergedArchive(QueriesSuite):
    @pytest.fixture
    def facts(self, merged: Stored) -> Facts:
        return merged[0]

    @pytest.fixture
    def queries(self, merged: Stored) -> MarketQueries:
        return merged[1]
