"""The simulated Binance says at least what the recorded and documented one says, in the same JSON types."""

import asyncio
import gzip
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance.desk import Desk
from exchanges.simulator.binance.endpoints import LINEAR, WALLET
from exchanges.simulator.binance.endpoints import SPOT as SPOT_REST
from exchanges.simulator.binance.gateway import Call, Gateway
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.binance.public import funding_rates
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket
from tests.integration.sim_binance_server import SimBinance, signed, signed_params, sim_binance

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
FIXTURES = SHARED / "fixtures"
DOCS = FIXTURES / "jkorf" / "Binance"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason=f"no recorded payloads: {FIXTURES} is not there")

# What the documents' examples carry because they show conditional orders, or a maker that was prevented.
CONDITIONAL = {
    "activatePrice", "priceRate", "AP", "cr", "trailingDelta", "trailingTime", "strategyId", "strategyType",
    "preventedMatchId", "preventedQuantity",
}  # fmt: skip
# Fields that Binance has dropped since the recording was made.
DROPPED = {"a", "b"}


def mismatches(ours: Any, theirs: Any, where: str = "", ignore: Iterable[str] = CONDITIONAL) -> Iterator[str]:
    if theirs is None:
        return
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            yield f"{where}: {type(ours).__name__} instead of an object"
            return
        for name, value in theirs.items():
            if name in ignore:
                continue
            if name not in ours:
                yield f"{where}.{name} is missing"
            else:
                yield from mismatches(ours[name], value, f"{where}.{name}", ignore)
    elif isinstance(theirs, list):
        yield from _lists(ours, theirs, where, ignore)
    elif ours is not None and _kind(ours) != _kind(theirs):
        yield f"{where}: {ours!r} instead of {theirs!r}"


def _lists(ours: Any, theirs: list[Any], where: str, ignore: Iterable[str]) -> Iterator[str]:
    if not isinstance(ours, list):
        yield f"{where}: {type(ours).__name__} instead of a list"
    elif theirs and not ours:
        yield f"{where}: nothing to compare"
    elif theirs and isinstance(theirs[0], dict) and "filterType" in theirs[0]:
        by_type = {one["filterType"]: one for one in ours}
        for one in theirs:
            yield from mismatches(by_type.get(one["filterType"]), one, f"{where}[{one['filterType']}]", ignore)
    elif theirs and not isinstance(theirs[0], dict | list):
        yield from (f"{where}: {one!r}" for one in ours[: len(theirs)] if _kind(one) not in {_kind(x) for x in theirs})
    elif theirs:
        yield from mismatches(ours[0], theirs[0], f"{where}[0]", ignore)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def documented(name: str) -> Any:
    """The answer in a REST example: after method, path and whether it is signed."""
    return json.loads((DOCS / "Endpoints" / f"{name}.txt").read_text().split("\n", 3)[3])


def streamed(name: str) -> Any:
    """The update in a subscription example."""
    text = (DOCS / "Subscriptions" / f"{name}.txt").read_text()
    update = json.loads(text[text.rindex("\n=") + 2 :])
    return update.get("data", update.get("event"))


def answered(name: str) -> Any:
    """The reply in a WebSocket API example."""
    text = (DOCS / "Socket" / f"{name}.txt").read_text()
    return json.loads(text[text.index("\n=") + 2 :])


def recorded() -> dict[str, Any]:
    with gzip.open(FIXTURES / "gocryptotrader" / "binance_http.json.gz") as file:
        routes: dict[str, Any] = json.load(file)["routes"]
    return routes


