"""What faults make of single frames, without a socket."""

import json
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_binance import BinanceFrames
from exchanges.simulator.faults.frame_bybit import BybitFrames
from exchanges.simulator.faults.frame_codec import CLOSE, PONG, TEXT, closing, decoded, encoded
from exchanges.simulator.faults.frame_dialect import Dialect, Label
from exchanges.simulator.faults.frames import FrameFaults
from exchanges.simulator.faults.values import Fault

BINANCE, BYBIT = BinanceFrames(lambda: 1_753_000_000_123), BybitFrames(lambda: 1_753_000_000_123)
PUBLIC = Label(Segment.LINEAR, "public")
ACKS = {
    "binance": [
        '{"result":null,"id":1}',
        '{"error":{"code":2,"msg":"no"},"id":1}',
        '{"id":"7","status":200,"result":{}}',
    ],
    "bybit": [
        '{"success":true,"ret_msg":"","conn_id":"c","req_id":"1","op":"subscribe"}',
        '{"req_id":"","op":"pong","args":["1"],"conn_id":"c"}',
        '{"reqId":"1","retCode":0,"op":"order.create","data":{"orderId":"1"}}',
    ],
}  # fmt: skip


class Pipe:
    """Collects what goes out, as a connection does."""

    def __init__(self) -> None:
        self.tamper: Any = None
        self.out = b""
        self.ended: list[object] = []

    def push(self, text: str) -> None:
        self.send(encoded(TEXT, text.encode()))

    def send(self, frame: bytes) -> None:
        self.out += frame if self.tamper is None else self.tamper(frame)

    def force(self, frame: bytes) -> None:
        self.out += frame

    def close(self, code: int, reason: str) -> None:
        self.send(closing(code, reason))
        self.ended.append(code)

    def cut(self) -> None:
        self.ended.append("cut")

    def frames(self) -> list[tuple[int, bytes]]:
        """What went out since the last call."""
        found, left = [], self.out
        while left:
            head = {126: 4, 127: 10}.get(left[1], 2)
            size = left[1] if head == 2 else int.from_bytes(left[2:head], "big")
            found.append(decoded(left[: head + size]))
            left = left[head + size :]
        self.out = b""
        return found

    def texts(self) -> list[str]:
        return [payload.decode() for opcode, payload in self.frames() if opcode == TEXT]


class World:
    def __init__(self, dialect: Dialect = BINANCE, label: Label = PUBLIC) -> None:
        self.clock = VirtualClock()
        self.desk = FaultDesk(self.clock)
        self.faults = FrameFaults(self.desk, dialect)
        self.venue = dialect.venue
        self.pipe = self.open(label)

    def open(self, label: Label) -> Pipe:
        pipe = Pipe()
        self.faults.opened(pipe, label)
        return pipe

    def order(self, kind: FaultKind, **fields: Any) -> int:
        return self.desk.order(Fault(fault=kind, venue=self.venue, **fields))

    def struck(self) -> int:
        assert not any(one.error for one in self.desk.orders)
        return sum(one.struck for one in self.desk.orders)


def ticker(number: int, symbol: str = "btcusdt") -> str:
    return (
        f'{{"stream":"{symbol}@bookTicker","data":{{"e":"bookTicker","u":{number},"s":"X","b":"1.10","B":"2.000",'
        f'"a":"1.20","A":"3.000"}}}}'
    )


def ids(texts: list[str]) -> list[int]:
    return [json.loads(text)["data"]["u"] for text in texts]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_comes_back_as_it_was(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    assert decoded(encoded(PONG, payload[:size])) == (PONG, payload[:size])


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (FaultKind.GAP, [1, 2, 4, 5, 7]),
        (FaultKind.DUPLICATE, [1, 2, 3, 3, 4, 5, 6, 6, 7]),
        (FaultKind.REORDER, [1, 2, 4, 3, 5, 7, 6]),
        (FaultKind.NO_DATA, []),
        (FaultKind.SILENCE, []),
    ],
)
def test_every_third_frame_of_each_connection(kind: FaultKind, seen: list[int]) -> None:
    world = World()
    other = world.open(PUBLIC)
    takes_amount = kind not in (FaultKind.NO_DATA, FaultKind.SILENCE)
    world.order(kind, **({"amount": 3} if takes_amount else {}))
    for number in range(1, 8):
        world.pipe.push(ticker(number))
        other.push(ticker(number))
    assert ids(world.pipe.texts()) == ids(other.texts()) == seen


