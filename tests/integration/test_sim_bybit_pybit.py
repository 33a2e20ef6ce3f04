"""Unmodified pybit against the simulated Bybit; only the URL is changed."""

import itertools
import logging
import queue
import threading
from uuid import UUID

import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from bot.clock import SystemClock
from exchanges.simulator.bybit.options import BybitOptions
from tests.integration.sim_bybit_server import running

PATIENCE_S = 60
NUMBERS = itertools.count(1)


def fresh():
    return f"own-{next(NUMBERS)}"


def fresh_uuid():
    return UUID(int=next(NUMBERS))


@pytest.fixture(scope="module")
def server():
    with running() as one:
        yield one


@pytest.fixture
def http(server):
    client = client_of(server, server.key, server.secret)
    yield client
    client.cancel_all_orders(category="linear", settleCoin="USDT")
    client.cancel_all_orders(category="spot")
    client.client.close()


def client_of(server, key, secret):
    client = HTTP(api_key=key, api_secret=secret, retry_codes={0}, max_retries=1, recv_window=20_000)
    client.endpoint = server.http
    client.logger.handlers.clear()
    return client


def socket_of(server, kind, **options):
    class LocalSocket(kind):
        # pybit registers a callback after it has sent: an answer that is quicker than that would be lost.
        gate = threading.RLock()

        def _on_message(self, message):
            with self.gate:
                super()._on_message(message)

        def _connect(self, url):
            super()._connect(server.ws + url[url.find("/v5/") :])

    return LocalSocket(testnet=False, **options)


