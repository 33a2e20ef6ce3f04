"""Fault 57 across machines: the account is held in MongoDB as well, and given back, or forgotten after a crash."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo.errors import ServerSelectionTimeoutError

from bot.clock import SystemClock
from bot.errors import PreflightFailed
from bot.storage.mongo import lease as module
from bot.storage.mongo.lease import AccountLease
from bot.storage.mongo.uri import MongoTarget

pytestmark = pytest.mark.services
ACCOUNTS = [("binance", "0123456789abcdef"), ("bybit", "fedcba9876543210")]


class Later(SystemClock):
    """A clock of a machine that looks when the lease has run out."""

    def now_ns(self) -> int:
        return super().now_ns() + round((module.HELD_S + 1) * 1e9)


def a_lease(uri: str, database: str, holder: str, said: list[Any], clock: SystemClock | None = None) -> AccountLease:
    target = MongoTarget.of(SecretStr(uri), database)
    return AccountLease(target, ACCOUNTS, holder, clock or SystemClock(), lambda *line: said.append(line))


async def test_fault_57_an_account_is_held_by_one_bot_of_all_machines(mongodb_uri: str, database_name: str) -> None:
    said: list[Any] = []
    first = a_lease(mongodb_uri, database_name, "run-1 on alpha", said)
    await first.take()
    with pytest.raises(PreflightFailed, match="at binance is traded on by run-1 on alpha") as refused:
        await a_lease(mongodb_uri, database_name, "run-2 on beta", said).take()
    assert refused.value.exit_code == 3
    ((level, words),) = said
    assert level == "warning"
    assert "waiting whether it lives" in words
    said.clear()
    await first.release()
    second = a_lease(mongodb_uri, database_name, "run-2 on beta", said)
    await second.take()
    # Killed: nobody gives it back, and it is free once its time is over.
    third = a_lease(mongodb_uri, database_name, "run-3 on alpha", said, Later())
    await third.take()
    await third.release()
    await second.release()
    assert said == []


async def test_fault_57_a_lease_that_another_took_is_told_at_the_next_renewal(
    mongodb_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW_S", 0.05)
    said: list[Any] = []
    lost = asyncio.get_running_loop().create_future()
    first = a_lease(mongodb_uri, database_name, "run-1 on alpha", said)
    first.on_lost = lost.set_result
    await first.take()
    thief = a_lease(mongodb_uri, database_name, "run-2 on beta", said, Later())
    await thief.take()
    why = await asyncio.wait_for(lost, 60)
    assert "run-2 on beta trades on our account at binance as well" in why
    await thief.release()
    await first.release()


class Away:
    """A client that finds no server."""

    def __getitem__(self, name: str) -> "Away":
        return self

    async def update_one(self, *_: Any, **__: Any) -> None:
        raise ServerSelectionTimeoutError("no server at mongodb://user:Xq8secret@far")

    delete_many = update_one

    async def close(self) -> None:
        pass


async def test_fault_57_a_database_that_is_away_stops_no_start() -> None:
    said: list[Any] = []
    target = MongoTarget.of(SecretStr("mongodb://user:Xq8secret@far/x"))
    clock, away = SystemClock(), Away()
    lease = AccountLease(target, ACCOUNTS, "run-1", clock, lambda *line: said.append(line), lambda _: away)  # type: ignore[arg-type, return-value]
    await lease.take()
    await lease.release()
    assert "whether another machine trades on our accounts is not known" in said[0][1]
    assert len(said) == 2, "said once, and once more when it could not be given back"
    assert "Xq8secret" not in str(said)
