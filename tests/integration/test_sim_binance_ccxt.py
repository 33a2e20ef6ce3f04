"""ccxt and ccxt.pro, unmodified but for their URLs, against the simulated Binance."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.sim_binance_server import SimBinance, sim_binance

with warnings.catch_warnings():
    # ccxt and what it pins use calls that their own dependencies have deprecated.
    warnings.simplefilter("ignore")
    import ccxt.pro
    from ccxt.base.errors import ExchangeError, OrderNotFound

# ccxt leaves sockets to the garbage collector when it is closed in the middle of an await.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
PATIENCE_S = 60


def urls(sim: SimBinance) -> dict[str, Any]:
    """The URL changes that the reference lists; nothing else."""
    http, ws = sim.http, sim.ws
    return {
        "public": http + "/api/v3", "private": http + "/api/v3", "v1": http + "/api/v1",
        "sapi": http + "/sapi/v1", "sapiV2": http + "/sapi/v2", "sapiV3": http + "/sapi/v3",
        "fapiPublic": http + "/fapi/v1", "fapiPrivate": http + "/fapi/v1", "fapiPublicV2": http + "/fapi/v2",
        "fapiPrivateV2": http + "/fapi/v2", "fapiPrivateV3": http + "/fapi/v3", "fapiData": http + "/futures/data",
        "ws": {
            "linear": ws + "/ws", "future": ws + "/ws", "spot": ws + "/stream/ws", "margin": ws + "/stream/ws",
            "ws-api": {"linear": ws + "/ws-fapi/v1", "future": ws + "/ws-fapi/v1", "spot": ws + "/ws-api/v3"},
        },
    }  # fmt: skip


@contextlib.asynccontextmanager
async def venue(kind: str) -> AsyncIterator[tuple[SimBinance, Any]]:
    """A ccxt.pro exchange on a server of its own."""
    async with sim_binance() as sim:
        markets = ["spot"] if kind == "binance" else ["linear"]
        exchange = getattr(ccxt.pro, kind)({
            "apiKey": sim.key, "secret": sim.secret, "enableRateLimit": False, "urls": {"api": urls(sim)},
            "options": {"fetchMarkets": {"types": markets}},
        })  # fmt: skip
        try:
            yield sim, exchange
        finally:
            await exchange.close()


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def test_spot_markets_orders_and_balances() -> None:
    async with venue("binance") as (_, exchange):
        markets = await exchange.load_markets()
        assert markets["BTC/USDT"]["precision"]["price"] == 0.01
        assert exchange.currencies["USDT"]["networks"]["TRC20"]["withdraw"]
        order = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
        assert order["status"] == "open"
        assert (await exchange.fetch_order(order["id"], "BTC/USDT"))["amount"] == 0.01
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["used"] == pytest.approx(500)
        assert (await exchange.cancel_order(order["id"], "BTC/USDT"))["status"] == "canceled"
        with pytest.raises(OrderNotFound):
            await exchange.cancel_order("999999", "BTC/USDT")
        bought = await exchange.create_order("BTC/USDT", "market", "buy", 0.01)
        assert bought["status"] == "closed"
        assert {trade["order"] for trade in await exchange.fetch_my_trades("BTC/USDT")} == {bought["id"]}


async def test_spot_streams_and_user_data() -> None:
    async with venue("binance") as (_, exchange):
        await exchange.load_markets()
        book = await within(exchange.watch_order_book("BTC/USDT"))
        assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await within(exchange.watch_bids_asks(["BTC/USDT"]))
        assert ticker["BTC/USDT"]["bid"] > 0
        watching = asyncio.ensure_future(exchange.watch_orders("BTC/USDT"))
        await asyncio.sleep(0)
        placed = None
        async with asyncio.timeout(PATIENCE_S):
            while not watching.done():
                # The subscription takes a moment; what was placed before it is not told.
                placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
                await asyncio.wait([watching], timeout=0.2)
        assert placed is not None
        assert (await watching)[0]["symbol"] == "BTC/USDT"


async def test_spot_money_moves() -> None:
    async with venue("binance") as (sim, exchange):
        await exchange.load_markets()
        other = sim.exchange.account(sim.exchange.open_account().api_key)
        assert other is not None
        address = other.deposit_address("USDT", "tron")[0]
        sent = await exchange.withdraw("USDT", 50, address, params={"network": "TRC20"})
        history = await exchange.fetch_withdrawals("USDT")
        assert [row["id"] for row in history] == [sent["id"]]
        assert await exchange.fetch_deposits("USDT") == []
        moved = await exchange.transfer("USDT", 100, "spot", "linear")
        assert moved["id"]
        # ccxt picks its table of error classes by the production URL, so here only the code tells.
        with pytest.raises(ExchangeError, match="-4026"):
            await exchange.withdraw("USDT", 5_000_000, address, params={"network": "TRC20"})


async def test_futures_orders_positions_and_streams() -> None:
    async with venue("binanceusdm") as (_, exchange):
        await exchange.load_markets()
        symbol = "BTC/USDT:USDT"
        book = await within(exchange.watch_order_book(symbol))
        assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await within(exchange.watch_bids_asks([symbol]))
        assert ticker[symbol]["ask"] > 0
        order = await exchange.create_order(symbol, "limit", "buy", 0.01, 60_000)
        assert (await exchange.fetch_order(order["id"], symbol))["status"] == "open"
        assert (await exchange.cancel_order(order["id"], symbol))["status"] == "canceled"
        await exchange.create_order(symbol, "market", "sell", 0.01)
        positions = await exchange.fetch_positions([symbol])
        assert [(one["side"], one["contracts"]) for one in positions] == [("short", 0.01)]
        balance = await exchange.fetch_balance()
        assert 99_990 < balance["USDT"]["total"] <= 100_000
        assert (await exchange.fetch_funding_rate(symbol))["markPrice"] > 0


@pytest.mark.parametrize(("kind", "symbol"), [("binance", "BTC/USDT"), ("binanceusdm", "BTC/USDT:USDT")])
async def test_trades_are_heard(kind: str, symbol: str) -> None:
    async with venue(kind) as (_, exchange):
        await exchange.load_markets()
        trade = (await within(exchange.watch_trades(symbol)))[0]
        assert (trade["symbol"], trade["side"] in ("buy", "sell"), trade["price"] > 0) == (symbol, True, True)


async def test_futures_watch_orders_and_order_over_websocket() -> None:
    async with venue("binanceusdm") as (_, exchange):
        await exchange.load_markets()
        symbol = "BTC/USDT:USDT"
        watching = asyncio.ensure_future(exchange.watch_orders(symbol))
        async with asyncio.timeout(PATIENCE_S):
            while not watching.done():
                placed = await exchange.create_order_ws(symbol, "limit", "buy", 0.01, 60_000)
                await asyncio.wait([watching], timeout=0.2)
        assert (await watching)[0]["symbol"] == symbol
        assert (await exchange.cancel_order_ws(placed["id"], symbol))["id"] == placed["id"]