async def live(sim: SimBinance, session: aiohttp.ClientSession) -> None:
    """Give the account something to tell: trades, open orders, a position, money under way."""
    for prefix in ("/api/v3", "/fapi/v1"):
        order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
        assert (await signed(sim, session, "POST", f"{prefix}/order", **order, type="MARKET"))[0] == 200
        resting = {**order, "type": "LIMIT", "timeInForce": "GTC", "price": "60000"}
        assert (await signed(sim, session, "POST", f"{prefix}/order", **resting, newClientOrderId="open"))[0] == 200
    other = sim.exchange.open_account()
    address = sim.exchange.account(sim.key).deposit_address("USDT", "tron")[0]  # type: ignore[union-attr]
    sender = sim.exchange.account(other.api_key)
    assert sender is not None
    sender.withdraw("USDT", "tron", Decimal(20), address, "", "", sim.exchange.now_ns())
    sent = {"coin": "USDT", "network": "TRX", "address": "Tnowhere", "amount": "20", "withdrawOrderId": "w"}
    assert (await signed(sim, session, "POST", "/sapi/v1/capital/withdraw/apply", **sent))[0] == 200
    moved = {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "5"}
    assert (await signed(sim, session, "POST", "/sapi/v1/asset/transfer", **moved))[0] == 200


