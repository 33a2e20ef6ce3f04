"""`--mode query --source mongo`: the program's answers are those that it gives from the archive."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

import main
from bot.storage.archive.store import ArchiveStore
from bot.storage.instants import utc_text
from bot.storage.mongo.segment_rows import Form
from tests.services.test_queries_mongo import ship
from tests.unit.queries_data import END, GAP, MINUTE, NOON, make, write

pytestmark = pytest.mark.services

NAME = "crypto_pipe_test_query_mode"
ONE = "binance:ETH/USDT:USDT"
SPAN = ("--since", utc_text(NOON), "--until", utc_text(END + MINUTE))
OF_ONE = ("--instrument", ONE)
QUESTIONS = (
    ("quote", *OF_ONE, "--at", utc_text(GAP[0] + 1)),
    ("quotes", *OF_ONE, *SPAN),
    ("trades", *OF_ONE, *SPAN),
    ("funding", *OF_ONE, *SPAN),
    ("gaps", *OF_ONE, *SPAN),
    ("minute-trades", *OF_ONE, *SPAN),
    ("minute-books", *OF_ONE, *SPAN),
    ("views", "--instrument", "ETH/USDT:USDT", *SPAN),
    ("runs",),
    ("decisions",),
    ("fills", *SPAN),
)


@pytest.fixture
def data_dir(mongodb_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    directory = tmp_path / "data"
    directory.mkdir()
    parts = urlsplit(mongodb_uri)
    options = parts.query if "authSource" in parts.query else f"{parts.query}&authSource=admin".lstrip("&")
    monkeypatch.setenv("MONGODB_URI", parts._replace(path=f"/{NAME}", query=options).geturl())
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(NAME)
        with ArchiveStore.open(directory) as store:
            write(make(), store, directory)
            asyncio.run(ship(directory, store, mongodb_uri, NAME, Form.MINUTE))
        yield directory
        client.drop_database(NAME)


def test_mongodb_and_the_archive_give_the_same_lines(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lines(*words: str) -> list[dict[str, Any]]:
        asked = ["--mode", "query", "--market", "live", "--data-dir", str(data_dir), "--json", "--what", *words]
        assert main.main(asked) == 0, capsys.readouterr().err
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    for words in QUESTIONS:
        told = lines(*words)
        assert told
        assert lines(*words, "--source", "mongo") == told, words
    book = ("book", *OF_ONE, "--at", utc_text(NOON + 90 * 10**9))
    told = lines(*book)
    assert told[0]["snapshot_ns"] == NOON + 60 * 10**9
    assert lines(*book, "--source", "mongo") == told


def test_nothing_then_is_one_line(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--mode", "query", "--market", "live", "--data-dir", str(data_dir), "--source", "mongo"]
    asked = ["--what", "quotes", *OF_ONE, "--since", "2023-01-01", "--until", "2023-01-02"]
    assert main.main([*words, *asked]) == 2
    told = capsys.readouterr().err
    assert "MongoDB" in told
    assert f"has no quotes of {ONE} from 2023-01-01" in told
    assert len(told.splitlines()) == 1
    assert "@" not in told