@pytest.fixture
def subscribed():
    """What pybit logs when a subscription is acknowledged: it tells nobody else."""
    said = queue.Queue()

    class Listener(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("Subscription to"):
                said.put(record.getMessage())

    log, listener = logging.getLogger("pybit._websocket_stream"), Listener()
    before = log.level
    log.addHandler(listener)
    log.setLevel(logging.DEBUG)
    yield said
    log.removeHandler(listener)
    log.setLevel(before)


@pytest.fixture
def private(server, subscribed):
    heard = {}
    socket = socket_of(
        server, WebSocket, channel_type="private", api_key=server.key, api_secret=server.secret, private_auth_expire=10
    )

    def hear(name, subscribe):
        heard[name] = queue.Queue()
        with socket.gate:
            subscribe(heard[name].put)

    hear("order", socket.order_stream)
    hear("execution", socket.execution_stream)
    hear("execution.fast", socket.fast_execution_stream)
    hear("position", socket.position_stream)
    hear("wallet", socket.wallet_stream)
    for _ in heard:
        assert subscribed.get(timeout=PATIENCE_S)
    yield heard
    socket.exit()


def rows(heard, name, wanted):
    """Rows of a topic until one is as wanted."""
    seen = []
    while True:
        message = heard[name].get(timeout=PATIENCE_S)
        seen += message["data"]
        if any(wanted(row) for row in message["data"]):
            return seen


def best(http, category="linear"):
    book = http.get_orderbook(category=category, symbol="BTCUSDT", limit=1)["result"]
    return float(book["b"][0][0]), float(book["a"][0][0])


def test_public_facts_are_there(http):
    assert abs(int(http.get_server_time()["result"]["timeNano"]) - SystemClock().now_ns()) < 5e9
    linear = http.get_instruments_info(category="linear", limit=1)["result"]
    rest = http.get_instruments_info(category="linear", limit=1, cursor=linear["nextPageCursor"])["result"]
    assert [row["symbol"] for row in linear["list"] + rest["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert rest["nextPageCursor"] == ""
    assert http.get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]["fundingIntervalHour"] == "8"
    assert http.get_kline(symbol="BTCUSDT", interval="1")["result"]["list"]
    assert http.get_risk_limit(category="linear")["result"]["list"][0]["symbol"] == "BTCUSDT"
    assert http.get_funding_rate_history(category="linear", symbol="BTCUSDT")["result"]["category"] == "linear"


def test_an_order_is_acknowledged_and_its_result_comes_on_the_topics(http, private):
    answer = http.place_order(category="linear", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.01")
    order_id = answer["result"]["orderId"]
    filled = rows(private, "order", lambda row: row["orderId"] == order_id and row["orderStatus"] == "Filled")
    assert filled[-1]["tpslMode"] == ""
    assert filled[-1]["cumExecQty"] == "0.010"
    fills = rows(private, "execution", lambda row: row["orderId"] == order_id and row["leavesQty"] == "0.000")
    assert sum(float(row["execQty"]) for row in fills if row["orderId"] == order_id) == pytest.approx(0.01)
    assert rows(private, "execution.fast", lambda row: row["orderId"] == order_id)
    assert rows(private, "position", lambda row: row["symbol"] == "BTCUSDT" and float(row["size"]) > 0)
    assert rows(private, "wallet", lambda row: row["accountType"] == "UNIFIED")
    listed = http.get_executions(category="linear", orderId=order_id)["result"]["list"]
    assert {row["execId"] for row in listed} == {row["execId"] for row in fills if row["orderId"] == order_id}
    position = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert position["side"] == "Buy"
    http.place_order(
        category="linear", symbol="BTCUSDT", side="Sell", orderType="Market", qty=position["size"], reduceOnly=True
    )
    rows(private, "position", lambda row: row["size"] == "0")


def test_a_post_only_order_that_would_trade_is_taken_and_then_cancelled(http, private):
    _, ask = best(http)
    answer = http.place_order(
        category="linear", symbol="BTCUSDT", side="Buy", orderType="Limit", qty="0.01", price=f"{ask + 5:.1f}",
        timeInForce="PostOnly",
    )  # fmt: skip
    order_id = answer["result"]["orderId"]
    seen = rows(private, "order", lambda row: row["orderId"] == order_id and row["orderStatus"] == "Cancelled")
    assert seen[-1]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    closed = http.get_open_orders(category="linear", symbol="BTCUSDT", openOnly=1)["result"]["list"]
    assert order_id in [row["orderId"] for row in closed]


def test_an_amended_order_keeps_its_ids(http, private):
    bid, _ = best(http)
    link = fresh()
    terms = {"category": "linear", "symbol": "BTCUSDT"}
    placed = http.place_order(
        **terms, side="Buy", orderType="Limit", qty="0.01", price=f"{bid - 300:.1f}", orderLinkId=link
    )["result"]
    amended = http.amend_order(**terms, orderLinkId=link, qty="0.02", price=f"{bid - 310:.1f}")["result"]
    assert amended == placed
    again = http.amend_order(**terms, orderId=placed["orderId"], qty="0.03")["result"]
    assert again == placed
    (row,) = http.get_open_orders(**terms)["result"]["list"]
    assert (row["orderId"], row["orderLinkId"], row["qty"]) == (placed["orderId"], link, "0.030")
    with pytest.raises(InvalidRequestError) as same:
        http.amend_order(**terms, orderLinkId=link, qty="0.03")
    assert same.value.status_code == 10001
    http.cancel_order(**terms, orderId=placed["orderId"])
    seen = rows(private, "order", lambda row: row["orderId"] == placed["orderId"] and row["orderStatus"] == "Cancelled")
    assert [row["orderStatus"] for row in seen if row["orderId"] == placed["orderId"]].count("Cancelled") == 1
    assert http.get_order_history(**terms, orderId=placed["orderId"])["result"]["list"][0]["qty"] == "0.030"


def test_a_spot_buy_at_the_market_says_what_to_spend(http, private):
    answer = http.place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="100")
    order_id = answer["result"]["orderId"]
    done = rows(private, "order", lambda row: row["orderId"] == order_id and row["orderStatus"] == "Filled")[-1]
    assert "tpslMode" not in done
    assert 50 < float(done["cumExecValue"]) <= 100
    base = http.place_order(
        category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.001", marketUnit="baseCoin"
    )["result"]["orderId"]
    done = rows(private, "order", lambda row: row["orderId"] == base and row["orderStatus"] == "Filled")[-1]
    assert float(done["cumExecQty"]) == 0.001


def test_batches_answer_each_order_apart(http):
    bid, _ = best(http)
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": f"{bid - 300:.1f}"}
    answer = http.place_batch_order(category="linear", request=[good, {**good, "symbol": "NOPE"}])
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 10001]
    ids = [row["orderId"] for row in answer["result"]["list"]]
    assert ids[0]
    assert not ids[1]
    cancels = [{"symbol": "BTCUSDT", "orderId": ids[0]}, {"symbol": "BTCUSDT", "orderLinkId": "nobody"}]
    answer = http.cancel_batch_order(category="linear", request=cancels)
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 110001]