async def signed_form(sim: SimBinance, session: aiohttp.ClientSession, path: str, **parameters: object) -> Any:
    """The same with the parameters as a form, for what a URL would spell another way."""
    body = urlencode({**parameters, "timestamp": sim.exchange.now_ns() // 1_000_000})
    body += "&signature=" + hmac.new(sim.secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": sim.key, "Content-Type": "application/x-www-form-urlencoded"}
    async with session.post(sim.http + path, data=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def until(found: Any) -> None:
    async with asyncio.timeout(60):
        while not found():
            await asyncio.sleep(0.02)


REST = {
    ("GET", "/api/v3/account"): "Spot/Account/GetAccountInfo",
    ("GET", "/api/v3/account/commission"): "Spot/Account/GetCommissionRates",
    ("GET", "/api/v3/rateLimit/order"): "Spot/Account/GetOrderRateLimitStatus",
    ("GET", "/api/v3/ticker/24hr"): "Spot/ExchangeData/GetTicker",
    ("GET", "/api/v3/ticker/price"): "Spot/ExchangeData/GetPrice",
    ("GET", "/api/v3/ticker/bookTicker"): "Spot/ExchangeData/GetBookPrice",
    ("GET", "/api/v3/avgPrice"): "Spot/ExchangeData/GetAvgPrice",
    ("GET", "/api/v3/trades"): "Spot/ExchangeData/GetRecentTrades",
    ("GET", "/api/v3/aggTrades"): "Spot/ExchangeData/GetAggregatedTradeHistory",
    ("GET", "/api/v3/klines"): "Spot/ExchangeData/GetKlines",
    ("GET", "/api/v3/order"): "Spot/Trading/GetOrder",
    ("GET", "/api/v3/openOrders"): "Spot/Trading/GetOpenOrders",
    ("GET", "/api/v3/allOrders"): "Spot/Trading/GetOrders",
    ("GET", "/api/v3/myTrades"): "Spot/Trading/GetUserTrades",
    ("GET", "/sapi/v1/account/apiRestrictions"): "Spot/Account/GetAPIKeyPermissions",
    ("GET", "/sapi/v1/account/status"): "Spot/Account/GetAccountStatus",
    ("GET", "/sapi/v1/system/status"): "Spot/ExchangeData/GetSystemStatus",
    ("GET", "/sapi/v1/asset/tradeFee"): "Spot/Account/GetTradeFee",
    ("GET", "/sapi/v1/asset/transfer"): "Spot/Account/GetTransfers",
    ("POST", "/sapi/v3/asset/getUserAsset"): "Spot/Account/GetBalances",
    ("GET", "/sapi/v1/capital/config/getall"): "Spot/Account/GetUserAssets",
    ("GET", "/sapi/v1/capital/withdraw/history"): "Spot/Account/GetWithdrawalHistory",
    ("GET", "/sapi/v1/capital/deposit/hisrec"): "Spot/Account/GetDepositHistory",
    ("GET", "/sapi/v1/capital/deposit/address"): "Spot/Account/GetDepositAddress",
    ("GET", "/fapi/v2/account"): "UsdFutures/Account/GetAccountInfo",
    ("GET", "/fapi/v3/account"): "UsdFutures/Account/GetAccountInfoV3",
    ("GET", "/fapi/v3/balance"): "UsdFutures/Account/GetBalances",
    ("GET", "/fapi/v2/positionRisk"): "UsdFutures/Account/GetPositionInformation",
    ("GET", "/fapi/v1/income"): "UsdFutures/Account/GetIncomeHistory",
    ("GET", "/fapi/v1/commissionRate"): "UsdFutures/Account/GetUserCommissionRate",
    ("GET", "/fapi/v1/accountConfig"): "UsdFutures/Account/GetAccountConfiguration",
    ("GET", "/fapi/v1/symbolConfig"): "UsdFutures/Account/GetSymbolConfiguration",
    ("GET", "/fapi/v1/multiAssetsMargin"): "UsdFutures/Account/GetMultiAssetsMode",
    ("GET", "/fapi/v1/rateLimit/order"): "UsdFutures/Account/GetOrderRateLimit",
    ("POST", "/fapi/v1/leverage"): "UsdFutures/Account/ChangeInitialLeverage",
    ("POST", "/fapi/v1/listenKey"): "UsdFutures/Account/StartUserStream",
    ("POST", "/fapi/v1/countdownCancelAll"): "UsdFutures/Trading/CancelAllOrdersAfterTimeout",
    ("GET", "/fapi/v1/order"): "UsdFutures/Trading/GetOrder",
    ("GET", "/fapi/v1/openOrder"): "UsdFutures/Trading/GetOpenOrder",
    ("GET", "/fapi/v1/openOrders"): "UsdFutures/Trading/GetOpenOrders",
    ("GET", "/fapi/v1/allOrders"): "UsdFutures/Trading/GetOrders",
    ("GET", "/fapi/v1/userTrades"): "UsdFutures/Trading/GetUserTrades",
    ("GET", "/fapi/v1/time"): "UsdFutures/ExchangeData/GetServerTime",
    ("GET", "/fapi/v1/depth"): "UsdFutures/ExchangeData/GetOrderBook",
    ("GET", "/fapi/v1/ticker/bookTicker"): "UsdFutures/ExchangeData/GetBookPrice",
    ("GET", "/fapi/v2/ticker/price"): "UsdFutures/ExchangeData/GetPrice",
    ("GET", "/fapi/v1/ticker/24hr"): "UsdFutures/ExchangeData/GetTicker",
    ("GET", "/fapi/v1/premiumIndex"): "UsdFutures/ExchangeData/GetMarkPrice",
    ("GET", "/fapi/v1/fundingInfo"): "UsdFutures/ExchangeData/GetFundingInfo",
    ("GET", "/fapi/v1/aggTrades"): "UsdFutures/ExchangeData/GetAggregatedTradeHistory",
    ("GET", "/fapi/v1/trades"): "UsdFutures/ExchangeData/GetRecentTrades",
    ("GET", "/fapi/v1/klines"): "UsdFutures/ExchangeData/GetKlines",
    ("GET", "/fapi/v1/openInterest"): "UsdFutures/ExchangeData/GetOpenInterest",
    ("GET", "/api/v3/time"): "Spot/ExchangeData/GetServerTime",
    ("GET", "/api/v3/uiKlines"): "Spot/ExchangeData/GetUiKlines",
    ("GET", "/api/v3/historicalTrades"): "Spot/ExchangeData/GetTradeHistory",
    ("GET", "/fapi/v1/historicalTrades"): "UsdFutures/ExchangeData/GetTradeHistory",
    ("GET", "/fapi/v1/leverageBracket"): "UsdFutures/Account/GetBrackets",
    ("PUT", "/fapi/v1/listenKey"): "UsdFutures/Account/KeepAliveUserStream",
    ("DELETE", "/fapi/v1/listenKey"): "UsdFutures/Account/StopUserStream",
    ("GET", "/futures/data/basis"): "UsdFutures/ExchangeData/GetBasis",
    ("GET", "/futures/data/openInterestHist"): "UsdFutures/ExchangeData/GetOpenInterestHistory",
    ("GET", "/futures/data/takerlongshortRatio"): "UsdFutures/ExchangeData/GetTakerBuySellVolumeRatio",
    ("POST", "/sapi/v1/asset/transfer"): "Spot/Account/Transfer",
    ("POST", "/sapi/v1/capital/withdraw/apply"): "Spot/Account/Withdraw",
    ("POST", "/api/v3/order/test"): "Spot/Trading/PlaceTestOrder",
    # These change what the ones above show, so they come last.
    ("DELETE", "/api/v3/order"): "Spot/Trading/CancelOrder",
    ("DELETE", "/api/v3/openOrders"): "Spot/Trading/CancelAllOrders",
    ("DELETE", "/fapi/v1/allOpenOrders"): "UsdFutures/Trading/CancelAllOrders",
}
# Binance documents v3 with the fields of the day; the example in the fixtures is of v2.
V2_ONLY = {"leverage", "maxNotionalValue", "marginType", "isAutoAddMargin"}
COMMON = {
    "symbol": "BTCUSDT",
    "interval": "1m",
    "leverage": 5,
    "countdownTime": 0,
    "type": "MAIN_UMFUTURE",
    "coin": "USDT",
}


LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "60000"}
SPECIAL: dict[str, dict[str, object]] = {
    "/futures/data/basis": {"pair": "BTCUSDT", "contractType": "PERPETUAL", "period": "5m"},
    "/futures/data/globalLongShortAccountRatio": {"symbol": "BTCUSDT", "period": "5m"},
    "/futures/data/topLongShortAccountRatio": {"symbol": "BTCUSDT", "period": "5m"},
    "/futures/data/topLongShortPositionRatio": {"symbol": "BTCUSDT", "period": "5m"},
    "/futures/data/openInterestHist": {"symbol": "BTCUSDT", "period": "5m"},
    "/futures/data/takerlongshortRatio": {"symbol": "BTCUSDT", "period": "5m"},
    "/sapi/v1/capital/withdraw/apply": {"coin": "USDT", "network": "TRX", "address": "Telsewhere", "amount": "30"},
    "/api/v3/order/test": {**LIMIT, "quantity": "0.01", "computeCommissionRates": "true"},
}


# A text in the documents, a number in what was recorded.
TEXT_IN_DOCUMENTS = {
    path: {"timestamp"} for path in ("/futures/data/openInterestHist", "/futures/data/takerlongshortRatio")
}


def sent_to(path: str) -> dict[str, object]:
    values: dict[str, object] = dict(COMMON)
    if path == "/sapi/v1/asset/transfer":
        values |= {"asset": "USDT", "amount": "1"}
    if path.endswith(("/order", "/openOrder")):
        values["origClientOrderId"] = "open"
    if path == "/fapi/v1/income":
        return {"incomeType": "TRANSFER"}
    if path in SPECIAL:
        return dict(SPECIAL[path])
    if path.startswith("/sapi/v1/capital/config"):
        del values["coin"]
    return values


async def test_rest_answers_say_what_the_documents_say() -> None:
    wrong = []
    async with sim_binance(time_scale=1e6) as sim, aiohttp.ClientSession() as session:
        await live(sim, session)
        account = sim.exchange.account(sim.key)
        assert account is not None
        await until(account.deposits)
        await until(lambda: all(one.state == "done" for one in account.withdrawals()))
        for (method, path), name in REST.items():
            if (method, path) == ("DELETE", "/api/v3/openOrders"):
                await signed(sim, session, "POST", "/api/v3/order", **LIMIT, quantity="0.01")
            status, ours = await signed(sim, session, method, path, **sent_to(path))
            assert status == 200, (path, ours)
            theirs = documented(name)
            if isinstance(theirs, list) and isinstance(ours, dict):
                theirs = theirs[0]
            wrong += mismatches(ours, theirs, path, CONDITIONAL | TEXT_IN_DOCUMENTS.get(path, set()))
        batch = json.dumps([{**LIMIT, "quantity": "0.01"}, {**LIMIT, "quantity": "9999"}])
        ours = await signed_form(sim, session, "/fapi/v1/batchOrders", batchOrders=batch)
        wrong += mismatches(ours, documented("UsdFutures/Trading/PlaceMultipleOrders"), "batchOrders")
        assert ours[1].keys() == {"code", "msg"}
        status, orders = await signed(sim, session, "GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
        theirs = documented("UsdFutures/Trading/GetPositions")
        wrong += mismatches(orders, theirs, "/fapi/v3/positionRisk", CONDITIONAL | V2_ONLY)
    # Futures trades are aggregated for 100 ms, so the first aggregate may be still to come.
    assert [one for one in wrong if "nothing to compare" not in one or "aggTrades" not in one] == []


async def test_orders_and_instruments_say_what_was_recorded() -> None:
    wrong = []
    routes = recorded()
    async with sim_binance() as sim, aiohttp.ClientSession() as session:
        order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "MARKET"}
        _, ours = await signed(sim, session, "POST", "/api/v3/order", **order)
        wrong += mismatches(ours, documented("Spot/Trading/PlaceOrder"), "spot order")
        _, ours = await signed(sim, session, "POST", "/fapi/v1/order", **order)
        wrong += mismatches(ours, documented("UsdFutures/Trading/PlaceOrder"), "futures order")
        for path in ("/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo"):
            _, ours = await signed(sim, session, "GET", path)
            theirs = routes[path]["GET"][-1]["data"]
            theirs["symbols"] = [one for one in theirs["symbols"] if one["symbol"] == "BTCUSDT"]
            wrong += mismatches(ours, theirs, path)
        _, ours = await signed(sim, session, "GET", "/sapi/v1/capital/config/getall")
        wrong += mismatches(ours, routes["/sapi/v1/capital/config/getall"]["GET"][-1]["data"], "coins")
        newest = json.loads((FIXTURES / "ccxt" / "binance_capital_config_getall_USDT_BTC.json").read_text())
        usdt = next(one for one in ours if one["coin"] == "USDT")
        # Its whole numbers were written down as text, so only the names are compared.
        assert newest[0].keys() <= usdt.keys()
        assert newest[0]["networkList"][0].keys() <= usdt["networkList"][0].keys()
    assert wrong == [], "\n".join(wrong)


SOCKET_SPOT = {
    "order.status": "Spot/Trading/GetOrder",
    "account.status": "Spot/Account/GetAccountInfo",
    "account.rateLimits.orders": "Spot/Account/GetOrderRateLimits",
    "order.place": "Spot/Trading/PlaceOrder",
}
SOCKET_LINEAR = {
    "order.place": "UsdFutures/Trading/PlaceOrder",
    "order.status": "UsdFutures/Trading/GetOrder",
    "order.cancel": "UsdFutures/Trading/CancelOrder",
    "v2/account.status": "UsdFutures/Account/GetAccountInfo",
    "v2/account.balance": "UsdFutures/Account/GetBalances",
    "v2/account.position": "UsdFutures/Trading/GetPositions",
    "ticker.book": "UsdFutures/ExchangeData/GetBookPrice",
    "ticker.price": "UsdFutures/ExchangeData/GetPrice",
    "depth": "UsdFutures/ExchangeData/GetOrderBook",
}
OPEN = frozenset({"ticker.book", "ticker.price", "depth"})


@pytest.mark.parametrize(("path", "table"), [("/ws-api/v3", SOCKET_SPOT), ("/ws-fapi/v1", SOCKET_LINEAR)])
async def test_socket_api_replies_say_what_the_documents_say(path: str, table: dict[str, str]) -> None:
    wrong = []
    async with sim_binance() as sim, aiohttp.ClientSession() as session:
        await live(sim, session)
        socket = await session.ws_connect(sim.ws + path)
        for method, name in table.items():
            sent: dict[str, object] = {"symbol": "BTCUSDT"}
            if method in ("order.status", "order.cancel"):
                sent["origClientOrderId"] = "open"
            if method == "order.place":
                sent |= {"side": "BUY", "type": "MARKET", "quantity": "0.01"}
            params = sent if method in OPEN else signed_params(sim, **sent)
            await socket.send_json({"id": "one", "method": method, "params": params})
            ours = await socket.receive_json(timeout=60)
            assert ours["status"] == 200, ours
            wrong += mismatches(ours, answered(name), method)
    assert wrong == [], "\n".join(wrong)


PUBLIC = {
    "/public/stream": {
        "btcusdt@bookTicker": "BookTicker", "btcusdt@depth@100ms": "Book", "btcusdt@depth5@100ms": "PartialBook",
    },
    "/market/stream": {
        "btcusdt@aggTrade": "AggTrades", "btcusdt@markPrice@1s": "MarkPrice", "btcusdt@ticker": "Ticker",
        "btcusdt@miniTicker": "MiniTicker", "btcusdt@kline_1m": "Klines",
    },
}  # fmt: skip
SPOT = {
    "btcusdt@bookTicker": "BookTicker", "btcusdt@depth5@100ms": "PartialBook", "btcusdt@aggTrade": "AggregatedTrades",
    "btcusdt@trade": "Trades", "btcusdt@ticker": "Ticker", "btcusdt@miniTicker": "MiniTicker",
    "btcusdt@kline_1m": "Klines",
}  # fmt: skip


async def first_of_each(
    sim: SimBinance, session: aiohttp.ClientSession, path: str, names: Iterable[str]
) -> dict[str, Any]:
    socket = await session.ws_connect(f"{sim.ws}{path}?streams={'/'.join(names)}")
    found: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while set(names) - found.keys():
            message = await socket.receive_json()
            if [] not in message["data"].values():  # a side on which nothing changed has no level to compare
                found.setdefault(message["stream"], message["data"])
    await socket.close()
    return found


async def test_public_frames_say_what_the_documents_and_recordings_say() -> None:
    wrong: list[str] = []
    async with sim_binance(rate=1.0) as sim, aiohttp.ClientSession() as session:
        spot, *linear = await asyncio.gather(
            first_of_each(sim, session, "/stream", [*SPOT, "btcusdt@depth@100ms"]),
            *(first_of_each(sim, session, path, names) for path, names in PUBLIC.items()),
        )
    for name, document in SPOT.items():
        ignore = DROPPED if name == "btcusdt@trade" else ()
        wrong += mismatches(spot[name], streamed(f"Spot/ExchangeData/{document}"), f"spot {name}", ignore)
    basana = json.loads((FIXTURES / "basana" / "binance_depth_update.json").read_text())
    wrong += mismatches(spot["btcusdt@depth@100ms"], basana.get("data", basana), "spot depth")
    for names, frames in zip(PUBLIC.values(), linear, strict=True):
        for name, document in names.items():
            wrong += mismatches(frames[name], streamed(f"UsdFutures/{document}"), f"futures {name}")
    wrong += mismatches(spot["btcusdt@bookTicker"], _newest("stream.binance"), "newest spot")
    wrong += mismatches(linear[1]["btcusdt@miniTicker"], _newest("fstream.binance"), "newest futures")
    assert wrong == [], "\n".join(wrong)
    assert all(frame["st"] == 1 and frame["ps"] == "BTCUSDT" for frames in linear for frame in frames.values())


def _newest(host: str) -> Any:
    lines = (FIXTURES / "ccxt" / "binance_ws_2026.jsonl").read_text().splitlines()
    return next(one["msg"] for one in map(json.loads, lines) if f"//{host}." in one["url"])


async def test_user_events_say_what_the_documents_say() -> None:
    wrong: list[str] = []
    async with sim_binance() as sim, aiohttp.ClientSession() as session:
        _, opened = await signed(sim, session, "POST", "/fapi/v1/listenKey")
        futures = await session.ws_connect(f"{sim.ws}/private/ws?listenKey={opened['listenKey']}")
        spot = await session.ws_connect(f"{sim.ws}/ws-api/v3")
        subscribe = {"id": 1, "method": "userDataStream.subscribe.signature", "params": signed_params(sim)}
        await spot.send_json(subscribe)
        assert (await spot.receive_json(timeout=60))["result"] == {"subscriptionId": 0}
        await signed(sim, session, "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
        await live(sim, session)
        seen = await _events(futures, {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ACCOUNT_CONFIG_UPDATE"})
        names = {"OrderUpdate": "ORDER_TRADE_UPDATE", "AccountUpdate": "ACCOUNT_UPDATE", "TradeUpdate": "TRADE_LITE"}
        for document, event in {**names, "Leverage": "ACCOUNT_CONFIG_UPDATE"}.items():
            wrong += mismatches(seen[event], streamed(f"UsdFutures/{document}"), event, {"AP"} | _trailing(event))
        seen = await _events(spot, {"executionReport", "outboundAccountPosition", "balanceUpdate"})
        names = {"Order": "executionReport", "AccountPosition": "outboundAccountPosition", "Balance": "balanceUpdate"}
        for document, event in names.items():
            wrong += mismatches(seen[event], streamed(f"Spot/Account/{document}"), event, ())
    assert wrong == [], "\n".join(wrong)


def _trailing(event: str) -> set[str]:
    # `cr` is the callback rate of a trailing stop in an order, and realised profit in a position.
    return {"cr"} if event == "ORDER_TRADE_UPDATE" else set()


async def _events(socket: aiohttp.ClientWebSocketResponse, wanted: set[str]) -> dict[str, Any]:
    """The newest of each kind; an order's is one with a fill, an account's one with a position."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while wanted - found.keys():
            message = await socket.receive_json()
            event = message.get("event", message)
            if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] != "TRADE":
                continue
            if event["e"] == "ACCOUNT_UPDATE" and not event["a"]["P"]:
                continue
            found[event["e"]] = event
    return found


SERVED = {path for method, path in {**SPOT_REST, **WALLET, **LINEAR} if method == "GET"}
# Of nobody's positions there are no shares; open interest was recorded of another market; nothing is settled yet.
NOT_COMPARABLE = {
    "/futures/data/globalLongShortAccountRatio", "/futures/data/topLongShortAccountRatio",
    "/futures/data/topLongShortPositionRatio", "/futures/data/openInterestHist", "/fapi/v1/fundingRate",
}  # fmt: skip


async def test_answers_say_what_was_recorded() -> None:
    """Every route that was recorded and is served."""
    wrong, compared = [], 0
    async with sim_binance(rate=1.0) as sim, aiohttp.ClientSession() as session:
        await live(sim, session)
        for path, methods in recorded().items():
            newest = (methods.get("GET") or [{"data": None}])[-1]["data"]
            if path not in SERVED - NOT_COMPARABLE or newest is None or "code" in newest:
                continue
            ours = await answer(sim, session, path)
            one = newest[0] if isinstance(newest, list) and isinstance(ours, dict) else newest
            wrong += mismatches(ours, one, path)
            compared += 1
    assert wrong == [], "\n".join(wrong)
    assert compared > 20


async def answer(sim: SimBinance, session: aiohttp.ClientSession, path: str) -> Any:
    """The answer as soon as it has something in it: the first aggregated trade takes a moment."""
    async with asyncio.timeout(60):
        while True:
            status, ours = await signed(sim, session, "GET", path, **sent_to(path))
            assert status == 200, (path, ours)
            if ours:
                return ours
            await asyncio.sleep(0.05)


def test_settled_funding_says_what_the_documents_and_recordings_say() -> None:
    settles_ns = 1_790_006_400 * 10**9
    market = SimulatedMarket(default_listings("binance"), seed=3, start_ns=settles_ns - 10**9, rate=0.01)
    exchange = SimulatedExchange("binance", market)
    pump = Pump([exchange], market, start_ns=settles_ns - 10**9)
    gateway = Gateway(Desk(exchange, VirtualClock(settles_ns)))
    pump.advance_to(settles_ns + 10**9)
    ours = json.loads(json.dumps(funding_rates(Call(gateway, Segment.LINEAR, Parameters({"symbol": "BTCUSDT"})))))
    for theirs in (
        documented("UsdFutures/ExchangeData/GetFundingRates"),
        recorded()["/fapi/v1/fundingRate"]["GET"][-1]["data"],
    ):
        assert list(mismatches(ours, theirs, "fundingRate")) == []
