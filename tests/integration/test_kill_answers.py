"""What a venue may answer in an emergency: a clock that it does not like, "wait", a ban, garbage, nothing at all."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.clock import SystemClock
from exchanges.binance.emergency import BinanceEmergency
from exchanges.bybit.emergency import BybitEmergency
from exchanges.common.requests import emergency
from exchanges.common.requests.emergency import Account, Emergency
from exchanges.kraken.emergency import KrakenEmergency
from modes.kill_venue import Outcome, Silencer

Answer = tuple[int, dict[str, str], str]
OPEN = ("GET", "/fapi/v1/openOrders")
CANCEL = ("DELETE", "/fapi/v1/allOpenOrders")
TIME = ("GET", "/fapi/v1/time")
POSITIONS = ("GET", "/fapi/v3/positionRisk")
OK: dict[tuple[str, str], Answer] = {
    OPEN: (200, {}, "[]"), CANCEL: (200, {}, '{"code": 200, "msg": "done"}'), POSITIONS: (200, {}, "[]"),
    ("GET", "/v5/order/realtime"): (200, {}, '{"retCode": 0, "retMsg": "", "result": {"list": []}}'),
    ("POST", "/v5/order/cancel-all"): (200, {}, '{"retCode": 0, "retMsg": "", "result": {"list": []}}'),
    ("GET", "/v5/position/list"): (200, {}, '{"retCode": 0, "retMsg": "", "result": {"list": []}}'),
    ("GET", "/v5/market/time"): (200, {}, '{"retCode": 0, "retMsg": "", "result": {"timeSecond": "1900000000"}}'),
}  # fmt: skip


@dataclass
class Venue:
    """Answers as `says` does, and keeps what it was asked."""

    says: Callable[[tuple[str, str], "Venue"], Answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)
    port: int = 0

    def count(self, what: tuple[str, str]) -> int:
        return self.asked.count(what)


@contextmanager
def served(says: Callable[[tuple[str, str], Venue], Answer]) -> Iterator[Venue]:
    venue = Venue(says)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            what = (self.command, parts.path)
            venue.asked.append(what)
            told = parse_qs(parts.query).get("timestamp") or [self.headers.get("X-BAPI-TIMESTAMP") or ""]
            venue.stamps.append(told[0])
            status, headers, text = venue.says(what, venue)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    venue.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield venue
    finally:
        server.shutdown()
        server.server_close()


def silenced(venue: Venue, name: str = "binance") -> Outcome:
    account = Account(
        venue=name, market="testnet", rest_urls={"linear": f"http://127.0.0.1:{venue.port}"},
        symbols={"linear": ["BTCUSDT"]}, settles=["USDT"], key="key", secret="c2VjcmV0",
    )  # fmt: skip
    clock = SystemClock()
    kinds: dict[str, Callable[..., Emergency]] = {
        "binance": BinanceEmergency, "bybit": BybitEmergency, "kraken": KrakenEmergency,
    }  # fmt: skip
    now_ns = clock.monotonic_ns()
    return Silencer(kinds[name](account, clock), clock, now_ns, now_ns).run(flatten=False)


def test_a_clock_that_the_venue_does_not_like_is_set_right() -> None:
    venue_ms = 1_900_000_000_000

    def says(what: tuple[str, str], venue: Venue) -> Answer:
        if what == TIME:
            return 200, {}, json.dumps({"serverTime": venue_ms})
        if abs(int(venue.stamps[-1]) - venue_ms) > 60_000:
            return 400, {}, '{"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}'
        return OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert outcome.is_silent
    assert venue.count(TIME) >= 1


def test_bybit_says_so_in_its_own_words() -> None:
    def says(what: tuple[str, str], venue: Venue) -> Answer:
        stamp = venue.stamps[-1]
        if stamp and abs(int(stamp) - 1_900_000_000_000) > 60_000:
            return 200, {}, '{"retCode": 10002, "retMsg": "invalid request", "result": {}}'
        return OK[what]

    with served(says) as venue:
        assert silenced(venue, "bybit").is_silent


@pytest.mark.parametrize("status", [429, 418])
def test_a_ban_longer_than_there_is_patience_ends_the_asking(status: int) -> None:
    def says(what: tuple[str, str], venue: Venue) -> Answer:
        return status, {"Retry-After": "600"}, '{"code": -1003, "msg": "Too many requests."}'

    with served(says) as venue:
        outcome = silenced(venue)
    assert not outcome.is_silent
    assert "code -1003" in outcome.trouble
    assert len(venue.asked) == 1, "each more would make the ban longer"


def test_a_short_wait_is_waited() -> None:
    def says(what: tuple[str, str], venue: Venue) -> Answer:
        if what == OPEN and venue.count(OPEN) == 1:
            return 429, {"Retry-After": "1"}, '{"code": -1003, "msg": "Too many requests."}'
        return OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert outcome.is_silent
    assert outcome.silent_s is not None
    assert outcome.silent_s >= 1.0


@pytest.mark.parametrize("wait", ["inf", "-inf", "nan", "1e999", "-1", "soon"])
def test_a_wait_that_is_no_number_of_seconds_does_not_end_the_tries(wait: str) -> None:
    def says(what: tuple[str, str], venue: Venue) -> Answer:
        if what == OPEN and venue.count(OPEN) == 1:
            return 429, {"Retry-After": wait}, '{"code": -1003, "msg": "Too many requests."}'
        return OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert outcome.is_silent


@pytest.mark.parametrize("text", ["", "<html>maintenance</html>", "null", '{"code": "x"}', "[1]", '[{"symbol": "B"}]'])
def test_what_is_not_understood_confirms_nothing(text: str) -> None:
    def says(what: tuple[str, str], venue: Venue) -> Answer:
        return (200, {}, text) if what == OPEN and venue.count(OPEN) < 3 else OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert venue.count(OPEN) == 3, "only an answer that is understood is one"
    assert outcome.is_silent


@pytest.mark.parametrize("result", ["null", "{}", '{"list": null}', '{"list": {}}'])
def test_bybits_answer_without_a_list_does_not_mean_that_nothing_is_open(result: str) -> None:
    asked = ("GET", "/v5/order/realtime")

    def says(what: tuple[str, str], venue: Venue) -> Answer:
        return (
            (200, {}, f'{{"retCode": 0, "result": {result}}}') if what == asked and venue.count(asked) < 3 else OK[what]
        )

    with served(says) as venue:
        outcome = silenced(venue, "bybit")
    assert venue.count(asked) == 3
    assert outcome.is_silent


def test_krakens_answer_without_orders_does_not_mean_that_nothing_is_open() -> None:
    asked = ("POST", "/0/private/OpenOrders")

    def says(what: tuple[str, str], venue: Venue) -> Answer:
        if what == asked:
            return 200, {}, '{"error": []}' if venue.count(asked) < 3 else '{"error": [], "result": {"open": {}}}'
        return 200, {}, '{"error": [], "result": {"count": 0}}'

    with served(says) as venue:
        outcome = silenced(venue, "kraken")
    assert venue.count(asked) == 3
    assert outcome.is_silent


@pytest.mark.parametrize("head", ["", "Connection: close\r\n"])
def test_an_answer_that_comes_in_drops_is_cut_off(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emergency, "_LONGEST_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        drops = threading.Thread(target=_dripping, args=(server, head), daemon=True)
        drops.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        account = Account("binance", "testnet", {"linear": url}, {"linear": ["BTCUSDT"]}, key="key", secret="secret")
        with pytest.raises(emergency.Unanswered):
            BinanceEmergency(account, SystemClock()).open_orders()
        drops.join(60.0)
        assert not drops.is_alive(), "the answer would have gone on"


def _dripping(server: socket.socket, head: str) -> None:
    """Answer one request with a blank every tenth of a second, until nobody takes it any more."""
    pace = threading.Event()
    connected, _ = server.accept()
    with connected, suppress(OSError):
        connected.recv(65_536)
        connected.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n{head}\r\n[".encode())
        while True:
            pace.wait(0.1)
            connected.sendall(b" ")


def test_an_order_that_stays_open_is_named() -> None:
    row = {"symbol": "ETHUSDT", "orderId": 7, "clientOrderId": "mine"}

    def says(what: tuple[str, str], venue: Venue) -> Answer:
        return (200, {}, json.dumps([row])) if what == OPEN else OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert not outcome.is_silent
    assert outcome.open_orders is not None
    assert [(order.symbol, order.client_order_id) for order in outcome.open_orders] == [("ETHUSDT", "mine")]
    # Of its own symbol and of the one that nobody traded here; and no more rounds than a venue would stand.
    assert 3 <= venue.count(OPEN) <= 12
    assert venue.count(CANCEL) == 2 * venue.count(OPEN) - 1


def test_what_it_held_is_told_although_the_first_answer_was_lost() -> None:
    held = [{"symbol": "BTCUSDT", "positionAmt": "-0.02"}, {"symbol": "ETHUSDT", "positionAmt": "0.000"}]

    def says(what: tuple[str, str], venue: Venue) -> Answer:
        if what == POSITIONS:
            return (503, {}, "") if venue.count(POSITIONS) == 1 else (200, {}, json.dumps(held))
        return OK[what]

    with served(says) as venue:
        outcome = silenced(venue)
    assert outcome.is_silent
    assert outcome.positions is not None
    assert [(one.symbol, str(one.quantity)) for one in outcome.positions] == [("BTCUSDT", "-0.02")]