def test_a_frame_is_held_back_behind_the_next_of_its_own_stream() -> None:
    world = World()
    world.order(FaultKind.REORDER, amount=1, count=1, for_s=60)
    for number, symbol in enumerate(("btcusdt", "ethusdt", "btcusdt", "btcusdt")):
        world.pipe.push(ticker(number, symbol))
    assert ids(world.pipe.texts()) == [1, 2, 0, 3]
    assert world.pipe.tamper is None, "what was held back has come and the fault is over"


def test_private_events_are_held_back_behind_the_next_of_any_kind() -> None:
    world = World(label=Label(Segment.LINEAR, "private"))
    world.order(FaultKind.REORDER, amount=1, count=1, for_s=60)
    for kind in ("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"):
        world.pipe.push(f'{{"e":"{kind}"}}')
    assert [json.loads(text)["e"] for text in world.pipe.texts()] == ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]


@pytest.mark.parametrize("dialect", [BINANCE, BYBIT], ids=["binance", "bybit"])
def test_only_silence_keeps_answers_back(dialect: Dialect) -> None:
    world = World(dialect)
    for kind in (FaultKind.NO_DATA, FaultKind.GAP, FaultKind.TRUNCATED, FaultKind.NOT_A_NUMBER, FaultKind.DUPLICATE):
        world.order(kind, **({"amount": 1} if kind in (FaultKind.GAP, FaultKind.DUPLICATE) else {}))
    for text in ACKS[dialect.venue]:
        world.pipe.push(text)
    world.pipe.send(encoded(PONG, b"\xff"))
    assert world.pipe.frames() == [*((TEXT, text.encode()) for text in ACKS[dialect.venue]), (PONG, b"\xff")]
    assert world.struck() == 0
    world.order(FaultKind.SILENCE)
    for text in ACKS[dialect.venue]:
        world.pipe.push(text)
    world.pipe.send(encoded(PONG, b"\xff"))
    assert world.pipe.frames() == []
    world.pipe.close(1001, "")
    assert world.pipe.frames() == [(CLOSE, b"\x03\xe9")]


def test_faults_of_one_frame_add_up() -> None:
    world = World()
    world.order(FaultKind.NOT_A_NUMBER)
    world.order(FaultKind.TRUNCATED)
    world.order(FaultKind.DUPLICATE, amount=1)
    # Longer at its end, so that a figure is in the first half.
    world.pipe.push(ticker(1)[:-2] + f',"ps":"{"X" * 40}"}}}}')
    first, second = world.pipe.texts()
    assert first == second
    assert '"b":"NaN"' in first
    with pytest.raises(json.JSONDecodeError):
        json.loads(first)


ORDER_UPDATE = (
    '{"e":"ORDER_TRADE_UPDATE","E":1,"T":2,"o":{"s":"BTCUSDT","c":"12345","S":"BUY","q":"0.010","p":"61800.10",'
    '"i":8,"l":"0.010","L":"61800.10","t":3,"m":false}}'
)
EXECUTION = (
    '{"id":"1","topic":"execution","creationTime":5,"data":[{"symbol":"BTCUSDT","orderId":"123","orderLinkId":"456",'
    '"execId":"789","execPrice":"61800.1","execQty":"0.01","execTime":"1753000000123","side":"Buy","isMaker":false}]}'
)
TRADES = (
    '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"T":1,"s":"BTCUSDT","S":"Buy","v":"0.010",'
    '"p":"61800.10","L":"PlusTick","i":"123","seq":9}]}'
)


