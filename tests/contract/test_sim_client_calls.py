"""ccxt.pro, unmodified but for its URLs, makes every call that a bot lives by at `binance`, `binanceusdm` and `bybit`.

One server with both venues, so that money really goes from one to the other.
"""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.clock import SystemClock
from exchanges.simulator.server import Address, SimulatorServer

with warnings.catch_warnings():
    # ccxt and what it pins use calls that their own dependencies have deprecated.
    warnings.simplefilter("ignore")
    import ccxt.pro

# ccxt leaves sockets to the garbage collector when it is closed in the middle of an await.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
PATIENCE_S = 60
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"
TRADED = [("binance", SPOT), ("binance", LINEAR), ("binanceusdm", LINEAR), ("bybit", SPOT), ("bybit", LINEAR)]
LOW = 61_000


@asynccontextmanager
async def served() -> AsyncIterator[Address]:
    server = SimulatorServer("calm", 3, SystemClock(), time_scale=100_000)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield address
    finally:
        stop.set()
        await running


def urls(kind: str, http: str, ws: str) -> dict[str, Any]:
    """The URL changes that the libraries need; nothing else."""
    if kind == "bybit":
        private = {"contract": f"{ws}/v5/private", "trade": f"{ws}/v5/trade", "spot": {"unified": f"{ws}/v5/private"}}
        public = {"linear": f"{ws}/v5/public/linear", "spot": f"{ws}/v5/public/spot"}
        rest = dict.fromkeys(("public", "private", "spot", "futures", "v2"), http)
        return rest | {"ws": {"public": public, "private": private}}
    return {
        "public": f"{http}/api/v3", "private": f"{http}/api/v3", "v1": f"{http}/api/v1", "sapi": f"{http}/sapi/v1",
        "sapiV2": f"{http}/sapi/v2", "sapiV3": f"{http}/sapi/v3", "fapiPublic": f"{http}/fapi/v1",
        "fapiPrivate": f"{http}/fapi/v1", "fapiPublicV2": f"{http}/fapi/v2", "fapiPrivateV2": f"{http}/fapi/v2",
        "fapiPrivateV3": f"{http}/fapi/v3", "fapiData": f"{http}/futures/data",
        "ws": {
            "linear": f"{ws}/ws", "future": f"{ws}/ws", "spot": f"{ws}/stream/ws", "margin": f"{ws}/stream/ws",
            "ws-api": {"linear": f"{ws}/ws-fapi/v1", "future": f"{ws}/ws-fapi/v1", "spot": f"{ws}/ws-api/v3"},
        },
    }  # fmt: skip


@asynccontextmanager
async def client_of(kind: str, address: Address) -> AsyncIterator[Any]:
    # Bybit is asked for everything that ccxt knows of it: inverse contracts and options are there, and none is listed.
    markets = {"binanceusdm": ["linear"], "binance": ["spot", "linear"]}.get(kind)
    options = {"fetchMarkets": {"types": markets}} if markets else {}
    client = getattr(ccxt.pro, kind)({
        "apiKey": address.credentials.api_key, "secret": address.credentials.secret, "enableRateLimit": False,
        "urls": {"api": urls(kind, address.url, address.ws_url)},
        "options": {**options, "fetchMargins": False},
    })  # fmt: skip
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until_heard(watching: asyncio.Future[Any], act: Any) -> Any:
    """What a watch call brings; what is done before its subscription stands is not told, so it is done again."""
    async with asyncio.timeout(PATIENCE_S):
        while not watching.done():
            await act()
            await asyncio.wait([watching], timeout=0.2)
    return await watching


@pytest.mark.parametrize(("kind", "symbol"), TRADED)
async def test_markets_are_loaded_and_watched(kind: str, symbol: str) -> None:
    async with served() as address, client_of(kind, address) as client:
        market = client.market(symbol)
        assert market["active"]
        assert market["precision"]["amount"] > 0
        for _ in range(3):
            book = await soon(client.watch_order_book(symbol))
            assert book["bids"][0][0] < book["asks"][0][0]
        top = (await soon(client.watch_bids_asks([symbol])))[symbol]
        assert 0 < top["bid"] < top["ask"]
        ticker = await client.fetch_ticker(symbol)
        assert ticker["last"] > 0
        candles = await client.fetch_ohlcv(symbol, "1m", limit=1)
        assert candles[0][1] > 0


