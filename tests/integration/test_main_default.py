"""`python main.py` as it is shipped, on the simulated exchanges: killed, interrupted, and its output closed."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIPE = asyncio.subprocess.PIPE
OPEN = '%"state":"open"%'
# So eager that a pair is open within seconds, and stays so; and patient with a machine that has no time for it.
EAGER = [word for setting in (
             "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-40", "arbitrage.exit_edge_bps=-1000",
             "arbitrage.loss_stop_bps=1000", "execution.order_timeout_ms=60000", "quote_gate.max_age_ms=20000",
             "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000",
         ) for word in ("--set", setting)]  # fmt: skip


@asynccontextmanager
async def bot(data_dir: Path, *words: str, stdout: int = PIPE) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *words),
        stdout=stdout, stderr=PIPE, env=environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(data_dir: Path, *words: str) -> tuple[int | None, str, str]:
    async with bot(data_dir, *words) as process:
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    assert stream is not None
    async with asyncio.timeout(180):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"it ended before it said {text!r}"
    return line


async def pair_is_open(data_dir: Path) -> None:
    journal = sqlite3.connect(data_dir / "journal.db")
    try:
        async with asyncio.timeout(60):
            while not journal.execute("SELECT 1 FROM records WHERE kind = 'pair' AND body LIKE ?", (OPEN,)).fetchall():
                await asyncio.sleep(0.05)
    finally:
        journal.close()


def children(parent: int) -> dict[int, str]:
    """Process id and command line of everything that `parent` started."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            above = int(stat.read_text().rpartition(")")[2].split()[1])
            if above == parent:
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue  # it has just ended
    return found


def child(parent: int, word: str) -> int:
    (found,) = [number for number, command in children(parent).items() if word in command]
    return found


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")


async def test_with_nothing_said_it_trades_on_the_simulated_market_until_it_is_interrupted(tmp_path: Path) -> None:
    async with bot(tmp_path, "--headless") as process:
        assert process.stderr is not None
        first = (await process.stderr.readline()).decode()
        assert first == "SIMULATED market, paper money: runs until Ctrl-C, then sums up\n"
        assert "refused" in await line_with(process.stdout, "warming up")
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode == 130, err
    assert "SIMULATED market, paper money" in out.decode()
    assert "\ncalm        " in out.decode()
    assert b"Traceback" not in err
    assert not (tmp_path / "run" / "engine.sock").exists()


async def test_json_holds_the_same_object_as_for_recorded_markets_and_the_calm_day(tmp_path: Path) -> None:
    for seconds in (6, 30, 120):  # the calm day is computed with what time is left over: on a busy machine little
        code, out, err = await run(tmp_path, "--json", "--for", f"{seconds}s")
        assert code == 0, err
        summary = json.loads(out)
        if summary["calm_comparison"]["state"] == "known":
            break
    code, out, err = await run(tmp_path / "recorded", "--market", "recorded", "--json", "--for", "6s")
    assert code == 0, err
    assert summary.keys() == json.loads(out).keys()
    assert json.loads(out)["calm_comparison"] is None
    assert (summary["market"], summary["real_money"], summary["complete"]) == ("simulated", False, True)
    calm = summary["calm_comparison"]
    assert (calm["scenario"], calm["state"], calm["taken"], calm["pnl"]) == ("calm", "known", 0, {"USDT": "0"})
    assert seconds - 1 < calm["seconds"] <= seconds
    assert calm["best_gross_bps"] < 21.0


async def test_a_calm_day_is_compared_with_nothing(tmp_path: Path) -> None:
    code, out, err = await run(tmp_path, "--scenario", "calm", "--json", "--for", "1s")
    assert code == 0, err
    assert json.loads(out)["calm_comparison"] is None
    assert not (tmp_path / "calm").exists()


async def test_a_reader_that_leaves_ends_the_run_in_order(tmp_path: Path) -> None:
    read, write = os.pipe()
    async with bot(tmp_path, "--headless", stdout=write) as process:
        os.close(write)
        await line_with(process.stderr, "2 routes over")
        os.close(read)
        async with asyncio.timeout(60):
            _, err = await process.communicate()
        assert process.returncode == 0, err
    assert b"Traceback" not in err


@needs_proc
async def test_exchanges_that_die_end_the_run_with_a_clear_line_and_the_pairs_named(tmp_path: Path) -> None:
    async with bot(tmp_path, "--headless", *EAGER) as process:
        await line_with(process.stdout, "taken")
        await pair_is_open(tmp_path)
        os.kill(child(process.pid, "--mode simulate"), signal.SIGKILL)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 5, err
        told = err.decode().splitlines()
    assert told[-1] == "crypto-pipe: simulator: the simulated exchanges have gone (killed by signal 9)"
    assert any("is not closed (open): it holds" in line for line in told), told
    assert "Traceback" not in err.decode()
    assert "SIMULATED market, paper money: INCOMPLETE" in out.decode()
    assert "open pairs 1" in out.decode()
    assert "1 pair is left open, and its profit or loss now is not known" in out.decode()
    code, out_text, err_text = await run(tmp_path, "--mode", "post-mortem")
    assert code == 0, err_text
    assert "SIMULATED market" in out_text
    assert "Open pairs" in out_text


@needs_proc
async def test_a_bot_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    async with bot(tmp_path, "--headless") as process:
        await line_with(process.stdout, "warming up")
        left = {child(process.pid, "--mode simulate"), child(process.pid, "calm-day")}
        process.kill()
        await process.wait()
        async with asyncio.timeout(60):
            while any(lives(number) for number in left):
                await asyncio.sleep(0.05)


@needs_proc
async def test_the_calm_day_is_computed_at_the_lowest_priority_and_ends_with_the_run(tmp_path: Path) -> None:
    async with bot(tmp_path, "--headless") as process:
        await line_with(process.stdout, "warming up")
        number = child(process.pid, "calm-day")
        async with asyncio.timeout(60):
            while os.getpriority(os.PRIO_PROCESS, number) != 19:
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 130
        assert not lives(number)
