"""Simulated answers and messages have at least the keys of Bybit's own, with values of the same JSON types.

The payloads are recorded or documented ones outside of the repository; without them there is nothing to compare with.
"""

import gzip
import itertools
import json
import os
import re
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bot.clock import VirtualClock
from bot.domain.order import Side
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.bybit.gateway import application
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.signing import signature
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared")) / "fixtures"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recorded payloads in {FIXTURES}")
START_NS = 1_790_000_000 * 10**9
SECOND_NS = 10**9
REST = FIXTURES / "jkorf/Bybit/Endpoints/V5Api"
WS = FIXTURES / "jkorf/Bybit/Subscriptions/V5"


def documented(path):
    """The answer in one of JKorf's files, or the pushed message."""
    text = path.read_text()
    return json.loads(text[text.index("\n{") if "\n{" in text else text.index("{") :])


def pushed(path):
    return json.loads(path.read_text().partition("\n=")[2].strip())


def loose(path):
    return json.loads(path.read_text().replace('}\n  "cts"', '},\n  "cts"'))


def recorded_line(path, wanted):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as lines:
        found = [json.loads(line) for line in lines if line.strip()]
    return [message for message in found if wanted(message)][-1]


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def missing(theirs, ours, where=""):
    """What ours lacks or has of another type."""
    if kind(theirs) != kind(ours):
        return [] if None in (theirs, ours) else [f"{where}: {kind(theirs)} and {kind(ours)}"]
    if isinstance(theirs, dict):
        lacking = [f"{where}.{key} is missing" for key in theirs if key not in ours]
        both = [missing(theirs[key], ours[key], f"{where}.{key}") for key in theirs if key in ours]
        return lacking + list(itertools.chain.from_iterable(both))
    if isinstance(theirs, list) and theirs:
        return missing(theirs[0], ours[0], f"{where}[0]") if ours else [f"{where} is empty"]
    return []