def test_executions_are_paged_by_a_cursor(http):
    for _ in range(3):
        http.place_order(category="spot", symbol="ETHUSDT", side="Buy", orderType="Market", qty="20")
    whole = http.get_executions(category="spot", symbol="ETHUSDT")["result"]["list"]
    cursor, paged = None, []
    while cursor != "":
        query = {"cursor": cursor} if cursor else {}
        page = http.get_executions(category="spot", symbol="ETHUSDT", limit=1, **query)["result"]
        paged += page["list"]
        cursor = page["nextPageCursor"]
    assert [row["execId"] for row in paged] == [row["execId"] for row in whole]
    assert len(paged) >= 3
    assert page["list"] == [], "the last page with rows has a cursor too, as Bybit's has"


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        (10001, {"symbol": "NOPE"}),
        (10001, {"category": "futures"}),
        (10001, {"side": "buy"}),
        (10001, {"qty": "NaN"}),
        (10001, {"qty": "-1"}),
        (10001, {"price": "1e5"}),
        (110003, {"side": "Sell", "price": "1000"}),
        (110007, {"qty": "900"}),
        (110094, {"qty": "0.01", "price": "100", "symbol": "ETHUSDT"}),
        (170121, {"category": "spot", "symbol": "NOPE"}),
        (10001, {"qty": "1500.001"}),
        (10001, {"qty": "500.001", "orderType": "Market"}),
        (170124, {"category": "spot", "qty": "90"}),
        (170131, {"category": "spot", "qty": "50"}),
        (170135, {"category": "spot", "qty": "1500.001"}),
        (170135, {"category": "spot", "qty": "500.001", "orderType": "Market", "marketUnit": "baseCoin"}),
        (170137, {"category": "spot", "qty": "0.01000001"}),
        (170134, {"category": "spot", "price": "60000.123"}),
        (10001, {"orderLinkId": "x" * 40}),
    ],
)
def test_bad_orders_are_refused_with_bybits_codes(http, code, terms):
    bid, _ = best(http)
    order = {
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01",
        "price": f"{bid - 300:.1f}",
    }  # fmt: skip
    with pytest.raises(InvalidRequestError) as refused:
        http.place_order(**(order | terms))
    assert refused.value.status_code == code


def test_client_ids_are_good_for_one_order(http):
    bid, _ = best(http)
    link = fresh()
    for category, code, missing in (("linear", 110072, 110001), ("spot", 170141, 170213)):
        order = {"category": category, "symbol": "BTCUSDT"}
        terms = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": f"{bid - 300:.1f}", "orderLinkId": link}
        http.place_order(**order, **terms)
        with pytest.raises(InvalidRequestError) as refused:
            http.place_order(**order, **terms)
        assert refused.value.status_code == code
        http.cancel_order(**order, orderLinkId=link)
        for name in ({"orderLinkId": link}, {"orderLinkId": "never"}, {"orderId": "nonsense"}):
            with pytest.raises(InvalidRequestError) as refused:
                http.cancel_order(**order, **name)
            assert refused.value.status_code == missing


def test_leverage_that_is_set_already_is_an_error(http):
    before = http.get_positions(category="linear", symbol="ETHUSDT")["result"]["list"][0]["leverage"]
    other = "7" if before != "7" else "8"
    terms = {"category": "linear", "symbol": "ETHUSDT"}
    http.set_leverage(**terms, buyLeverage=other, sellLeverage=other)
    assert http.get_positions(**terms)["result"]["list"][0]["leverage"] == other
    for leverage, code in ((other, 110043), ("5000", 110013), ("x", 10001)):
        with pytest.raises(InvalidRequestError) as refused:
            http.set_leverage(**terms, buyLeverage=leverage, sellLeverage=leverage)
        assert refused.value.status_code == code
    with pytest.raises(InvalidRequestError) as refused:
        http.switch_position_mode(category="linear", symbol="ETHUSDT", mode=0)
    assert refused.value.status_code == 110025


def test_accounts_tell_what_they_are(http):
    wallet = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    assert float(wallet["totalEquity"]) > 100_000
    assert {"USDT", "BTC"} <= {row["coin"] for row in wallet["coin"]}
    only = http.get_wallet_balance(accountType="UNIFIED", coin="BTC")["result"]["list"][0]
    assert [row["coin"] for row in only["coin"]] == ["BTC"]
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 5
    assert http.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"][0]["takerFeeRate"] == "0.00055"
    assert http.get_api_key_information()["result"]["uta"] == 1


