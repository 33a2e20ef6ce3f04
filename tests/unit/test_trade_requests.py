"""Requests for the order sockets, letter by letter, and signed as the exchanges' own clients sign them."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest
from pybit._http_manager import generate_signature
from pydantic import SecretStr

from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.errors import Banned, MalformedPayload, SettingsError
from exchanges.binance.library import AsyncClient
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.binance.trade_socket import BinanceTrade
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.bybit.trade_socket import BybitTrade
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.venue_http import VenueHttp

D = Decimal
KEY, SECRET = "key-" * 16, "secret-" * 9
KEYS = ApiKeys(key=SecretStr(KEY), secret=SecretStr(SECRET))
NOW_MS = 1_800_000_000_123
HERE = "http://127.0.0.1:1"


def instrument(venue: str, segment: Segment) -> Instrument:
    perpetual = segment is Segment.LINEAR
    return Instrument(
        venue=venue, segment=segment, symbol="BTC/USDT:USDT" if perpetual else "BTC/USDT", base="BTC", quote="USDT",
        settle="USDT" if perpetual else None, tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


def order(what: Instrument, **more: Any) -> Order:
    fields = {
        "client_order_id": "run-1-2", "instrument": what, "side": Side.BUY, "type": OrderType.LIMIT,
        "time_in_force": TimeInForce.IOC, "quantity": D("0.0020"), "price": D("50000.10"), "ts_decision_ns": 1,
    }  # fmt: skip
    return Order(**(fields | more))


def binance(segment: Segment) -> tuple[BinanceTrade, Instrument]:
    clock, what = VirtualClock(NOW_MS * 1_000_000), instrument("binance", segment)
    feed = Feed(venue="binance", segment=segment)
    rest = BinanceRest(feed, HERE, KEYS, VenueHttp("binance", clock), clock)
    return BinanceTrade(feed, "ws://127.0.0.1:1", rest, {what.id: "BTCUSDT"}), what


def bybit(segment: Segment = Segment.LINEAR) -> tuple[BybitTrade, Instrument]:
    clock, what = VirtualClock(NOW_MS * 1_000_000), instrument("bybit", segment)
    rest = BybitRest(HERE, KEYS, VenueHttp("bybit", clock), clock)
    return BybitTrade("ws://127.0.0.1:1/v5/trade", rest, {what.id: "BTCUSDT"}), what


def test_an_order_for_binance_letter_by_letter() -> None:
    protocol, what = binance(Segment.SPOT)
    request = protocol.order("7", order(what))
    assert request is not None
    text = (
        f"apiKey={KEY}&newClientOrderId=run-1-2&newOrderRespType=ACK&price=50000.10&quantity=0.0020&recvWindow=1000"
        f"&side=BUY&symbol=BTCUSDT&timeInForce=IOC&timestamp={NOW_MS}&type=LIMIT"
    )
    assert json.loads(request.text) == {
        "id": "7",
        "method": "order.place",
        "params": {
            "apiKey": KEY, "newClientOrderId": "run-1-2", "newOrderRespType": "ACK", "price": "50000.10",
            "quantity": "0.0020", "recvWindow": 1000, "side": "BUY", "symbol": "BTCUSDT", "timeInForce": "IOC",
            "timestamp": NOW_MS, "type": "LIMIT",
            "signature": hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest(),
        },
    }  # fmt: skip
    assert request.cost == {
        "spot weight 1M": 1, "spot requests 5M": 1, "spot orders 10S": 1, "spot orders 1D": 1
    }  # fmt: skip


@pytest.mark.parametrize("segment", [Segment.SPOT, Segment.LINEAR])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"time_in_force": TimeInForce.POST_ONLY},
        {"type": OrderType.MARKET, "price": None},
        {"side": Side.SELL, "reduce_only": True},
    ],
    ids=["limit", "post-only", "market", "reduce-only"],
)
async def test_orders_and_cancels_are_signed_as_python_binance_signs_them(
    segment: Segment, more: dict[str, Any]
) -> None:
    protocol, what = binance(segment)
    client = AsyncClient(KEY, SECRET)
    sign = client._generate_ws_api_signature if segment is Segment.SPOT else client._generate_signature
    for request in (protocol.order("7", order(what, **more)), protocol.cancel("8", order(what, **more))):
        assert request is not None
        params = json.loads(request.text)["params"]
        ours = params.pop("signature")
        assert client._sign_ws_params(dict(params), sign)["signature"] == ours
    await client.close_connection()


def test_a_cancel_for_binance_names_the_order_by_our_id() -> None:
    protocol, what = binance(Segment.LINEAR)
    request = protocol.cancel("8", order(what))
    assert request is not None
    sent = json.loads(request.text)
    assert (sent["id"], sent["method"]) == ("8", "order.cancel")
    named = {name: sent["params"][name] for name in ("symbol", "origClientOrderId", "recvWindow")}
    assert named == {"symbol": "BTCUSDT", "origClientOrderId": "run-1-2", "recvWindow": 5000}
    assert request.cost == {"linear weight 1M": 1}


def test_binance_has_no_login_for_keys_of_this_kind() -> None:
    assert binance(Segment.SPOT)[0].login("1") is None


def test_an_order_for_bybit_letter_by_letter() -> None:
    protocol, what = bybit()
    request = protocol.order("7", order(what))
    assert request is not None
    assert json.loads(request.text) == {
        "reqId": "7",
        "header": {"X-BAPI-TIMESTAMP": str(NOW_MS), "X-BAPI-RECV-WINDOW": "1000"},
        "op": "order.create",
        "args": [
            {
                "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.0020",
                "timeInForce": "IOC", "orderLinkId": "run-1-2", "price": "50000.10",
            }
        ],
    }  # fmt: skip
    assert request.cost == {"address 5s": 1, "order linear": 1}


def test_a_cancel_for_bybit_names_the_order_by_our_id() -> None:
    protocol, what = bybit(Segment.SPOT)
    request = protocol.cancel("8", order(what))
    assert request is not None
    sent = json.loads(request.text)
    assert (sent["reqId"], sent["op"], sent["header"]["X-BAPI-RECV-WINDOW"]) == ("8", "order.cancel", "5000")
    assert sent["args"] == [{"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "run-1-2"}]
    assert request.cost == {"address 5s": 1, "cancel spot": 1}


def test_the_login_for_bybit_is_signed_as_pybit_signs_it() -> None:
    text = bybit()[0].login("1")
    assert text is not None
    sent = json.loads(text)
    key, expires, ours = sent["args"]
    assert (sent["op"], key, expires) == ("auth", KEY, NOW_MS + 10_000)
    assert generate_signature(False, SECRET, f"GET/realtime{expires}") == ours


@pytest.mark.parametrize("segment", [Segment.SPOT, Segment.LINEAR])
def test_an_order_at_a_market_that_is_not_ours_is_not_spelled(segment: Segment) -> None:
    for protocol, _ in (binance(segment), bybit(segment)):
        other = instrument("elsewhere", segment)
        assert protocol.order("7", order(other)) is None
        assert protocol.cancel("7", order(other)) is None


# What comes back


def test_an_answer_of_binance_is_read_as_the_same_over_rest() -> None:
    protocol, _ = binance(Segment.LINEAR)
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 12},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 3},
    ]
    reply = protocol.read(json.dumps({"id": "7", "status": 200, "result": {}, "rateLimits": limits}).encode())
    assert (reply.number, reply.ends) == ("7", "")
    assert reply.answer is not None
    assert reply.answer.headers == {"X-MBX-USED-WEIGHT-1M": "12", "X-MBX-ORDER-COUNT-10S": "3"}
    assert protocol.judge({}, reply.answer) is None


def test_an_answer_of_binance_that_names_the_end_of_a_ban() -> None:
    protocol, _ = binance(Segment.SPOT)
    error = {"code": -1003, "msg": "banned", "data": {"serverTime": NOW_MS, "retryAfter": NOW_MS + 61_001}}
    reply = protocol.read(json.dumps({"id": "7", "status": 418, "error": error}).encode())
    assert reply.answer is not None
    assert reply.answer.headers == {"Retry-After": "62"}
    judged = protocol.judge({}, reply.answer)
    assert judged is not None
    assert judged.retry_after_s == 62.0


@pytest.mark.parametrize("details", [{"retryAfter": NOW_MS + 61_001}, {"serverTime": 0, "retryAfter": NOW_MS}])
def test_an_end_of_a_ban_without_the_time_that_it_is_told_at_names_none(details: dict[str, int]) -> None:
    protocol, _ = binance(Segment.SPOT)
    error = {"code": -1003, "msg": "banned", "data": details}
    reply = protocol.read(json.dumps({"id": "7", "status": 418, "error": error}).encode())
    assert reply.answer is not None
    judged = protocol.judge({}, reply.answer)
    assert isinstance(judged, Banned)
    assert judged.retry_after_s is None, "and not all the time since 1970"


def test_a_number_may_come_back_as_one() -> None:
    assert binance(Segment.SPOT)[0].read(b'{"id":7,"status":200,"result":{}}').number == "7"


@pytest.mark.parametrize("text", [b"", b"x", b"[]", b"3", b"null", b'{"status":"many"}', b'{"error":3}'])
def test_what_binance_cannot_have_meant_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedPayload):
        binance(Segment.SPOT)[0].read(text)


@pytest.mark.parametrize("text", [b"", b"x", b"[]", b"3", b"null", b'{"retCode":"many"}', b'{"reqId":{}}'])
def test_what_bybit_cannot_have_meant_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedPayload):
        bybit()[0].read(text)


def test_a_pong_of_bybit_answers_nothing() -> None:
    reply = bybit()[0].read(b'{"op":"pong","retCode":0,"args":["1"],"connId":"c"}')
    assert (reply.number, reply.answer) == (None, None)


def test_a_login_that_is_answered_without_a_number_is_that_of_the_last_one() -> None:
    protocol, _ = bybit()
    protocol.login("1")
    assert protocol.read(b'{"op":"auth","retCode":0,"retMsg":"OK","connId":"c"}').number == "1"


@pytest.mark.parametrize("url", ["wss://ws-api.binance.com", "ws://10.0.0.1", "wss://127.0.0.1.nip.io"])
def test_only_where_the_key_belongs_is_signed_for(url: str) -> None:
    protocol, what = binance(Segment.SPOT)
    with pytest.raises(SettingsError):
        BinanceTrade(what.feed, url, protocol._rest, {})
    with pytest.raises(SettingsError):
        BybitTrade(url, bybit()[0]._rest, {})