class Client:
    """Signs and steps: time stands still unless it is moved."""

    def __init__(self, exchange, pump, clock, client):
        self.exchange, self.pump, self.clock, self.client = exchange, pump, clock, client
        self.key, self.secret = exchange.credentials

    def step(self, seconds=1.0):
        self.pump.advance_to(self.pump.now_ns() + int(seconds * SECOND_NS))
        self.clock.advance_to(self.pump.now_ns())

    def headers(self, payload):
        stamp = str(self.exchange.now_ns() // 10**6)
        sign = signature(self.secret, (stamp + self.key + "5000" + payload).encode())
        return {
            "X-BAPI-API-KEY": self.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000", "X-BAPI-SIGN": sign,
        }  # fmt: skip

    async def get(self, path, query=""):
        answer = await self.client.get(f"{path}?{query}", headers=self.headers(query))
        return await answer.json()

    async def post(self, path, body):
        text = json.dumps(body)
        answer = await self.client.post(path, data=text, headers=self.headers(text))
        return await answer.json()

    async def order(self, **terms):
        plain = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
        answer = await self.post("/v5/order/create", {**plain, "price": "50000.0", **terms})
        assert answer["retCode"] == 0, answer
        return answer

    async def socket(self, path, topics):
        socket = await self.client.ws_connect(path)
        if path == "/v5/private":
            until = self.exchange.now_ns() // 10**6 + 9_000
            sign = signature(self.secret, f"GET/realtime{until}".encode())
            await socket.send_json({"op": "auth", "args": [self.key, until, sign]})
            assert (await socket.receive_json())["success"]
        await socket.send_json({"op": "subscribe", "args": topics})
        reply = await socket.receive_json()
        assert reply["success"], reply
        return socket


@asynccontextmanager
async def opened(start_ns):
    """A server whose time begins then."""
    clock = VirtualClock(start_ns)
    market = SimulatedMarket(default_listings("bybit"), seed=3, start_ns=start_ns)
    exchange = SimulatedExchange("bybit", market, seed=3)
    pump = Pump([exchange], market, start_ns=start_ns)
    app = application(exchange, clock, BybitOptions(limit_factor=0, withdraw_interval_s=0))
    async with TestClient(TestServer(app)) as http:
        yield Client(exchange, pump, clock, http)


@pytest.fixture
async def client():
    async with opened(START_NS) as one:
        one.step(2)
        yield one


def test_the_comparison_finds_what_is_wrong():
    assert missing({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}) == []
    assert missing({"a": {"b": 1}}, {"a": {}}) == [".a.b is missing"]
    assert missing({"a": ["x"]}, {"a": [1]}) == [".a[0]: str and number"]
    assert missing({"a": ["x"]}, {"a": []}) == [".a is empty"]
    assert missing({"a": True}, {"a": 1}) == [".a: bool and number"]


GETS = [
    ("ExchangeData/GetSpotSymbols.txt", "/v5/market/instruments-info", "category=spot"),
    ("ExchangeData/GetLinearInverseSymbols.txt", "/v5/market/instruments-info", "category=linear"),
    ("ExchangeData/GetOrderbook.txt", "/v5/market/orderbook", "category=linear&symbol=BTCUSDT"),
    ("ExchangeData/GetSpotTickers.txt", "/v5/market/tickers", "category=spot"),
    ("ExchangeData/GetLinearInverseTickers.txt", "/v5/market/tickers", "category=linear"),
    ("ExchangeData/GetKlines.txt", "/v5/market/kline", "category=linear&symbol=BTCUSDT&interval=1"),
    ("ExchangeData/GetRiskLimit.txt", "/v5/market/risk-limit", "category=linear"),
    ("Trading/GetOrders.txt", "/v5/order/realtime", "category=linear&symbol=BTCUSDT"),
    ("Trading/GetOrderHistory.txt", "/v5/order/history", "category=linear"),
    ("Trading/GetUserTrades.txt", "/v5/execution/list", "category=linear"),
    ("Trading/GetPositions.txt", "/v5/position/list", "category=linear&symbol=BTCUSDT"),
    ("Account/GetBalances.txt", "/v5/account/wallet-balance", "accountType=UNIFIED"),
    ("Account/GetFeeRate.txt", "/v5/account/fee-rate", "category=linear"),
    ("Account/GetMarginAccountInfo.txt", "/v5/account/info", ""),
    ("Account/GetApiKeyInfo.txt", "/v5/user/query-api", ""),
    ("Account/GetAssetInfo.txt", "/v5/asset/coin/query-info", "coin=ETH"),
    ("Account/GetWithdrawals.txt", "/v5/asset/withdraw/query-record", ""),
    ("Account/GetTransactionHistory.txt", "/v5/account/transaction-log", "category=linear"),
]


@pytest.mark.parametrize(("file", "path", "query"), GETS, ids=[path for _, path, _ in GETS])
async def test_answers(client, file, path, query):
    await trade(client)
    ours = await client.get(path, query)
    assert ours["retCode"] == 0, ours
    assert missing(documented(REST / file), ours) == []


XCHANGE = [
    ("getFeeRates", "/v5/account/fee-rate", "category=linear&symbol=BTCUSDT"),
    ("getInstrumentLinear", "/v5/market/instruments-info", "category=linear"),
    ("getInstrumentSpot", "/v5/market/instruments-info", "category=spot"),
    ("getOrderDetailsLinear", "/v5/order/realtime", "category=linear&symbol=BTCUSDT"),
    ("getOrderLinear", "/v5/order/realtime", "category=linear&symbol=BTCUSDT"),
    ("getTickerSpot", "/v5/market/tickers", "category=spot&symbol=BTCUSDT"),
    ("getWalletBalance", "/v5/account/wallet-balance", "accountType=UNIFIED"),
]


@pytest.mark.parametrize(("file", "path", "query"), XCHANGE, ids=[file for file, _, _ in XCHANGE])
async def test_answers_that_others_kept(client, file, path, query):
    await trade(client)
    ours = await client.get(path, query)
    assert missing(loose(FIXTURES / "xchange/xchange-bybit" / f"{file}.json5"), ours) == []


async def trade(client):
    await client.order()
    await client.order(orderType="Market")
    deposit = (await client.get("/v5/asset/deposit/query-address", "coin=USDT&chainType=TRX"))["result"]["chains"]
    sent = await client.post(
        "/v5/asset/withdraw/create",
        {
            "coin": "USDT",
            "chain": "TRX",
            "address": deposit[0]["addressDeposit"],
            "amount": "50",
            "accountType": "UTA",
            "timestamp": 1,
        },
    )
    assert missing(documented(REST / "Account/Withdraw.txt"), sent) == []


async def test_recent_trades_and_fundings(client):
    client.step(120)
    trades = await client.get("/v5/market/recent-trade", "category=spot&symbol=BTCUSDT")
    assert missing(documented(REST / "ExchangeData/GetTradeHistory.txt"), trades) == []


@pytest.fixture
async def settling():
    """A second before funding settles."""
    async with opened(1_790_006_400 * SECOND_NS - SECOND_NS) as one:
        yield one


@pytest.mark.parametrize("side", ["Buy", "Sell"])
async def test_funding_is_told_everywhere_and_adds_up(settling, side):
    socket = await settling.socket("/v5/private", ["execution"])
    await settling.order(orderType="Market", side=side)
    before = await coin(settling)
    settling.step(2)
    after = await coin(settling)
    history = await settling.get("/v5/market/funding/history", "category=linear&symbol=BTCUSDT")
    assert missing(documented(REST / "ExchangeData/GetFundingRateHistory.txt"), history) == []
    (due,) = history["result"]["list"]
    assert int(due["fundingRateTimestamp"]) == 1_790_006_400_000
    log = await settling.get("/v5/account/transaction-log", "category=linear&type=SETTLEMENT")
    (settled,) = log["result"]["list"]
    theirs = documented(REST / "Account/GetTransactionHistory.txt")["result"]["list"][0]
    assert (theirs["type"], missing(theirs, settled)) == ("SETTLEMENT", [])
    # Longs pay where the rate is above zero: what they pay is negative in the log, and a positive fee as an execution.
    paid = Decimal(due["fundingRate"]) * Decimal(settled["tradePrice"]) * Decimal("0.01") * (1 if side == "Buy" else -1)
    assert paid
    assert Decimal(settled["funding"]) == Decimal(settled["change"]) == after - before == -paid
    assert (Decimal(settled["cashBalance"]), settled["side"], settled["qty"]) == (after, side, "0.01")
    for query in ("category=linear&execType=Funding", "category=linear&symbol=BTCUSDT"):
        newest = (await settling.get("/v5/execution/list", query))["result"]["list"][0]
        assert (newest["execType"], Decimal(newest["execFee"])) == ("Funding", paid)
    while (message := await socket.receive_json(timeout=60))["data"][0]["execType"] != "Funding":
        continue
    assert message["data"] == [newest | {"seq": message["data"][0]["seq"]}]


async def coin(client, name="USDT"):
    wallet = await client.get("/v5/account/wallet-balance", f"accountType=UNIFIED&coin={name}")
    return Decimal(wallet["result"]["list"][0]["coin"][0]["walletBalance"])


@pytest.mark.parametrize("category", ["inverse", "option"])
async def test_categories_in_which_nothing_trades_are_empty(client, category):
    await trade(client)
    for path in ("market/instruments-info", "position/list", "order/realtime", "order/history", "execution/list"):
        answer = await client.get(f"/v5/{path}", f"category={category}")
        assert (answer["retCode"], answer["result"]["list"]) == (0, []), path
    for path in ("market/instruments-info", "position/list", "order/realtime"):
        assert (await client.get(f"/v5/{path}", f"category={category}&symbol=BTCUSD"))["retCode"] == 10001
        assert (await client.get(f"/v5/{path}", "category=futures"))["retCode"] == 10001


async def test_answers_to_commands(client):
    placed = await client.order(orderLinkId="one")
    assert missing(documented(REST / "Trading/PlaceOrder.txt"), placed) == []
    named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "one"}
    amended = await client.post("/v5/order/amend", {**named, "qty": "0.02"})
    assert missing(documented(REST / "Trading/EditOrder.txt"), amended) == []
    cancelled = await client.post("/v5/order/cancel", named)
    assert missing(documented(REST / "Trading/CancelOrder.txt"), cancelled) == []
    one = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "50000"}
    batch = await client.post("/v5/order/create-batch", {"category": "linear", "request": [one, one]})
    assert missing(documented(REST / "Trading/PlaceMultipleOrders.txt"), batch) == []
    ids = [{"symbol": "BTCUSDT", "orderId": row["orderId"]} for row in batch["result"]["list"]]
    changes = [{**one, "qty": "0.02"} for one in ids]
    batch = await client.post("/v5/order/amend-batch", {"category": "linear", "request": changes})
    assert missing(documented(REST / "Trading/EditMultipleOrders.txt"), batch) == []
    assert [one["code"] for one in batch["retExtInfo"]["list"]] == [0, 0]
    batch = await client.post("/v5/order/cancel-batch", {"category": "linear", "request": ids[:1]})
    assert missing(documented(REST / "Trading/CancelMultipleOrders.txt"), batch) == []
    everything = await client.post("/v5/order/cancel-all", {"category": "linear", "symbol": "BTCUSDT"})
    assert missing(documented(REST / "Trading/CancelAllOrder.txt"), everything) == []
    leverage = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5", "sellLeverage": "5"}
    answer = await client.post("/v5/position/set-leverage", leverage)
    assert missing(documented(REST / "Account/SetLeverage.txt"), answer) == []
    answer = await client.post("/v5/order/disconnected-cancel-all", {"timeWindow": 10})
    assert missing(documented(REST / "Trading/SetDisconnectCancelAll.txt"), answer) == []


