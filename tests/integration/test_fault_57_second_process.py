"""Fault 57: a second process on the same account, or on the same data directory, ends with exit 3 and says why."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bot.errors import PreflightFailed
from bot.storage.account_lock import AccountLock, key_fingerprint, state_directory
from tests.integration.fault_rig import STAYING, bot
from tests.integration.standing_exchanges import at, exchanges, lend

KEY = "kH7dQmT9x2"
REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "crypto-pipe"


async def test_fault_57_a_second_process_on_the_account_exits_3_with_one_clear_line(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--scenario", "calm", "--seed", "7") as told:
        lend(monkeypatch, told)
        async with bot(tmp_path / "one", *STAYING, at(told)) as first:
            await first.says("routes over")
            async with bot(tmp_path / "two", *STAYING, at(told)) as second:  # another data directory, the same account
                code = await asyncio.wait_for(second.process.wait(), 120)
                await asyncio.gather(*second._reading)
            assert code == 3
            (line,) = [line for line in second.said if "is traded on by another bot" in line]
            assert f"(process {first.process.pid})" in line
            assert told["api_key"] not in "".join(second.said)
            assert first.process.returncode is None
            assert await first.end(signal.SIGINT) == 130
        locks = sorted(path.name for path in state.iterdir())
        fingerprint = key_fingerprint(told["api_key"])
        assert locks == [f"account-{venue}-{fingerprint}.lock" for venue in ("binance", "bybit")]
        assert state.stat().st_mode & 0o777 == 0o700
        async with bot(tmp_path / "one", *STAYING, at(told)) as third:
            await third.says("routes over")  # the account is free again
            assert await third.end(signal.SIGINT) == 130


async def test_fault_57_a_second_process_in_the_data_directory_exits_3(tmp_path: Path) -> None:
    async with bot(tmp_path, *STAYING) as first:
        await first.says("routes over")
        venues = tmp_path / "run" / "venues-simulated.json"
        before = venues.read_bytes()
        async with bot(tmp_path, *STAYING) as second:
            code = await asyncio.wait_for(second.process.wait(), 120)
            await asyncio.gather(*second._reading)
        assert code == 3
        assert any(f"in use by a running bot (process {first.process.pid})" in line for line in second.said)
        assert not any("starting the exchanges" in line for line in second.said), "it is told at once"
        assert venues.read_bytes() == before, "what --mode kill looks for is the first one's"
        assert await first.end(signal.SIGINT) == 130


def test_fault_57_all_accounts_of_a_run_are_held_or_none(tmp_path: Path) -> None:
    mine, other = ("binance", key_fingerprint(KEY)), ("bybit", key_fingerprint(KEY))
    first = AccountLock([other], tmp_path)
    said = rf"at bybit .*another bot \(process {os.getpid()}\): stop that one first$"
    with pytest.raises(PreflightFailed, match=said) as refused:
        AccountLock([mine, other], tmp_path)
    assert KEY not in str(refused.value)
    assert refused.value.exit_code == 3
    AccountLock([mine], tmp_path).release()
    first.release()
    first.release()
    AccountLock([mine, other], tmp_path).release()


def test_fault_57_the_locks_lie_with_the_user_and_not_with_the_data(tmp_path: Path) -> None:
    assert state_directory({"XDG_STATE_HOME": "/var/state"}) == Path("/var/state/crypto-pipe")
    home = Path.home() / ".local" / "state" / "crypto-pipe"
    assert state_directory({}) == state_directory({"XDG_STATE_HOME": "relative"}) == home


def test_fault_57_where_the_locks_cannot_lie_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where the directory should be")
    with pytest.raises(PreflightFailed, match="Not a directory; set XDG_STATE_HOME"):
        AccountLock([("binance", key_fingerprint(KEY))], tmp_path / "taken" / "crypto-pipe")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)  # as in a container, whose user has no name
    with pytest.raises(PreflightFailed, match="set XDG_STATE_HOME"):
        state_directory({})


def test_fault_57_a_service_and_a_container_may_write_where_the_locks_lie() -> None:
    unit = (REPO / "deploy" / "crypto-pipe.service").read_text()
    assert "StateDirectory=crypto-pipe\n" in unit
    assert "Environment=XDG_STATE_HOME=/var/lib/crypto-pipe\n" in unit, "all else is read-only to it"
    image = (REPO / "deploy" / "Dockerfile").read_text()
    assert "VOLUME /data\n" in image
    assert "ENV XDG_STATE_HOME=/data\n" in image, "all else is read-only to it"


async def test_an_address_without_its_key_or_of_another_machine_is_refused(tmp_path: Path) -> None:
    async with bot(tmp_path, "simulator.address=127.0.0.1:1") as one:
        assert await asyncio.wait_for(one.process.wait(), 60) == 2
        await asyncio.gather(*one._reading)
    assert any("CRYPTO_PIPE_SIMULATED_KEY and CRYPTO_PIPE_SIMULATED_SECRET" in line for line in one.said)