def test_money_moves_between_wallets_and_away(http):
    first = http.create_internal_transfer(
        transferId=str(fresh_uuid()), coin="USDT", amount="500", fromAccountType="UNIFIED", toAccountType="FUND"
    )["result"]
    assert first["status"] == "SUCCESS"
    held = http.get_coins_balance(accountType="FUND", coin="USDT")["result"]["balance"]
    assert float(held[0]["walletBalance"]) >= 500
    assert http.get_internal_transfer_records()["result"]["list"][0]["transferId"] == first["transferId"]
    coins = http.get_coin_info(coin="USDT")["result"]["rows"]
    assert {"TRX", "ETH"} <= {row["chain"] for row in coins[0]["chains"]}
    chains = http.get_master_deposit_address(coin="USDT", chainType="TRX")["result"]["chains"]
    terms = {
        "coin": "USDT", "chain": "TRX", "address": chains[0]["addressDeposit"], "amount": "100",
        "timestamp": SystemClock().now_ns() // 10**6, "forceChain": 1, "accountType": "FUND",
        "requestId": fresh_uuid().hex,
    }  # fmt: skip
    sent = http.withdraw(**terms)["result"]["id"]
    assert http.withdraw(**terms)["result"]["id"] == sent
    assert [row["withdrawId"] for row in http.get_withdrawal_records()["result"]["rows"]].count(sent) == 1
    assert "rows" in http.get_deposit_records()["result"]
    for wrong, code in (
        ({"chain": "MOON"}, 131002), ({"amount": "0"}, 131002), ({"amount": "900000"}, 131212),
        ({"requestId": str(fresh_uuid())}, 131002), ({"requestId": 33 * "a"}, 131002), ({"timestamp": None}, 10001),
        ({"chain": None}, 10001), ({"accountType": None}, 10001), ({"amount": "5"}, 131096), ({"address": "x"}, 131093),
    ):  # fmt: skip
        with pytest.raises(InvalidRequestError) as refused:
            http.withdraw(**(terms | {"requestId": fresh_uuid().hex} | wrong))
        assert refused.value.status_code == code
    with pytest.raises(InvalidRequestError) as refused:
        http.create_internal_transfer(
            transferId="mine-1", coin="USDT", amount="5", fromAccountType="UNIFIED", toAccountType="FUND"
        )
    assert refused.value.status_code == 131203


def test_public_topics_reach_pybit(server):
    heard = queue.Queue()
    for channel in ("linear", "spot"):
        socket = socket_of(server, WebSocket, channel_type=channel)
        with socket.gate:
            socket.orderbook_stream(1, "BTCUSDT", heard.put)
        quote = heard.get(timeout=PATIENCE_S)
        assert quote["topic"] == "orderbook.1.BTCUSDT"
        assert float(quote["data"]["b"][0][0]) < float(quote["data"]["a"][0][0])
        books = queue.Queue()
        with socket.gate:
            socket.orderbook_stream(50, "ETHUSDT", books.put)
        book = [books.get(timeout=PATIENCE_S) for _ in range(5)][-1]
        assert len(book["data"]["b"]) > 10
        tickers = queue.Queue()
        with socket.gate:
            socket.ticker_stream("BTCUSDT", tickers.put)
        assert tickers.get(timeout=PATIENCE_S)["data"]["symbol"] == "BTCUSDT"
        socket.exit()


def test_orders_by_websocket(server, http):
    socket = socket_of(
        server, WebSocketTrading, api_key=server.key, api_secret=server.secret, private_auth_expire=10,
        recv_window=20_000,
    )  # fmt: skip
    bid, _ = best(http)
    answers, errors = queue.Queue(), queue.Queue()
    terms = {"category": "linear", "symbol": "BTCUSDT"}
    order = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": f"{bid - 300:.1f}"}
    with socket.gate:
        socket.place_order(answers.put, **terms, **order)
    answer = answers.get(timeout=PATIENCE_S)
    assert answer["op"] == "order.create"
    order_id = answer["data"]["orderId"]
    with socket.gate:
        socket.amend_order(answers.put, **terms, orderId=order_id, qty="0.02")
    assert answers.get(timeout=PATIENCE_S)["retCode"] == 0
    with socket.gate:
        socket.cancel_order(answers.put, **terms, orderId=order_id)
    assert answers.get(timeout=PATIENCE_S)["data"]["orderId"] == order_id
    with socket.gate:
        socket.cancel_order(answers.put, error_callback=errors.put, **terms, orderId=order_id)
    assert errors.get(timeout=PATIENCE_S)["retCode"] == 110001
    socket.exit()


def test_strangers_and_late_requests_are_refused(server):
    for key, secret, code in (("nobody", "x", 10003), (server.key, "wrong", 10004)):
        client = client_of(server, key, secret)
        with pytest.raises(InvalidRequestError) as refused:
            client.get_account_info()
        assert refused.value.status_code == code
        client.client.close()


def test_more_requests_than_a_second_allows_are_10006():
    with running(BybitOptions()) as server:
        client = client_of(server, server.key, server.secret)
        with pytest.raises(InvalidRequestError) as refused:
            change_leverage(client, times=60)
        assert refused.value.status_code == 10006
        client.client.close()


def change_leverage(client, times):
    for number in range(times):
        leverage = str(3 + number % 2)
        client.set_leverage(category="linear", symbol="BTCUSDT", buyLeverage=leverage, sellLeverage=leverage)