async def test_spot_orders(client):
    await client.order(category="spot", orderType="Market", qty="20")
    ours = await client.get("/v5/order/history", "category=spot")
    assert missing(loose(FIXTURES / "xchange/xchange-bybit/getOrderDetailsSpot.json5"), ours) == []


async def test_coins(client):
    ours = await client.get("/v5/asset/coin/query-info", "coin=USDT")
    theirs = json.loads((FIXTURES / "ccxt/bybit_coin_query-info_USDT.json").read_text())
    assert missing(theirs["result"], ours["result"]) == []
    ours = await client.get("/v5/asset/transfer/query-account-coins-balance", "accountType=FUND&coin=USDC")
    assert missing(loose(FIXTURES / "xchange/xchange-bybit/getAllCoinsBalance.json5"), ours) == []


async def frames(client, path, topic, count=1, **heard):
    """Messages of one topic while the market goes on."""
    socket = await client.socket(path, [topic])
    if heard:
        client.exchange.account(client.key).place(
            NewOrder(
                listing=next(i for i, one in client.exchange.listings.items() if one.instrument.is_perpetual),
                side=Side.BUY, kind=Kind.MARKET, lifetime=Lifetime.IOC, price=None, client_id="", **heard,
            ),
            client.exchange.now_ns(),
        )  # fmt: skip
    client.step(30)
    messages = []
    while len(messages) < count:
        message = await socket.receive_json(timeout=60)
        if message.get("topic") == topic:
            messages.append(message)
    await socket.close()
    return messages


