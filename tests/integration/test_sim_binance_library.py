"""python-binance, unmodified but for its URLs, against the simulated Binance with the real market and accounts."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.sim_binance_server import sim_binance

with warnings.catch_warnings():
    # python-binance imports a class that websockets has deprecated and that is not used here.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient, BinanceSocketManager
    from binance.exceptions import BinanceAPIException

PATIENCE_S = 60


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Any, Any]]:
    """A client and a socket manager with nothing but the URLs changed, as the reference lists them."""
    async with sim_binance() as sim:
        client_type = type("SimClient", (AsyncClient,), {
            "API_URL": sim.http + "/api", "MARGIN_API_URL": sim.http + "/sapi", "WEBSITE_URL": sim.http,
            "FUTURES_URL": sim.http + "/fapi", "FUTURES_DATA_URL": sim.http + "/futures/data",
            "WS_API_URL": sim.ws + "/ws-api/v3", "WS_FUTURES_URL": sim.ws + "/ws-fapi/v1",
        })  # fmt: skip
        manager_type = type("SimBSM", (BinanceSocketManager,), {
            "STREAM_URL": sim.ws + "/", "FSTREAM_URL": sim.ws + "/",
        })  # fmt: skip
        client = await client_type.create(sim.key, sim.secret)
        # How long the library waits for a message before it notices that it was told to close: ten seconds.
        client.ws_api.TIMEOUT = 1
        try:
            yield sim, client, manager_type(client, max_queue_size=100_000)
        finally:
            await client.close_connection()


async def until(socket: Any, wanted: Any) -> Any:
    """The first message that `wanted` accepts."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.recv()
            if wanted(message):
                return message


async def test_spot_order_is_placed_queried_cancelled_and_seen_in_the_account() -> None:
    async with connected() as (_, client, _manager):
        info = await client.get_exchange_info()
        assert {one["symbol"] for one in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
        bought = await client.order_market_buy(symbol="BTCUSDT", quantity="0.01", newClientOrderId="mine-1")
        assert bought["status"] == "FILLED"
        assert sum(float(fill["qty"]) for fill in bought["fills"]) == pytest.approx(0.01)
        resting = await client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="50000", newClientOrderId="low")
        assert (await client.get_order(symbol="BTCUSDT", origClientOrderId="low"))["status"] == "NEW"
        assert [one["orderId"] for one in await client.get_open_orders()] == [resting["orderId"]]
        gone = await client.cancel_order(symbol="BTCUSDT", orderId=resting["orderId"])
        assert gone["origClientOrderId"] == "low"
        assert gone["clientOrderId"] != "low"
        trades = await client.get_my_trades(symbol="BTCUSDT")
        assert {trade["orderId"] for trade in trades} == {bought["orderId"]}
        account = await client.get_account()
        btc = next(one for one in account["balances"] if one["asset"] == "BTC")
        assert 2.0 < float(btc["free"]) < 2.0101


async def test_futures_order_moves_the_position_and_income() -> None:
    async with connected() as (_, client, _manager):
        await client.futures_change_leverage(symbol="BTCUSDT", leverage=10)
        sold = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.010", newOrderRespType="RESULT"
        )
        assert sold["status"] == "FILLED"
        positions = await client.futures_position_information(symbol="BTCUSDT")
        assert [float(one["positionAmt"]) for one in positions] == [-0.01]
        account = await client.futures_account()
        assert float(account["totalInitialMargin"]) == pytest.approx(61_775 * 0.01 / 10, rel=0.01)
        assert (await client.futures_income_history())[0]["incomeType"] == "COMMISSION"
        with pytest.raises(BinanceAPIException) as refused:
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="110")
        assert refused.value.code == -2019


async def test_public_and_multiplex_sockets_deliver() -> None:
    async with connected() as (_, _client, manager):
        async with manager.symbol_ticker_socket("BTCUSDT") as socket:
            assert (await until(socket, lambda one: one.get("e") == "24hrTicker"))["s"] == "BTCUSDT"
        async with manager.multiplex_socket(["btcusdt@bookTicker", "ethusdt@bookTicker"]) as socket:
            seen = {(await until(socket, lambda one: "data" in one))["stream"] for _ in range(30)}
            assert seen == {"btcusdt@bookTicker", "ethusdt@bookTicker"}
        async with manager.futures_multiplex_socket(["btcusdt@bookTicker"], category="public") as socket:
            message = await until(socket, lambda one: "data" in one)
            assert message["data"]["e"] == "bookTicker"


async def test_futures_user_socket_hears_an_order_through_its_life() -> None:
    async with connected() as (_, client, manager), manager.futures_user_socket() as socket:
        await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.002")
        states = []
        while "FILLED" not in states:
            event = await until(socket, lambda one: one["e"] == "ORDER_TRADE_UPDATE")
            states.append(event["o"]["X"])
        assert states[0] == "NEW"
        update = await until(socket, lambda one: one["e"] in ("ACCOUNT_UPDATE", "TRADE_LITE"))
        assert update["T"] > 0


async def test_spot_user_socket_hears_reports_and_balances() -> None:
    async with connected() as (_, client, manager), manager.user_socket() as socket:
        await client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="50000", newClientOrderId="low")
        event = await until(socket, lambda one: one.get("e") == "executionReport")
        assert (event["c"], event["x"]) == ("low", "NEW")
        await client.cancel_order(symbol="BTCUSDT", origClientOrderId="low", newClientOrderId="away")
        event = await until(socket, lambda one: one.get("e") == "executionReport" and one["x"] == "CANCELED")
        assert (event["c"], event["C"]) == ("away", "low")
        await client.make_universal_transfer(type="MAIN_UMFUTURE", asset="USDT", amount="100")
        event = await until(socket, lambda one: one.get("e") == "balanceUpdate")
        assert (event["a"], float(event["d"])) == ("USDT", -100.0)


async def test_websocket_api_places_and_refuses() -> None:
    async with connected() as (_, client, _manager):
        placed = await client.ws_futures_create_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.002", price="60000",
            newClientOrderId="over-ws",
        )  # fmt: skip
        assert placed["status"] == "NEW"
        gone = await client.ws_futures_cancel_order(symbol="BTCUSDT", origClientOrderId="over-ws")
        assert gone["status"] == "CANCELED"
        balances = await client.ws_futures_v2_account_balance()
        assert balances[0]["asset"] == "USDT"
        with pytest.raises(BinanceAPIException) as refused:
            await client.ws_futures_create_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTX", quantity="0.002", price="63000"
            )
        assert refused.value.code == -5022


async def test_withdrawal_reaches_another_account_of_the_venue() -> None:
    async with connected() as (sim, client, _manager):
        other = sim.exchange.account(sim.exchange.open_account().api_key)
        address, _ = other.deposit_address("USDT", "tron")
        sent = await client.withdraw(coin="USDT", network="TRX", address=address, amount="50", withdrawOrderId="w1")
        history = await client.get_withdraw_history(coin="USDT")
        assert [(row["id"], row["withdrawOrderId"]) for row in history] == [(sent["id"], "w1")]
        assert float(history[0]["amount"]) + float(history[0]["transactionFee"]) == 50
        assert await client.get_deposit_history() == []
        assert (await client.get_deposit_address(coin="BTC"))["coin"] == "BTC"
