"""A run on the simulated exchanges, paused, flattened and killed from other processes, also while it hangs."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.engine.pauses import FILE
from bot.engine.run import SOCKET
from bot.errors import ExitCode
from bot.ports import RecordKind
from bot.risk.halt_flag import FLAG
from bot.storage.queries import JournalReader
from exchanges.binance.emergency import BinanceEmergency
from exchanges.bybit.emergency import BybitEmergency
from exchanges.common.requests.emergency import Emergency
from modes.kill_accounts import remembered_accounts

ROOT = Path(__file__).resolve().parents[2]
MAIN = str(ROOT / "main.py")
PATIENCE_S = 180
UNHURRIED = ("--set", "risk.max_loop_lag_ms=60000", "--set", "journal.max_behind_ms=60000")
"""A run that a busy machine does not make REDUCING."""
VENUES: dict[str, Callable[..., Emergency]] = {"binance": BinanceEmergency, "bybit": BybitEmergency}


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # pytest's own temporary paths may be too long for a socket.
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@asynccontextmanager
async def engine(data_dir: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A run of its own; ended with the block, if it has not ended."""
    with (data_dir / "engine.out").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, MAIN, "--headless", "--data-dir", str(data_dir), "--scenario", "calm", *words,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def main(data_dir: Path, *words: str) -> tuple[int, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, MAIN, "--data-dir", str(data_dir), "--json", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out else {"stderr": err.decode()}


async def until(condition: Callable[[], bool], data_dir: Path) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError((data_dir / "engine.out").read_text(errors="replace")[-2000:]) from None


def venues(data_dir: Path) -> list[Emergency]:
    accounts, troubles = remembered_accounts(data_dir)
    assert not troubles
    return [VENUES[account.venue](account, SystemClock()) for account in accounts]


def open_orders(data_dir: Path) -> int:
    return sum(len(venue.open_orders()) for venue in venues(data_dir))


async def let_rest(data_dir: Path) -> None:
    """An order at each venue, two percent below the market."""
    _, status = await main(data_dir, "--mode", "status")
    price = f"{float(status['tops'][0]['bid']) * 0.98:.0f}"
    for venue in venues(data_dir):
        if isinstance(venue, BinanceEmergency):
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price}
            venue._asked("POST", "linear", "/v1/order", order | {"quantity": "0.01"})
        else:
            assert isinstance(venue, BybitEmergency)
            order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "price": price, "category": "linear"}
            venue._post("/v5/order/create", order | {"qty": "0.01"})


def events(data_dir: Path) -> list[str]:
    with JournalReader.open(data_dir) as reader:
        return [r.body["text"] for run in reader.runs() for r in reader.records(run.run_id, RecordKind.EVENT)]


async def test_killed_while_the_engine_hangs_and_the_journal_is_locked(data_dir: Path) -> None:
    async with engine(data_dir) as process:
        await until((data_dir / SOCKET).exists, data_dir)
        await let_rest(data_dir)
        assert await asyncio.to_thread(open_orders, data_dir) == len(VENUES)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
        lock = sqlite3.connect(data_dir / "journal.db", timeout=30, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        code, told = await main(data_dir, "--mode", "kill")
        assert code == ExitCode.OK, told
        assert all(row["is_silent"] for row in told["venues"])
        assert await asyncio.to_thread(open_orders, data_dir) == 0
        lock.execute("ROLLBACK")
        lock.close()
        process.send_signal(signal.SIGCONT)
        await until(lambda: any("kill switch: HALTED since" in text for text in events(data_dir)), data_dir)
        code, _ = await main(data_dir, "--mode", "resume")
        assert code == ExitCode.RISK_HALT
    assert process.returncode == ExitCode.INTERRUPTED
    said = (data_dir / "engine.out").read_text()
    assert "\nHALTED (--mode resume --halt and a restart end it): kill switch: HALTED since" in said
    code, told = await main(data_dir, "--mode", "resume", "--halt")
    assert code == ExitCode.OK
    assert told["halt"]["why"] == "--mode kill"
    assert not (data_dir / FLAG).exists()


async def test_paused_from_the_command_line_it_stays_paused_over_a_restart(data_dir: Path) -> None:
    async with engine(data_dir, *UNHURRIED):
        await until((data_dir / SOCKET).exists, data_dir)
        _, status = await main(data_dir, "--mode", "status")
        route = status["routes"][0]["route"]
        code, told = await main(data_dir, "--mode", "pause", "--route", route)
        assert (code, told["done"], told["paused"], told["state"]) == (0, True, [route], "ACTIVE")
        code, told = await main(data_dir, "--mode", "flatten")
        assert (code, told["open_pairs"], told["state"]) == (0, [], "REDUCING")
        assert told["reducing"]["person"].startswith(f"paused by uid {os.getuid()}, process ")
        code, told = await main(data_dir, "--mode", "pause", "--route", route[:-1])
        assert code == ExitCode.SETTINGS
        assert f"did you mean {route}?" in told["stderr"]
    assert (data_dir / FILE).exists()
    async with engine(data_dir, *UNHURRIED):
        await until((data_dir / SOCKET).exists, data_dir)
        code, told = await main(data_dir, "--mode", "resume")
        assert (code, told["paused"], told["state"]) == (0, [route], "ACTIVE")
        code, told = await main(data_dir, "--mode", "resume", "--route", route)
        assert (code, told["paused"]) == (0, [])
    asked = [text for text in events(data_dir) if f"uid {os.getuid()}, process " in text and " asked to " in text]
    assert [text.partition(" asked to ")[2] for text in asked] == [
        f"pause {route}", "flatten everything", "resume everything", f"resume {route}",
    ]  # fmt: skip


async def test_a_pause_that_the_disk_does_not_take_is_not_called_durable(
    data_dir: Path,
) -> None:
    async with engine(data_dir):
        await until((data_dir / SOCKET).exists, data_dir)
        (data_dir / FILE).mkdir()
        code, told = await main(data_dir, "--mode", "pause")
        assert (code, told["done"], told["paused"]) == (ExitCode.STORAGE, False, [""])
        (data_dir / FILE).rmdir()
        code, told = await main(data_dir, "--mode", "pause")
        assert (code, told["done"], told["kept"]) == (0, True, True)


@pytest.mark.parametrize("mode", ["pause", "resume", "flatten"])
async def test_without_a_run_it_is_one_line(data_dir: Path, mode: str) -> None:
    code, told = await main(data_dir, "--mode", mode)
    assert code == ExitCode.SETTINGS
    assert len(told["stderr"].splitlines()) == 1
    assert "no engine is running" in told["stderr"]
    ways = {"resume": "start it first; a halt is lifted by --mode resume --halt"}
    assert ways.get(mode, "--mode kill needs no engine") in told["stderr"]