PUBLIC = [
    ("linear", "publicTrade.BTCUSDT", WS / "Linear/Trades.txt"),
    ("linear", "tickers.BTCUSDT", WS / "Linear/Ticker.txt"),
    ("spot", "publicTrade.BTCUSDT", WS / "Spot/Trades.txt"),
    ("spot", "tickers.BTCUSDT", WS / "Spot/Ticker.txt"),
]


@pytest.mark.parametrize(("category", "topic", "file"), PUBLIC)
async def test_public_messages(client, category, topic, file):
    (ours,) = await frames(client, f"/v5/public/{category}", topic)
    assert missing(pushed(file), ours) == []


async def test_order_books(client):
    snapshot, delta = await frames(client, "/v5/public/linear", "orderbook.50.BTCUSDT", 2)
    folder = FIXTURES / "xchange/xchange-stream-bybit"
    assert missing(loose(folder / "orderBookSnapshotResponse.json5"), snapshot) == []
    theirs = loose(folder / "orderBookDeltaResponse.json5")
    assert (snapshot["type"], delta["type"]) == ("snapshot", "delta")
    theirs["data"] |= {side: theirs["data"][side] if delta["data"][side] else [] for side in "ba"}
    assert missing(theirs, delta) == []
    assert list(theirs) == list(delta)
    (best,) = await frames(client, "/v5/public/linear", "orderbook.1.BTCUSDT")
    theirs = recorded_line(
        FIXTURES / "tardis-node/bybit.jsonl", lambda one: str(one.get("topic")).startswith("orderbook.1.")
    )
    assert missing({**theirs, "data": {**theirs["data"], "a": best["data"]["a"]}}, best) == []


async def test_recorded_tickers(client):
    (ours,) = await frames(client, "/v5/public/linear", "tickers.BTCUSDT")
    theirs = recorded_line(
        FIXTURES / "gocryptotrader/bybit_wsTicker.json.gz",
        lambda one: one["topic"] == "tickers.BTCUSDT" and one["type"] == "snapshot",
    )
    assert missing(theirs, ours) == []
    assert re.fullmatch(r"\d+\.\d{2}", ours["data"]["lastPrice"])


PRIVATE = [
    ("order", "Order.txt"),
    ("execution", "UserTrades.txt"),
    ("execution.fast", "MinimalUserTrades.txt"),
    ("position", "Position.txt"),
    ("wallet", "Balance.txt"),
]


@pytest.mark.parametrize(("topic", "file"), PRIVATE)
async def test_private_messages(client, topic, file):
    (ours,) = await frames(client, "/v5/private", topic, quantity=Decimal("0.01"))
    assert missing(pushed(WS / "Private" / file), ours) == []
