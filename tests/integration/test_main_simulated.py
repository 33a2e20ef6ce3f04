"""`--market simulated` and `--mode simulate` as a person starts them: processes, sockets, the real clients."""

import asyncio
import json
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# So eager that it trades within seconds: every difference counts, and a pair is left as soon as it is open; and
# patient with a machine that has no time for it.
EAGER = (
    "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-40", "arbitrage.exit_edge_bps=1000",
    "execution.order_timeout_ms=60000", "quote_gate.max_age_ms=20000", "quote_gate.max_event_age_ms=20000",
    "quote_gate.max_skew_ms=20000", "execution.unhedged_alarm_s=60", "execution.unhedged_act_s=60",
    "execution.unhedged_halt_s=60", "risk.max_loop_lag_ms=60000", "journal.max_behind_ms=60000",
)  # fmt: skip


async def start(*words: str, stderr: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    return await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), *words, stdout=asyncio.subprocess.PIPE, stderr=stderr, env=environment
    )


async def run(*words: str) -> tuple[int | None, str, str]:
    process = await start(*words)
    stdout, stderr = await process.communicate()
    return process.returncode, stdout.decode(), stderr.decode()


@asynccontextmanager
async def simulator(*words: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await start("--mode", "simulate", *words, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_pairs_are_traded_over_the_wire_and_every_cent_is_explained(tmp_path: Path) -> None:
    settings = [word for setting in EAGER for word in ("--set", setting)]
    for seconds in (12, 120):  # a busy machine may have no time for a pair in the first
        data = ("--data-dir", str(tmp_path / str(seconds)))
        code, stdout, stderr = await run("--market", "simulated", "--for", f"{seconds}s", "--json", *data, *settings)
        assert code == 0, stderr
        summary = json.loads(stdout)
        if summary["fills"] >= 4:
            break
    assert summary["market"] == "simulated"
    assert summary["real_money"] is False
    assert summary["decisions"]["taken"] >= 1
    assert summary["fills"] >= 4
    assert summary["orders"] >= 4
    assert "SIMULATED" in stderr

    code, stdout, stderr = await run("--mode", "post-mortem", "--json", *data)
    assert code == 0, stderr
    (market,) = json.loads(stdout)["markets"]
    assert market["market"] == "simulated"
    assert market["realised"] >= 1
    for money in market["money"]:
        assert money["bridge"]["residual"] == "0"
    (one,) = market["runs"]
    assert one["differs_from_run"] == {}
    # The venues' own balances, to the last digit; untold while a pair is open.
    unexplained = one["unexplained"] or {}
    assert all(Decimal(amount) == 0 for amount in unexplained.values()), unexplained


async def test_the_exchanges_end_with_the_bot_that_started_them(tmp_path: Path) -> None:
    bot = await start("--market", "simulated", "--headless", "--data-dir", str(tmp_path))
    assert bot.stderr is not None
    url = ""
    async with asyncio.timeout(120):
        while not url:
            line = (await bot.stderr.readline()).decode()
            assert line, "it ended before it said where the exchanges are"
            if line.startswith("SIMULATED Binance and Bybit on "):
                url = line.split(" on ")[1].split(": ")[0]
    host, port = url.removeprefix("http://").split(":")
    bot.kill()
    await bot.communicate()
    async with asyncio.timeout(60):
        while await answers(host, int(port)):
            await asyncio.sleep(0.1)


async def answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_client_of_other_people_trades_with_one_url_changed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ccxt's imports, not ours
        import ccxt.async_support as ccxt

    async with simulator("--scenario", "calm", "--seed", "7") as (process, told):
        base = told["url"] + "/fapi"
        urls = {f"fapi{kind}": f"{base}/{version}" for kind, version in KINDS.items()}
        exchange = ccxt.binanceusdm(
            {
                "apiKey": told["api_key"],
                "secret": told["api_secret"],
                "urls": {"api": {**urls, "sapi": told["url"] + "/sapi/v1"}},
                "options": {"fetchMargins": False},
            }
        )
        exchange.has["fetchCurrencies"] = False
        try:
            await exchange.load_markets()
            order = await exchange.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
            assert (order["status"], order["filled"]) == ("closed", 0.01)
            (position,) = await exchange.fetch_positions(["BTC/USDT:USDT"])
            assert (position["side"], position["contracts"]) == ("long", 0.01)
        finally:
            await exchange.close()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 130


async def test_the_example_of_the_readme_runs_as_it_stands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    example = readme.partition("```python\n")[2].partition("```")[0]
    assert "ccxt" in example
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    assert 1_000 < float(stdout) < 1_000_000, "the average price of a bitcoin"


KINDS = {
    "Public": "v1",
    "PublicV2": "v2",
    "PublicV3": "v3",
    "Private": "v1",
    "PrivateV2": "v2",
    "PrivateV3": "v3",
}


async def test_a_wrong_scenario_and_a_taken_port_are_one_line() -> None:
    code, stdout, stderr = await run("--mode", "simulate", "--scenario", "clam")
    assert (code, stdout) == (2, "")
    assert "calm" in stderr
    assert "Traceback" not in stderr
    async with simulator() as (_, told):
        port = told["url"].rpartition(":")[2]
        code, stdout, stderr = await run("--mode", "simulate", "--port", port)
        assert (code, stdout) == (2, "")
        assert stderr.startswith(f"crypto-pipe: --port {port} cannot be had")
