"""`--market live` as a person starts it, against local servers that speak the exchanges' protocols.

The servers play the generated sample market in real time. What the run records is then played again, and must hold
what the run received.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from exchanges.simulator.sample_recording import BINANCE, BYBIT, START_NS, sample_instrument, sample_lines

ROOT = Path(__file__).resolve().parents[2]
MARKET_ROUTE = (b"markPriceUpdate", b"aggTrade")

EIGHT_HOURS_MS = 8 * 3_600_000


class LocalExchanges:
    """Binance USDⓈ-M and Bybit linear on one port, for public market data."""

    def __init__(self) -> None:
        lines = {feed: [line.split(" ", 1) for line in rows] for feed, rows in sample_lines(1, 5).items()}
        self.frames = {
            feed: [(int(stamp) - START_NS, payload.strip().encode()) for stamp, payload in rows]
            for feed, rows in lines.items()
        }
        self.began = time.monotonic()
        self.url = ""

    def now_ms(self) -> int:
        return (START_NS + round((time.monotonic() - self.began) * 1e9)) // 1_000_000

    async def serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/fapi/v1/time", self._binance_time)
        app.router.add_get("/fapi/v1/exchangeInfo", self._exchange_info)
        app.router.add_get("/fapi/v1/premiumIndex", self._premium_index)
        app.router.add_get("/fapi/v1/fundingInfo", self._funding_info)
        app.router.add_get("/v5/market/tickers", self._tickers)
        app.router.add_get("/v5/market/time", self._bybit_time)
        app.router.add_get("/v5/market/instruments-info", self._instruments_info)
        app.router.add_get("/public/stream", self._binance_public)
        app.router.add_get("/market/stream", self._binance_market)
        app.router.add_get("/v5/public/linear", self._bybit)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        return runner

    async def _binance_time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now_ms()})

    async def _exchange_info(self, _: web.Request) -> web.Response:
        instrument = sample_instrument(BINANCE)
        filters = [
            {
                "filterType": "PRICE_FILTER",
                "tickSize": str(instrument.tick_size),
                "minPrice": "1",
                "maxPrice": "9999999",
            },
            {"filterType": "LOT_SIZE", "stepSize": str(instrument.lot_size), "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MIN_NOTIONAL", "notional": "50"},
        ]
        row = {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "filters": filters,
        }
        return web.json_response({"serverTime": self.now_ms(), "symbols": [row]})

    def next_funding_ms(self) -> int:
        return (self.now_ms() // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS

    async def _premium_index(self, _: web.Request) -> web.Response:
        row = {"symbol": "BTCUSDT", "markPrice": "60000.0", "lastFundingRate": "0.0001", "time": self.now_ms()}
        return web.json_response([row | {"nextFundingTime": self.next_funding_ms()}])

    async def _funding_info(self, _: web.Request) -> web.Response:
        bounds = {"adjustedFundingRateCap": "0.003", "adjustedFundingRateFloor": "-0.003"}
        return web.json_response([{"symbol": "BTCUSDT", "fundingIntervalHours": 8} | bounds])

    async def _tickers(self, _: web.Request) -> web.Response:
        row = {"symbol": "BTCUSDT", "markPrice": "60000.0", "fundingRate": "0.0001"}
        rows = [row | {"nextFundingTime": str(self.next_funding_ms())}]
        result = {"category": "linear", "list": rows}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result, "time": self.now_ms()})

    async def _bybit_time(self, _: web.Request) -> web.Response:
        ms = self.now_ms()
        result = {"timeSecond": str(ms // 1000), "timeNano": str(ms * 1_000_000)}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": ms})

    async def _instruments_info(self, _: web.Request) -> web.Response:
        row = {
            "symbol": "BTCUSDT",
            "contractType": "LinearPerpetual",
            "status": "Trading",
            "baseCoin": "BTC",
            "quoteCoin": "USDT",
            "settleCoin": "USDT",
            "priceFilter": {"tickSize": "0.10", "minPrice": "0.10", "maxPrice": "1999999.80"},
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "minNotionalValue": "5"},
            "fundingInterval": 480,
            "upperFundingRate": "0.005",
            "lowerFundingRate": "-0.005",
        }
        result = {"category": "linear", "list": [row], "nextPageCursor": ""}
        answer = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.now_ms()}
        return web.json_response(answer)

    async def _binance_public(self, request: web.Request) -> web.WebSocketResponse:
        return await self._play(request, [f for f in self.frames[BINANCE] if not any(k in f[1] for k in MARKET_ROUTE)])

    async def _binance_market(self, request: web.Request) -> web.WebSocketResponse:
        return await self._play(request, [f for f in self.frames[BINANCE] if any(k in f[1] for k in MARKET_ROUTE)])

    async def _bybit(self, request: web.Request) -> web.WebSocketResponse:
        return await self._play(request, self.frames[BYBIT], subscribed=True)

    async def _play(
        self, request: web.Request, frames: list[tuple[int, bytes]], *, subscribed: bool = False
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        if subscribed:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT
            asked = json.loads(message.data)
            assert "orderbook.1.BTCUSDT" in asked["args"]
            await socket.send_json({"success": True, "ret_msg": "", "op": "subscribe", "req_id": asked.get("req_id")})
        for at_ns, payload in frames:
            late_s = at_ns / 1e9 - (time.monotonic() - self.began)
            if late_s < -0.5:
                continue  # before this connection
            if late_s > 0:
                await asyncio.sleep(late_s)
            if socket.closed:
                break
            await socket.send_str(payload.decode())
        return socket


@pytest.fixture
async def exchanges() -> AsyncIterator[LocalExchanges]:
    local = LocalExchanges()
    runner = await local.serve()
    yield local
    await runner.cleanup()


def settings(local: LocalExchanges) -> list[str]:
    urls = [
        f"venues.{venue}.linear.{kind}_url={scheme}://{local.url}"
        for venue in ("binance", "bybit")
        for kind, scheme in (("rest", "http"), ("stream", "ws"))
    ]
    return [word for url in [*urls, "arbitrage.warmup_s=1"] for word in ("--set", url)]


async def run(*words: str) -> tuple[int, str, str]:
    process = await start(*words)
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()


async def start(*words: str) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )


async def test_a_live_run_decides_records_and_can_be_played_again(exchanges: LocalExchanges, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    code, stdout, stderr = await run(
        "--market", "live", "--for", "4s", "--json", "--data-dir", str(tmp_path / "live"),
        "--record-raw", str(raw), *settings(exchanges),
    )  # fmt: skip
    assert code == 0, stderr
    live = json.loads(stdout)
    assert live["market"] == "live"
    assert live["real_money"] is False
    assert live["malformed"] == {"binance.linear": 0, "bybit.linear": 0}
    assert live["quotes_refused"] == {}
    assert min(live["quotes"].values()) > 20
    assert live["decisions"]["refused"]["net_edge"] >= 2, "both directions had a price"

    with ArchiveStore.open(tmp_path / "live", read_only=True) as store:
        kept = {one.scope: 0 for one in store.segments(Channel.QUOTES)}
        for one in store.segments(Channel.QUOTES):
            kept[one.scope] += one.rows
        assert kept == live["quotes"], "the archive has every quote of the run, once"

    recordings = [f"{path.name.split('-')[0]}={path}" for path in sorted(raw.glob("*.raw"))]
    code, stdout, stderr = await run(
        *(word for recording in recordings for word in ("--recording", recording)),
        "--json", "--data-dir", str(tmp_path / "again"), "--set", "arbitrage.warmup_s=1",
    )  # fmt: skip
    assert code == 0, stderr
    again = json.loads(stdout)
    assert again["quotes"] == live["quotes"]
    assert again["malformed"] == live["malformed"]
    assert again["decisions"]["refused"]["net_edge"] >= 2


async def test_a_second_run_remembers_the_first(exchanges: LocalExchanges, tmp_path: Path) -> None:
    words = ("--market", "live", "--for", "2s", "--json", "--data-dir", str(tmp_path), *settings(exchanges))
    code, stdout, stderr = await run(*words)
    assert code == 0, stderr
    seen = sum(json.loads(stdout)["quotes"].values())
    code, _, stderr = await run(*words)
    assert code == 0, stderr
    assert f"archive: {seen:,} quotes of the last day are back in memory" in stderr
    with ArchiveStore.open(tmp_path, read_only=True) as store:
        gaps = [store.read(one) for one in store.segments(Channel.GAPS)]
        reasons = {reason for table in gaps for reason in table.column("reason").to_pylist()}
        assert "not recorded: the program did not run" in reasons


async def test_ctrl_c_ends_a_live_run_in_order(exchanges: LocalExchanges, tmp_path: Path) -> None:
    process = await start("--market", "live", "--headless", "--data-dir", str(tmp_path), *settings(exchanges))
    assert process.stdout is not None
    line = await process.stdout.readline()  # the first decision
    assert b"refused" in line
    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    assert process.returncode == 130, stderr
    assert b"LIVE market, paper money" in stdout
    assert not (tmp_path / "run" / "engine.sock").exists()


async def test_an_unreachable_venue_is_one_line_and_exit_5(tmp_path: Path) -> None:
    nowhere = [
        word
        for venue in ("binance", "bybit")
        for url in (
            f"venues.{venue}.linear.rest_url=http://127.0.0.1:9",
            f"venues.{venue}.linear.stream_url=ws://127.0.0.1:9",
        )
        for word in ("--set", url)
    ]
    nowhere += ["--set", "start.wait_s=0"]
    code, stdout, stderr = await run("--market", "live", "--json", "--data-dir", str(tmp_path), *nowhere)
    assert code == 5
    assert stdout == ""
    assert stderr.strip().splitlines()[-1].startswith("crypto-pipe: ")
    assert "Traceback" not in stderr
