"""`--mode scan` as a person starts it, over the sockets of simulated exchanges."""

import asyncio
import csv
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.clock import SystemClock
from exchanges.bybit import metadata
from exchanges.simulator.server import Address, SimulatorServer
from tests.integration.ccxt_venues import KRAKEN_PAIR, venues
from tests.integration.kraken_coinbase_servers import LocalKraken, served, venue_time

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
metadata._TIMEOUT_S = 60  # a busy machine takes its time to answer


async def scan(*words: str, interrupt: bool = False) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "--mode", "scan", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | {"COLUMNS": "140"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            if not interrupt:
                out, told = await process.communicate()
                return process.returncode or 0, out.decode(), told.decode()
            assert process.stdout is not None
            lines = [await process.stdout.readline(), await process.stdout.readline()]
            process.send_signal(signal.SIGINT)
            rest, told = await process.communicate()
            return process.returncode or 0, (b"".join(lines) + rest).decode(), told.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def by_hand(row: dict[str, Any], rates: dict[str, float]) -> float:
    """The net edge of two spot trades again, from the prices of the row and the fees of the feeds alone."""
    ratio = row["sell_price"] / row["buy_price"]
    venue_of = {side: row[side].partition(":")[0] for side in ("buy", "sell")}
    fees = rates[f"{venue_of['buy']}.spot"] + rates[f"{venue_of['sell']}.spot"] * ratio
    return (ratio - 1) * 1e4 - fees


async def test_many_instruments_of_the_simulated_market_as_one_object() -> None:
    code, out, told = await scan("--for", "4s", "--json", "--set", "simulator.listings=60", "--sort", "edge")
    assert code == 0, told
    answer = json.loads(out)
    assert answer["market"] == "simulated"
    assert {feed["feed"]: feed["state"] for feed in answer["feeds"]} == dict.fromkeys(
        ("binance.spot", "binance.linear", "bybit.spot", "bybit.linear"), "live"
    )
    assert sum(feed["instruments"] for feed in answer["feeds"]) == 60
    figures = [row["net_bps"] for row in answer["ranked"]]
    assert figures == sorted(figures, reverse=True)
    assert answer["ranked_in_all"] + answer["unranked_in_all"] == 15 * 6, "six pairs of four instruments of each coin"
    rates = {feed["feed"]: feed["taker_bps"] for feed in answer["feeds"]}
    spots = [row for row in answer["ranked"] if row["kind"] == "inventory"]
    assert spots
    for row in spots:
        assert row["net_bps"] == pytest.approx(by_hand(row, rates), abs=1e-9)
        assert row["net_bps"] == pytest.approx(row["gross_bps"] - sum(cost["bps"] for cost in row["costs"]), abs=1e-9)
    held = [row for row in answer["ranked"] if row["kind"] == "convergence"]
    assert held
    assert all(row["funding_bps_per_day"] is not None and row["carry_per_year"] is not None for row in held)


async def test_csv_at_a_chosen_tier_of_one_coin() -> None:
    code, out, told = await scan(
        "--for", "3s", "--format", "csv", "--instrument", "BTC", "--tier", "vip3", "--sort", "funding"
    )
    assert code == 0, told
    rows = list(csv.DictReader(out.splitlines()))
    assert {one.partition(":")[2].partition("/")[0] for row in rows for one in (row["buy"], row["sell"])} == {"BTC"}
    ranked = [row for row in rows if row["rank"]]
    assert [int(row["rank"]) for row in ranked] == list(range(1, len(ranked) + 1))
    figures = [float(row["funding_bps_per_day"]) for row in ranked]
    assert figures == sorted(figures, reverse=True)
    left = [row for row in rows if not row["rank"]]
    assert all(row["kind"] == "inventory" or row["unknown"] or row["status"] for row in left), "spot pays no funding"


async def test_an_object_a_ranking_until_a_person_ends_it() -> None:
    code, out, _ = await scan("--json", "--set", "scan.refresh_s=0.5", interrupt=True)
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 130
    assert len(answers) >= 2
    assert answers[0]["time"] < answers[1]["time"]


@asynccontextmanager
async def exchanges() -> AsyncIterator[Address]:
    server = SimulatorServer("calm", 1, SystemClock(), listings=12)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield address
    finally:
        stop.set()
        await running


def at(address: Address, bybit: str | None = None) -> list[str]:
    words = ["--market", "live"]
    for venue in ("binance", "bybit"):
        for segment in ("spot", "linear"):
            rest = bybit or address.url if venue == "bybit" else address.url
            stream = rest.replace("http", "ws")
            words += ["--set", f"venues.{venue}.{segment}.rest_url={rest}"]
            words += ["--set", f"venues.{venue}.{segment}.stream_url={stream}"]
    return words


async def test_the_live_market_and_a_venue_that_is_away() -> None:
    feeds = "scan.feeds=[binance.spot, binance.linear, bybit.spot, bybit.linear]"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with exchanges() as address:
            words = ["--for", "4s", "--set", feeds]
            code, out, told = await scan(*at(address), *words, "--json")
            assert code == 0, told
            answer = json.loads(out)
            assert answer["market"] == "live"
            assert answer["ranked"]
            assert {feed["fees"] for feed in answer["feeds"]} == {
                "published, Regular User", "published, VIP 0",
            }, "no keys: the price lists"  # fmt: skip
            code, out, told = await scan(*at(address, away), *words)
    # Nothing is shared when one of two venues is away, and that is said in one line.
    assert code == 2, told
    assert "no coin is listed by two of these venues" in told
    assert "bybit" in told


PRICES = {"BTC/USD": (61_900.0, 61_900.1), "USDT/USD": (0.9999, 1.0001)}
TETHER = KRAKEN_PAIR | {
    "altname": "USDTUSD", "wsname": "USDT/USD", "base": "USDT", "pair_decimals": 4, "tick_size": "0.0001",
    "ordermin": "5",
}  # fmt: skip


class PricedKraken(LocalKraken):
    """Bitcoin and tether against dollars, at the prices of the test."""

    async def quote(self, socket: web.WebSocketResponse, symbol: str, kind: str = "update") -> None:
        bid, ask = PRICES[symbol]
        row = {"symbol": symbol, "bid": bid, "bid_qty": 1.0, "ask": ask, "ask_qty": 2.0, "timestamp": venue_time()}
        await socket.send_str(json.dumps({"channel": "ticker", "type": kind, "data": [row]}, separators=(",", ":")))


async def test_dollars_are_compared_at_a_live_price_and_a_feed_that_is_away_is_said() -> None:
    kraken = PricedKraken()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with exchanges() as address, venues() as rest, served(kraken):
            rest.answers["/0/public/AssetPairs"]["result"]["USDTZUSD"] = TETHER
            rest.answers["/0/public/Assets"]["result"]["USDT"] = {
                "aclass": "currency", "altname": "USDT", "decimals": 8, "status": "enabled",
            }  # fmt: skip
            words = [*at(address), "--set", "scan.feeds=[binance.spot, bybit.spot, kraken.spot, coinbase.spot]"]
            words += ["--set", f"venues.kraken.spot.rest_url={rest.url}"]
            words += ["--set", f"venues.kraken.spot.stream_url=ws://{kraken.url}/v2"]
            words += ["--set", f"venues.coinbase.spot.rest_url=http://{away}"]
            words += ["--set", f"venues.coinbase.spot.stream_url=ws://{away}"]
            # The stand-in says each price once, and then nothing.
            words += ["--set", "connection.stale_after_s=60", "--set", "connection.silence_timeout_s=60"]
            code, out, told = await scan(*words, "--for", "4s", "--json", "--instrument", "kraken:BTC/USD")
    assert code == 0, told
    answer = json.loads(out)
    feeds = {feed["feed"]: feed for feed in answer["feeds"]}
    assert feeds["kraken.spot"]["state"] == "live"
    assert feeds["kraken.spot"]["instruments"] == 2, "what turns its dollars is read too"
    assert feeds["coinbase.spot"]["state"] == "failed"
    assert feeds["coinbase.spot"]["detail"].startswith("coinbase")
    assert len(answer["ranked"]) == 2
    for row in answer["ranked"]:
        assert "kraken:BTC/USD" in (row["buy"], row["sell"])
        gross = (row["sell_price"] / row["buy_price"] - 1) * 1e4  # a tether is a dollar, at its mid
        assert row["gross_bps"] == pytest.approx(gross, abs=1e-9)
        assert [cost["name"] for cost in row["costs"] if cost["name"].startswith("conversion")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--market", "recorded"], "add --market live or --market simulated"),
        (["--json", "--format", "csv"], "--json and --format csv are two formats"),
        (["--set", "scan.feeds=[kraken.spot, binance.spot]", "--market", "simulated"], "kraken.spot has no simulated"),
        (["--set", "scan.feeds=[binance.spot]"], "fewer than two can be read"),
        (["--set", "scan.feeds=[nowhere.spot, binance.spot]"], "nowhere.spot is no known feed"),
    ],
)
async def test_what_cannot_be_scanned_is_one_line(words: list[str], message: str) -> None:
    code, out, told = await scan("--for", "1s", *words)
    assert code == 2
    assert out == ""
    assert message in told
