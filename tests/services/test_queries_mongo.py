"""The questions of the suite, asked of MongoDB: what the outbox delivered gives the same answers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from bot.errors import StorageError
from bot.storage.archive.store import ArchiveStore
from bot.storage.market_queries import MarketQueries
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.uri import MongoTarget
from bot.storage.mongo_queries import mongo_queries
from tests.services.mongo_rig import is_done, newest_seq, shipper_of, until
from tests.unit.queries_data import RULES, Facts, make, write
from tests.unit.queries_suite import QueriesSuite

pytestmark = pytest.mark.services

Stored = tuple[Facts, MarketQueries]


@contextmanager
def delivered(uri: str, name: str, data_dir: Path, form: Form) -> Iterator[Stored]:
    """Everything written, shipped and acknowledged; the archive is closed before the first question."""
    facts = make()
    with ArchiveStore.open(data_dir) as store:
        write(facts, store, data_dir)
        asyncio.run(ship(data_dir, store, uri, name, form))
    try:
        with mongo_queries(MongoTarget.of(SecretStr(uri), name), RULES) as queries:
            yield facts, queries
    finally:
        with MongoClient(uri, serverSelectionTimeoutMS=20_000) as client:
            client.drop_database(name)


async def ship(data_dir: Path, store: ArchiveStore, uri: str, name: str, form: Form) -> None:
    with shipper_of(data_dir, store, uri, name, quotes_as=form) as shipper:
        shipper.start()
        await until(lambda: is_done(shipper, store, newest_seq(data_dir)))
        await shipper.stop()


@pytest.fixture(scope="module")
def by_tick(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with delivered(mongodb_uri, "crypto_pipe_test_queries_tick", tmp_path_factory.mktemp("tick"), Form.ROW) as stored:
        yield stored


@pytest.fixture(scope="module")
def by_minute(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    name = "crypto_pipe_test_queries_minute"
    with delivered(mongodb_uri, name, tmp_path_factory.mktemp("minute"), Form.MINUTE) as stored:
        yield stored


class TestQuotesByTheTick(QueriesSuite):
    @pytest.fixture
    def facts(self, by_tick: Stored) -> Facts:
        return by_tick[0]

    @pytest.fixture
    def queries(self, by_tick: Stored) -> MarketQueries:
        return by_tick[1]


class TestQuotesByTheMinute(QueriesSuite):
    @pytest.fixture
    def facts(self, by_minute: Stored) -> Facts:
        return by_minute[0]

    @pytest.fixture
    def queries(self, by_minute: Stored) -> MarketQueries:
        return by_minute[1]


def test_an_empty_database_has_empty_answers(mongodb_uri: str, database_name: str) -> None:
    with mongo_queries(MongoTarget.of(SecretStr(mongodb_uri), database_name)) as queries:
        assert queries.runs() == []
        assert queries.top_of_book("binance:ETH/USDT", 1) is None
        assert queries.quotes("binance:ETH/USDT", 0, 2**62).num_rows == 0


def test_a_database_of_a_newer_program_is_refused(mongodb_uri: str, database_name: str) -> None:
    with MongoClient(mongodb_uri) as client:
        client[database_name]["meta"].insert_one({"_id": "schema", "version": 99, "quotes": "row"})
    target = MongoTarget.of(SecretStr(mongodb_uri), database_name)
    with pytest.raises(StorageError, match="newer version"), mongo_queries(target):
        pass


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    target = MongoTarget.of(SecretStr("mongodb://reader:geheim@127.0.0.1:9/market"))
    with pytest.raises(StorageError) as caught, mongo_queries(target, answer_within_s=0.2):
        pass
    assert "127.0.0.1:9/market" in str(caught.value)
    assert "geheim" not in str(caught.value)