@pytest.mark.parametrize(("kind", "symbol"), TRADED)
async def test_orders_are_placed_found_watched_and_cancelled(kind: str, symbol: str) -> None:
    async with served() as address, client_of(kind, address) as client:
        placed: list[str] = []

        async def act() -> None:
            placed.append((await client.create_order(symbol, "limit", "buy", 0.01, LOW))["id"])

        seen = (await until_heard(asyncio.ensure_future(client.watch_orders(symbol)), act))[-1]
        assert (seen["symbol"], seen["id"] in placed) == (symbol, True)
        found = await client.fetch_order(placed[-1], symbol, {"acknowledged": True})
        assert (found["status"], found["amount"], found["price"]) == ("open", 0.01, LOW)
        assert {one["id"] for one in await client.fetch_open_orders(symbol)} == set(placed)
        assert (await client.cancel_order(placed[0], symbol))["id"] == placed[0]
        await client.cancel_all_orders(symbol)
        assert await client.fetch_open_orders(symbol) == []


@pytest.mark.parametrize(("kind", "symbol"), TRADED)
async def test_a_fill_moves_balances_and_positions(kind: str, symbol: str) -> None:
    async with served() as address, client_of(kind, address) as client:
        account = {"type": "swap" if symbol == LINEAR and kind == "binance" else "spot"} if kind == "binance" else {}
        before = await client.fetch_balance(account)
        watching = asyncio.ensure_future(client.watch_balance(account))
        sides = iter(["sell", "buy"] * 50)

        async def act() -> None:
            await client.create_order(symbol, "market", next(sides), 0.01)

        changed = await until_heard(watching, act)
        assert changed["USDT"]["total"] > 0
        await client.create_order(symbol, "market", "sell", 0.02)
        after = await client.fetch_balance(account)
        assert after["USDT"]["total"] != before["USDT"]["total"]
        trades = await client.fetch_my_trades(symbol)
        sold = sum(one["amount"] * (1 if one["side"] == "sell" else -1) for one in trades)
        if symbol == SPOT:
            spent = sum(one["fee"]["cost"] for one in trades if one["fee"]["currency"] == "BTC")
            assert before["BTC"]["total"] - after["BTC"]["total"] == pytest.approx(sold + spent, abs=1e-9)
        else:
            (position,) = await client.fetch_positions([symbol])
            assert (position["side"], position["contracts"]) == ("short", pytest.approx(sold))
            watching = asyncio.ensure_future(client.watch_positions([symbol]))
            told = await until_heard(watching, act)
            assert told[0]["symbol"] == symbol


@pytest.mark.parametrize(("source", "target"), [("binance", "bybit"), ("bybit", "binance"), ("binanceusdm", "bybit")])
async def test_money_goes_from_one_venue_to_the_other(source: str, target: str) -> None:
    async with served() as address, client_of(source, address) as sender, client_of(target, address) as receiver:
        to = await receiver.fetch_deposit_address("USDT", {"network": "TRC20"})
        sent = await sender.withdraw("USDT", 50, to["address"], params={"network": "TRC20"})
        fee = sender.currencies["USDT"]["networks"]["TRC20"]["fee"]
        arrives = 50 - fee if source.startswith("binance") else 50
        async with asyncio.timeout(PATIENCE_S):
            while not (deposits := await receiver.fetch_deposits("USDT")) or deposits[0]["status"] != "ok":
                await asyncio.sleep(0.05)
        assert [(one["amount"], one["currency"]) for one in deposits] == [(arrives, "USDT")]
        (withdrawal,) = await sender.fetch_withdrawals("USDT")
        assert (withdrawal["id"], withdrawal["status"]) == (sent["id"], "ok")
        assert (withdrawal["txid"], withdrawal["fee"]["cost"]) == (deposits[0]["txid"], fee)
