"""Unmodified ccxt and ccxt.pro against the simulated Bybit; only the URLs are changed."""

import asyncio
import warnings
from contextlib import asynccontextmanager

import pytest

from bot.clock import SystemClock
from tests.integration.sim_bybit_server import serving

with warnings.catch_warnings():
    # ccxt's bundled parsers use syntax and modules that newer Pythons deprecate.
    warnings.simplefilter("ignore")
    import ccxt
    import ccxt.pro

PATIENCE_S = 60
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"


@asynccontextmanager
async def client_of(server):
    base, ws = server.http, server.ws
    sockets = {
        "public": {"linear": ws + "/v5/public/linear", "spot": ws + "/v5/public/spot"},
        "private": {
            "contract": ws + "/v5/private", "trade": ws + "/v5/trade", "spot": {"unified": ws + "/v5/private"},
        },
    }  # fmt: skip
    client = ccxt.pro.bybit(
        {
            "apiKey": server.key,
            "secret": server.secret,
            "enableRateLimit": False,
            "urls": {"api": dict.fromkeys(("public", "private", "spot", "futures", "v2"), base) | {"ws": sockets}},
            "options": {"fetchMarkets": {"types": ["linear", "spot"]}},
        }
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connected():
    async with serving() as server, client_of(server) as client:
        await client.load_markets()
        yield client


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until_watched(client, wanted, **query):
    while True:
        for order in await soon(client.watch_orders(**query)):
            if wanted(order):
                return order


async def test_markets_currencies_and_account_are_read():
    async with connected() as client:
        assert {SPOT, LINEAR, "ETH/USDT", "ETH/USDT:USDT"} <= set(client.markets)
        assert client.market(LINEAR)["precision"]["price"] == 0.1
        assert client.market(SPOT)["limits"]["cost"]["min"] == 5
        assert client.currencies["USDT"]["networks"]["TRC20"]["fee"] > 0
        balance = await client.fetch_balance()
        assert balance["USDT"]["total"] == 100_000
        assert balance["BTC"]["free"] == 2
        assert await client.fetch_positions([LINEAR])
        ticker = await client.fetch_ticker(LINEAR)
        assert ticker["bid"] < ticker["ask"]
        funding = await client.fetch_funding_rate(LINEAR)
        assert funding["fundingTimestamp"] > SystemClock().now_ns() // 10**6


async def test_quotes_and_books_are_watched():
    async with connected() as client:
        for symbol in (LINEAR, SPOT):
            tops = await soon(client.watch_bids_asks([symbol]))
            assert tops[symbol]["bid"] < tops[symbol]["ask"]
        book = await soon(client.watch_order_book("ETH/USDT:USDT", 50))
        for _ in range(10):
            book = await soon(client.watch_order_book("ETH/USDT:USDT", 50))
        assert len(book["bids"]) > 20
        assert book["bids"][0][0] < book["asks"][0][0]
        assert await soon(client.watch_trades(LINEAR))
        ticker = await soon(client.watch_ticker(LINEAR))
        assert ticker["symbol"] == LINEAR


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
async def test_orders_live_and_end(symbol):
    async with connected() as client:
        watching = asyncio.ensure_future(client.watch_orders(symbol))
        await asyncio.sleep(0)
        bid = (await client.fetch_order_book(symbol, 1))["bids"][0][0]
        placed = await client.create_order(symbol, "limit", "buy", 0.01, bid - 300)
        found = await client.fetch_order(placed["id"], symbol, {"acknowledged": True})
        assert (found["status"], found["amount"]) == ("open", 0.01)
        assert [one["id"] for one in await client.fetch_open_orders(symbol)] == [placed["id"]]
        await client.cancel_order(placed["id"], symbol)
        # The first order may have been quicker than the subscription: its cancel is not, or the next one is not.
        await asyncio.wait({watching}, timeout=0.2)
        if not watching.done():
            again = await client.create_order(symbol, "limit", "buy", 0.01, bid - 300)
            await client.cancel_order(again["id"], symbol)
        (seen,) = (await soon(watching))[-1:]
        assert seen["symbol"] == symbol
        closed = await client.fetch_canceled_orders(symbol)
        assert placed["id"] in [one["id"] for one in closed]
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(placed["id"], symbol)


async def test_fills_change_positions_and_balances():
    async with connected() as client:
        await client.create_order(LINEAR, "market", "buy", 0.01)
        (position,) = await client.fetch_positions([LINEAR])
        assert (position["side"], position["contracts"]) == ("long", 0.01)
        trades = await client.fetch_my_trades(LINEAR)
        assert sum(one["amount"] for one in trades) == pytest.approx(0.01)
        assert trades[0]["fee"]["cost"] > 0
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(LINEAR, "limit", "buy", 900, trades[0]["price"])


async def test_orders_go_over_the_trade_socket():
    async with connected() as client:
        bid = (await client.fetch_order_book(LINEAR, 1))["bids"][0][0]
        placed = await soon(client.create_order_ws(LINEAR, "limit", "buy", 0.01, bid - 300))
        cancelled = await soon(client.cancel_order_ws(placed["id"], LINEAR))
        assert cancelled["id"] == placed["id"]


async def test_money_is_withdrawn_and_deposits_are_listed():
    async with connected() as client:
        address = await client.fetch_deposit_address("USDT", {"network": "TRC20"})
        sent = await client.withdraw("USDT", 50, address["address"], {"network": "TRC20"})
        withdrawals = await client.fetch_withdrawals("USDT")
        assert [one["id"] for one in withdrawals] == [sent["id"]]
        assert withdrawals[0]["status"] == "pending"
        assert await client.fetch_deposits("USDT") == []
        moved = await client.transfer("USDT", 10, "unified", "fund")
        assert moved["status"] == "ok"


async def test_strangers_are_refused():
    async with serving() as server:
        server.secret = "wrong"
        async with client_of(server) as client:
            client.has["fetchCurrencies"] = False
            with pytest.raises(ccxt.AuthenticationError):
                await client.fetch_balance()
