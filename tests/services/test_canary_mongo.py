"""Secrets are in no database either: a run of real money fills a running MongoDB, and each document is looked at."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from bot.errors import ExitCode
from tests.integration.live_rig import BUG, exchanges
from tests.integration.test_canary_secrets import EAGER, REAL, Life

pytestmark = pytest.mark.services
PATIENCE_S = 120


def documents(uri: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    with MongoClient(uri, tz_aware=True) as client:
        database = client[name]
        return [(kind, one) for kind in database.list_collection_names() for one in database[kind].find({})]


def test_no_canary_is_in_any_document_of_a_run_that_stumbles_over_one(
    mongodb_uri: str, database_name: str, tmp_path: Path
) -> None:
    uri = urlsplit(mongodb_uri)._replace(path=f"/{database_name}").geturl()
    with exchanges() as here:
        life = Life(here, tmp_path)
        words = [*here.words(tmp_path / "data"), *REAL, *EAGER, "--headless"]
        life.run("trading", *words, "--for", "20s", MONGODB_URI=uri)
        assert life.codes["trading"] == ExitCode.OK, life.text("trading")
        life.run("bug", *words, "--for", "60s", MONGODB_URI=uri, **{BUG: "1"})
        assert life.codes["bug"] == ExitCode.BUG, life.text("bug")
        # What the bug said is an event of the journal: the run that follows delivers what its end cut off.
        (tmp_path / "data" / "HALTED").unlink()
        deadline = time.monotonic() + PATIENCE_S
        while not any("about to fail" in json.dumps(one, default=str) for _, one in documents(uri, database_name)):
            assert time.monotonic() < deadline, life.text("delivery")
            life.run("delivery", *words, "--for", "5s", MONGODB_URI=uri)
        found = documents(uri, database_name)
        assert {"orders", "events"} <= {kind for kind, _ in found}
        leaks = [
            f"{kind}: {canary!r}"
            for kind, one in found
            for canary in life.canaries
            if canary.decode() in json.dumps(one, default=str)
        ]
        assert leaks == []
        assert life.leaks() == []
