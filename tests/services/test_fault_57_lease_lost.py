"""Fault 57 in running bots: the account is held in MongoDB by one of them, taken from it, and what both do then."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import AsyncMongoClient

from bot.storage.mongo.lease import LEASES
from tests.integration.fault_rig import IN_AND_OUT, PATIENCE_S, bot, records, sent_to_open
from tests.integration.standing_exchanges import at, exchanges, lend

pytestmark = pytest.mark.services


async def leases(uri: str, database: str) -> list[Mapping[str, Any]]:
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        return [one async for one in client[database][LEASES].find()]


def refusals(data_dir: Path) -> set[str]:
    return {str(body["reason"]) for *_, body in records(data_dir, "decision")}


async def steal(uri: str, database: str) -> None:
    """As a bot does on a machine whose clock is ahead: by that clock this one's lease has run out."""
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        theirs = {"holder": "run-9 on beta", "until_ns": 4_000_000_000_000_000_000}
        await client[database][LEASES].update_many({}, {"$set": theirs})


async def test_fault_57_a_bot_on_a_second_machine_exits_3_and_one_whose_lease_is_lost_halts(
    tmp_path: Path, mongodb_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", urlsplit(mongodb_uri)._replace(path=f"/{database_name}").geturl())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "alpha"))
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(tmp_path / "one", *IN_AND_OUT, at(told)) as first:
            await first.says("routes over")
            held = await leases(mongodb_uri, database_name)
            assert {str(one["_id"]).partition(":")[0] for one in held} == {"binance", "bybit"}
            # Another machine's lock files lie elsewhere: the database alone can tell.
            monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "beta"))
            async with bot(tmp_path / "two", *IN_AND_OUT, at(told)) as second:
                assert await asyncio.wait_for(second.process.wait(), 3 * PATIENCE_S) == 3
                await asyncio.gather(*second._reading)
            (line,) = [line for line in second.said if line.startswith("crypto-pipe: ")]
            assert "is traded on by run " in line
            assert "says MongoDB" in line
            assert not (tmp_path / "two" / "journal.db").exists()
            await first.until(lambda: sent_to_open(tmp_path / "one") > 0)
            await steal(mongodb_uri, database_name)
            await first.says("HALTED: run-9 on beta trades on our account at ")
            sent = sent_to_open(tmp_path / "one")
            await first.until(lambda: "state_halted" in refusals(tmp_path / "one"))
            assert await first.end(signal.SIGINT) == 130
            assert sent_to_open(tmp_path / "one") == sent, "nothing that opens leaves any more"
        left = await leases(mongodb_uri, database_name)
        assert {one["holder"] for one in left} == {"run-9 on beta"}, "and what is another's is not given back"
