"""A lease in MongoDB that somebody holds already: a bot that lives keeps it, one that was killed lets it run out."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo.errors import AutoReconnect, DuplicateKeyError

from bot.clock import SystemClock
from bot.errors import PreflightFailed
from bot.storage.mongo import lease as module
from bot.storage.mongo.lease import AccountLease
from bot.storage.mongo.uri import MongoTarget

ACCOUNT = ("binance", "0123456789abcdef")


class Leases:
    """What a collection with a unique `_id` does of `update_one` with an upsert, in memory."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.is_gone = False
        """Whether the server goes away before it has told who holds an account."""
        self.answers = 0
        """How often it has told."""

    def __getitem__(self, name: str) -> "Leases":
        return self

    async def update_one(self, free: dict[str, Any], ours: dict[str, Any], *, upsert: bool) -> None:
        assert upsert
        id_, (mine, over) = free["_id"], free["$or"]
        found = self.held.get(id_)
        if found and found["holder"] != mine["holder"] and found["until_ns"] >= over["until_ns"]["$lt"]:
            raise DuplicateKeyError("E11000")
        self.held[id_] = {"_id": id_, **ours["$set"]}

    async def find_one(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        if self.is_gone:
            raise AutoReconnect("connection closed")
        self.answers += 1
        return self.held.get(wanted["_id"])

    async def delete_many(self, wanted: dict[str, Any]) -> None:
        for id_ in wanted["_id"]["$in"]:
            if self.held.get(id_, {}).get("holder") == wanted["holder"]:
                del self.held[id_]

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_S", 1.0)
    monkeypatch.setattr(module, "_RENEW_S", 0.1)
    monkeypatch.setattr(module, "_LOOK_S", 0.05)


def a_lease(leases: Leases, holder: str, said: list[Any]) -> AccountLease:
    target = MongoTarget.of(SecretStr("mongodb://127.0.0.1/x"))
    return AccountLease(target, [ACCOUNT], holder, SystemClock(), lambda *line: said.append(line), lambda _: leases)  # type: ignore[arg-type, return-value]


async def test_fault_57_the_lease_of_a_bot_that_was_killed_is_waited_out_by_its_next_start() -> None:
    leases, said = Leases(), list[Any]()
    killed = a_lease(leases, "run-1 on alpha", said)
    await killed.take()
    assert killed._renewing is not None
    killed._renewing.cancel()

    again = a_lease(leases, "run-2 on alpha", said)
    await again.take()

    (held,) = leases.held.values()
    assert held["holder"] == "run-2 on alpha"
    assert "run-1 on alpha held the account at binance a moment ago" in said[0][1]
    await again.release()


async def test_fault_57_a_bot_that_lives_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_S", 60.0)  # a busy machine may keep both from the loop for a second
    leases, said = Leases(), list[Any]()
    first = a_lease(leases, "run-1 on alpha", said)
    await first.take()

    with pytest.raises(PreflightFailed, match="at binance is traded on by run-1 on alpha"):
        await a_lease(leases, "run-2 on beta", said).take()

    (held,) = leases.held.values()
    assert held["holder"] == "run-1 on alpha"
    await first.release()


async def test_fault_57_a_server_that_is_away_for_a_moment_does_not_give_an_account_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HELD_S", 60.0)
    leases, said = Leases(), list[Any]()
    other = leases.held["binance:0123456789abcdef"] = {"holder": "run-1 on alpha", "until_ns": 4 * 10**18}

    starting = asyncio.create_task(a_lease(leases, "run-2 on beta", said).take())
    async with asyncio.timeout(60):
        while not leases.answers:
            await asyncio.sleep(0)
        leases.is_gone = True
        while len(said) < 2:
            await asyncio.sleep(0)
    assert "is not known" in said[1][1]
    leases.is_gone = False
    other["until_ns"] = 5 * 10**18

    with pytest.raises(PreflightFailed, match="at binance is traded on by run-1 on alpha"):
        await starting


async def test_fault_57_a_server_that_goes_before_it_has_told_the_holder_ends_no_renewing() -> None:
    leases, said = Leases(), list[Any]()
    first = a_lease(leases, "run-1 on alpha", said)
    lost = asyncio.get_running_loop().create_future()
    first.on_lost = lost.set_result
    await first.take()
    leases.is_gone = True
    leases.held["binance:0123456789abcdef"] = {"holder": "run-2 on beta", "until_ns": 4_000_000_000_000_000_000}
    async with asyncio.timeout(60):
        while not said:
            await asyncio.sleep(0)
    leases.is_gone = False

    why = await asyncio.wait_for(lost, 60)

    assert "run-2 on beta trades on our account at binance as well" in why
    await first.release()
