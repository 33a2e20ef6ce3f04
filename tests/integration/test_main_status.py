"""`--mode status` as a person and a program ask for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot.command_line import parse
from bot.engine.run import SOCKET
from bot.errors import ExitCode
from bot.settings import Settings
from modes import status

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # pytest's own temporary paths may be too long for a socket.
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def ask(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "main.py"), "--mode", "status", "--data-dir", str(data_dir), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


async def test_a_running_engine_says_everything_once(data_dir: Path) -> None:
    engine = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "--market", "recorded", "--speed", "10x", "--headless",
        "--data-dir", str(data_dir), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert engine.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            # Until the statistics are warm: a route has a price, and something is in its way.
            async for line in engine.stderr:
                if b"net edge" in line:
                    break
        answer = await asyncio.to_thread(ask, data_dir, "--json")
        assert answer.returncode == 0, answer.stderr
        told = json.loads(answer.stdout)
        assert told["market"] == "recorded"
        assert told["state"] == "ACTIVE"
        assert {feed["feed"] for feed in told["feeds"]} == {"binance.linear", "bybit.linear"}
        assert len(told["surface"]) == len(told["routes"]) == 2
        for row in told["surface"]:
            assert [size["notional"] for size in row["sizes"]] == [100.0, 1_000.0, 10_000.0, 100_000.0]
        sizes = [size for row in told["surface"] for size in row["sizes"] if size["costs"] and size["net_bps"]]
        assert sizes
        for size in sizes:
            assert size["missing_bps"] > 0 or size["limit"] != "net_edge"
            assert {cost["name"] for cost in size["costs"]} >= {
                "fee open buy binance.linear", "fee open buy bybit.linear",
            } or len([cost for cost in size["costs"] if cost["name"].startswith("fee ")]) == 4  # fmt: skip
        assert {limit["limit"] for limit in told["limits"]} >= {"open_pairs", "venue_notional bybit", "daily_loss"}
        words = await asyncio.to_thread(ask, data_dir)
        assert words.returncode == 0
        for text in ("RECORDED market, paper money: ACTIVE", "break-even, bps", "limits", "open_pairs", "100,000 USDT"):
            assert text in words.stdout, text
    finally:
        if engine.returncode is None:
            engine.send_signal(signal.SIGTERM)
        await engine.communicate()


def test_without_an_engine_it_is_one_line_and_exit_code_2(data_dir: Path) -> None:
    answer = ask(data_dir, "--json")
    assert answer.returncode == ExitCode.SETTINGS
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    assert "no engine is running" in answer.stderr
    assert "--mode action" in answer.stderr


async def test_an_engine_that_says_nothing_is_exit_code_5(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "PATIENCE_S", 0.2)
    path = data_dir / SOCKET
    os.makedirs(path.parent)
    end, is_gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await end.wait()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        is_gone.set()

    silent = await asyncio.start_unix_server(say_nothing, path=str(path))
    settings = Settings.model_validate({"data_dir": data_dir})
    try:
        arguments = parse(["--mode", "status", "--data-dir", str(data_dir)])
        code = await asyncio.to_thread(status.run_status, arguments, settings)
    finally:
        end.set()
        silent.close()
        await silent.wait_closed()
        await is_gone.wait()
    assert code == ExitCode.VENUE
    assert "does not answer" in capsys.readouterr().err
