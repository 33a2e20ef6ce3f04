"""Killed at random moments, the bot, the server and both: nothing acknowledged is lost, nothing is there twice."""

import multiprocessing
import os
import random
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bot.storage.archive.store import ArchiveStore
from bot.storage.mongo import cursors
from bot.storage.mongo.journal_documents import COLLECTIONS
from bot.storage.mongo.segment_rows import Form
from tests.services import mongo_child
from tests.services.mongo_rig import KillableServer, assert_equal, killable_server, newest_seq

pytestmark = pytest.mark.services

KILLS = int(os.environ.get("CRYPTO_PIPE_KILLS", "20"))
PROCESSES = multiprocessing.get_context("forkserver")  # what they import is there when they start
PROCESSES.set_forkserver_preload(["tests.services.mongo_child"])


@pytest.fixture(scope="module")
def server() -> Iterator[KillableServer]:
    with killable_server() as running:
        yield running


@pytest.fixture
def name(server: KillableServer) -> Iterator[str]:
    name = f"crypto_pipe_test_{secrets.token_hex(4)}"
    yield name
    server.up()
    with MongoClient(server.uri) as client:
        client.drop_database(name)


class Bot:
    """A child process that stores and ships."""

    def __init__(self, data_dir: Path, server: KillableServer, database: str, run_id: str, quotes_as: Form) -> None:
        self._data_dir = data_dir
        self._out = data_dir / f"{run_id}.out"
        self._process = PROCESSES.Process(
            target=mongo_child.run, args=(data_dir, server.uri, database, run_id, quotes_as)
        )
        self._process.start()

    def live_for(self, seconds: float) -> None:
        """Until it has acknowledged something, and that long from then."""
        deadline = time.monotonic() + 60
        while not self.acknowledged() and time.monotonic() < deadline:
            assert self._process.is_alive()
            time.sleep(0.002)
        time.sleep(seconds)

    def ship(self) -> None:
        """Until MongoDB has taken more than it had."""
        before, deadline = self.shipped(), time.monotonic() + 120
        while self.shipped() == before:
            assert self._process.is_alive()
            assert time.monotonic() < deadline, "nothing is shipped"
            time.sleep(0.002)

    def shipped(self) -> int:
        """Documents of both sources."""
        return sum(self.acknowledged()[2:])

    def acknowledged(self) -> list[int]:
        """Records, segments, and documents of both sources; empty at first."""
        whole = self._out.read_text().rpartition("\n")[0].splitlines() if self._out.exists() else []
        return [int(word) for word in whole[-1].split()] if whole else []

    def kill(self) -> bool:
        """Kill it; whether it was in the middle of its work."""
        self._process.kill()
        self._process.join()
        with closing(sqlite3.connect(self._data_dir / cursors.FILE_NAME)) as connection:
            position = dict(connection.execute("SELECT source, position FROM cursors"))
        with ArchiveStore.open(self._data_dir, read_only=True) as store:
            newest = store.segments(written=True)[-1].number
        return position.get("journal", 0) < newest_seq(self._data_dir) or position.get("archive", 0) < newest

    def finish(self) -> None:
        self._process.join(2_000)
        code = self._process.exitcode
        self._process.kill()
        assert code == 0


def settle(
    data_dir: Path, server: KillableServer, database: str, quotes_as: Form, acknowledged: dict[str, int]
) -> None:
    """Deliver the rest, then compare everything."""
    Bot(data_dir, server, database, "last", quotes_as).finish()
    with MongoClient(server.uri, tz_aware=True) as client, ArchiveStore.open(data_dir, read_only=True) as store:
        assert_equal(data_dir, store, client[database])
        for run_id, records in acknowledged.items():
            assert _count(client[database], run_id) >= records > 0


def _count(database: Any, run_id: str) -> int:
    return sum(database[name].count_documents({"run_id": run_id}) for name in COLLECTIONS.values())


@pytest.mark.parametrize("quotes_as", [Form.ROW, Form.MINUTE])
def test_the_bot_is_killed(tmp_path: Path, server: KillableServer, name: str, quotes_as: Form) -> None:
    draws = random.Random(f"bot-{quotes_as}")
    acknowledged, behind = {}, 0
    for number in range(KILLS):
        bot = Bot(tmp_path, server, name, f"run-{number}", quotes_as)
        bot.live_for(draws.uniform(0.0, 0.6))
        behind += bot.kill()
        acknowledged[f"run-{number}"] = bot.acknowledged()[0]
    assert behind > 0  # it was in the middle of its work at least once
    settle(tmp_path, server, name, quotes_as, acknowledged)


def test_fault_62_the_server_is_killed(tmp_path: Path, server: KillableServer, name: str) -> None:
    draws = random.Random("server")
    bot = Bot(tmp_path, server, name, "run", Form.ROW)
    for _ in range(KILLS):
        bot.ship()  # so that the server dies while it is written to, however slow the machine is
        bot.live_for(draws.uniform(0.0, 0.3))
        server.kill()
        bot.live_for(draws.uniform(0.0, 0.2))
        server.up()
    bot.ship()
    bot.kill()
    settle(tmp_path, server, name, Form.ROW, {"run": bot.acknowledged()[0]})


def test_fault_62_both_are_killed(tmp_path: Path, server: KillableServer, name: str) -> None:
    draws = random.Random("both")
    acknowledged = {}
    for number in range(KILLS):
        bot = Bot(tmp_path, server, name, f"run-{number}", Form.MINUTE)
        bot.live_for(draws.uniform(0.0, 0.6))
        first, second = draws.sample([server.kill, bot.kill], 2)
        first()
        second()
        acknowledged[f"run-{number}"] = bot.acknowledged()[0]
        server.up()
    settle(tmp_path, server, name, Form.MINUTE, acknowledged)