@pytest.mark.parametrize(
    ("dialect", "frame", "spoiled"),
    [
        (BINANCE, ORDER_UPDATE, ORDER_UPDATE.replace('"0.010"', '"NaN"').replace('"61800.10"', '"NaN"')),
        (BYBIT, EXECUTION, EXECUTION.replace('"0.01"', '"NaN"').replace('"61800.1"', '"NaN"')),
        (BYBIT, TRADES, TRADES.replace('"0.010"', '"NaN"').replace('"61800.10"', '"NaN"')),
    ],
)
def test_ids_and_times_of_digits_are_no_figures(dialect: Dialect, frame: str, spoiled: str) -> None:
    world = World(dialect)
    world.order(FaultKind.NOT_A_NUMBER)
    world.pipe.push(frame)
    assert world.pipe.texts() == [spoiled]


def test_what_has_no_figures_is_not_struck() -> None:
    world = World(BYBIT)
    world.order(FaultKind.EMPTY_FIELD)
    world.order(FaultKind.CROSSED)
    text = '{"topic":"orderbook.1.BTCUSDT","type":"snapshot","data":{"s":"BTCUSDT","b":[],"a":[],"u":1,"seq":1},"ts":1}'
    world.pipe.push(text)
    assert world.pipe.texts() == [text]
    assert world.struck() == 0


def test_the_same_frames_go_out_before_and_after() -> None:
    world = World()
    sent = [ticker(number) for number in range(3)]
    world.pipe.push(sent[0])
    number = world.order(FaultKind.CROSSED)
    world.pipe.push(sent[1])
    world.desk.end(number)
    world.pipe.push(sent[2])
    first, second, third = world.pipe.texts()
    assert (first, third) == (sent[0], sent[2])
    assert second == sent[1].replace("1.10", "x").replace("1.20", "1.10").replace("x", "1.20")


def test_whole_connections_are_struck_by_venue_segment_and_channel() -> None:
    world = World()
    spot = world.open(Label(Segment.SPOT, "public"))
    api = world.open(Label(Segment.LINEAR, "ws-api"))
    world.order(FaultKind.CUT, segment=Segment.LINEAR, match="ws-api")
    world.desk.order(Fault(fault=FaultKind.CUT, venue="bybit"))
    assert (world.pipe.ended, spot.ended, api.ended) == ([], [], ["cut"])
    world.faults.closed(api)
    world.order(FaultKind.DAY_CUT)
    assert (world.pipe.ended, spot.ended, api.ended) == ([1000], [1000], ["cut"])
    assert world.pipe.texts() == []
    assert [json.loads(text)["e"] for text in spot.texts()] == ["serverShutdown"]


@pytest.mark.parametrize("dialect", [BINANCE, BYBIT], ids=["binance", "bybit"])
@pytest.mark.parametrize("size", [500, 501, 10_000, 1_000_003])
def test_an_oversized_payload_is_json_of_exactly_that_size(dialect: Dialect, size: int) -> None:
    text = dialect.oversized(size)
    assert len(text) == size
    assert "OVERSIZED" in json.dumps(json.loads(text))


def test_an_absurd_size_is_bounded() -> None:
    world = World()
    world.order(FaultKind.OVERSIZED, amount=0.001)
    (text,) = world.pipe.texts()
    assert len(text) == 1000
    world.order(FaultKind.OVERSIZED, amount=1e6)
    assert len(world.pipe.out) < 65e6


def test_nothing_is_on_a_connection_where_nothing_can_strike() -> None:
    world = World()
    world.desk.order(Fault(fault=FaultKind.GAP, venue="bybit"))
    world.order(FaultKind.GAP, segment=Segment.SPOT)
    world.order(FaultKind.LATENCY)
    assert world.pipe.tamper is None
    world.order(FaultKind.GAP, for_s=5)
    assert world.pipe.tamper is not None
    assert world.open(PUBLIC).tamper is not None
    world.clock.advance_to(6 * 10**9)
    assert world.pipe.tamper is None
