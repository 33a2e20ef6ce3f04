"""The small parts of the simulated Binance: numbers, limits, listen keys, timers, the mirror of a book, the tape."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance import limits, linear_account, linear_income, linear_orders, public
from exchanges.simulator.binance.desk import Desk
from exchanges.simulator.binance.errors import Rejected
from exchanges.simulator.binance.gateway import Call, Gateway
from exchanges.simulator.binance.hub import Hub
from exchanges.simulator.binance.listen_keys import ListenKeys
from exchanges.simulator.binance.numbers import Steps, plain
from exchanges.simulator.binance.outlet import text_frame
from exchanges.simulator.binance.parameters import Parameters, parse
from exchanges.simulator.binance.signing import without_signature
from exchanges.simulator.binance.tape import MINUTE_NS, Tape
from exchanges.simulator.core.values import TradePrinted
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Heard:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[dict[str, Any]] = []
        self.frames: list[bytes] = []

    def push(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.texts.append(json.loads(frame[frame.index(b"{") :]))


class World:
    """Market, accounts and desk on virtual time."""

    def __init__(self, rate: float = 1.0, start_ns: int = START_NS) -> None:
        self.start_ns = start_ns
        self.clock = VirtualClock(start_ns)
        self.market = SimulatedMarket(
            default_listings("binance"), seed=3, start_ns=start_ns, scenario="calm", rate=rate
        )
        self.exchange = SimulatedExchange("binance", self.market)
        self.pump = Pump([self.exchange], self.market, start_ns=start_ns)
        self.gateway = Gateway(Desk(self.exchange, self.clock))

    def to(self, seconds: float, step_s: float = 0.05) -> None:
        end_ns = self.start_ns + round(seconds * SECOND)
        while self.pump.now_ns() < end_ns:
            self.pump.advance_to(min(end_ns, self.pump.now_ns() + round(step_s * SECOND)))
        self.clock.advance_to(end_ns)

    def call(self, segment: Segment = Segment.LINEAR, **sent: str) -> Call:
        key = self.exchange.credentials.api_key
        return Call(self.gateway, segment, Parameters(sent), key, self.exchange.account(key))


@given(st.integers(0, 10**12), st.sampled_from([("0.01", 8), ("0.1", 2), ("0.001", 3), ("1", 0), ("5", 1)]))
def test_steps_print_what_decimals_would(steps: int, grid: tuple[str, int]) -> None:
    step, digits = Decimal(grid[0]), grid[1]
    assert Steps(step, digits).text(steps) == f"{steps * step:.{digits}f}"


def test_a_step_with_more_digits_than_are_printed_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        Steps(Decimal("0.001"), 2)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_plain_numbers_mean_the_same_and_have_no_exponent(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text


@given(st.text(max_size=300), st.text(max_size=300))
def test_parameters_are_parsed_or_refused(query: str, body: str) -> None:
    try:
        values = parse(query, body)
    except Rejected as error:
        refusal: Rejected | None = error
    else:
        refusal = None
        assert len(values) <= 128
    assert refusal is None or refusal.code == -1101


def test_the_query_wins_and_duplicates_are_refused() -> None:
    assert parse("a=1", "a=2&b=3%204") == {"a": "1", "b": "3 4"}
    with pytest.raises(Rejected, match="Duplicate"):
        parse("a=1&a=2", "")


@given(st.lists(st.sampled_from(["a=1", "b=2", "signature=ff", "mysignature=1"]), max_size=5))
def test_a_signature_is_taken_out_and_nothing_else(parts: list[str]) -> None:
    kept, _ = without_signature("&".join(parts))
    assert kept == "&".join(part for part in parts if part != "signature=ff")


@given(st.binary(max_size=70_000))
def test_frames_tell_their_length(payload: bytes) -> None:
    text = payload.hex()
    frame = text_frame(text)
    size, start = frame[1], 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert frame[0] == 0x81
    assert frame[start:] == text.encode()
    assert size == len(text)


def test_a_ban_ends_and_the_next_is_longer() -> None:
    meter = limits.Meter(limits.Limits(limits.Rate("REQUEST_WEIGHT", "MINUTE", 1, 10), (), patience=1))
    now = START_NS - START_NS % (60 * SECOND)
    meter.charge(10, now)
    statuses, waits = [], []
    for _ in range(3):
        with pytest.raises(Rejected) as refused:
            meter.charge(1, now)
        statuses.append(refused.value.status)
        waits.append(refused.value.retry_after_s)
    assert statuses == [429, 418, 418]
    assert waits == [60, 120, 120]
    now += 121 * SECOND
    meter.charge(10, now)
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            meter.charge(1, now)
    assert refused.value.retry_after_s == 240


def test_a_listen_key_lives_an_hour_from_its_last_sign_of_life() -> None:
    clock, ended = VirtualClock(START_NS), []
    keys = ListenKeys(clock)
    keys.on_end.append(lambda key, expired: ended.append((key, expired)))
    key = keys.open("me")
    clock.advance_to(START_NS + 3599 * SECOND)
    assert keys.open("me") == key
    clock.advance_to(START_NS + 2 * 3599 * SECOND)
    assert keys.keep_alive("me") == key
    assert ended == []
    clock.advance_to(START_NS + (2 * 3599 + 3600) * SECOND)
    assert ended == [(key, True)]
    with pytest.raises(Rejected, match="-1125"):
        keys.keep_alive("me")
    assert keys.open("me") != key


def test_a_countdown_cancels_unless_it_is_renewed() -> None:
    world = World()
    sent = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    linear_orders.new_order(world.call(**sent, price="60000"))
    countdown = {"symbol": "BTCUSDT", "countdownTime": "1000"}
    linear_orders.countdown_cancel_all(world.call(**countdown))
    world.to(0.9)
    linear_orders.countdown_cancel_all(world.call(**countdown))
    world.to(1.8)
    assert len(linear_orders.open_orders(world.call())) == 1
    world.to(2.0)
    assert linear_orders.open_orders(world.call()) == []
    linear_orders.new_order(world.call(**sent, price="60000"))
    linear_orders.countdown_cancel_all(world.call(**countdown))
    linear_orders.countdown_cancel_all(world.call(symbol="BTCUSDT", countdownTime="0"))
    world.to(9.0)
    assert len(linear_orders.open_orders(world.call())) == 1


def test_frames_are_the_same_however_the_time_is_cut() -> None:
    def frames(step_s: float) -> list[bytes]:
        world = World()
        hub, heard = Hub(world.gateway.desk, Segment.LINEAR), Heard()
        for what in ("bookTicker", "depth@100ms", "depth5@250ms", "depth@0ms", "aggTrade", "trade", "markPrice@1s"):
            topic = hub.topic(f"btcusdt@{what}")
            assert topic is not None
            hub.join(topic, heard, combined=True)  # type: ignore[arg-type]
        world.to(3.0, step_s)
        return heard.frames

    fine, coarse = frames(0.001), frames(0.25)
    assert len(fine) > 500
    # The last interval's frames wait for the next event, which is the same in both.
    assert fine == coarse


def test_the_top_is_told_at_every_change_of_a_batch() -> None:
    world = World()
    hub, heard = Hub(world.gateway.desk, Segment.SPOT), Heard()
    topic = hub.topic("btcusdt@bookTicker")
    assert topic is not None
    hub.join(topic, heard, combined=False)  # type: ignore[arg-type]
    world.pump.advance_to(START_NS + 5 * SECOND)
    assert len(heard.texts) > 100
    assert all(float(one["b"]) < float(one["a"]) for one in heard.texts)
    line = world.gateway.desk.line(Segment.SPOT, "BTCUSDT")
    bids, asks = world.market.levels(line.index, 20)
    assert line.mirror.best(20) == (bids, asks)
    assert line.mirror.top() == (bids[0], asks[0])


def test_names_that_binance_does_not_have_are_no_topics() -> None:
    hub = Hub(World().gateway.desk, Segment.LINEAR)
    for name in (
        "btcusdt",
        "BTCUSDT@trade",
        "btcusdt@depth7",
        "btcusdt@depth@1000ms",
        "btcusdt@kline_2m",
        "!trade",
        "x@trade",
    ):
        assert hub.topic(name) is None
    for name in ("btcusdt@depth20@500ms", "!markPrice@arr@1s", "!miniTicker@arr", "!bookTicker", "ethusdt@kline_1h"):
        assert hub.topic(name) is not None


def test_minutes_without_trades_have_candles_at_the_last_price() -> None:
    tape = Tape(100, 0)
    tape.add(TradePrinted(0, 10, 1, 105, 3, buyer_is_maker=False), 0)
    tape.add(TradePrinted(0, 3 * MINUTE_NS, 2, 90, 2, buyer_is_maker=True), 0)
    candles = tape.candles(MINUTE_NS, 4 * MINUTE_NS)
    assert [(one.open, one.high, one.low, one.close, one.volume) for one in candles] == [
        (105, 105, 105, 105, 3), (105, 105, 105, 105, 0), (105, 105, 105, 105, 0), (90, 90, 90, 90, 2),
        (90, 90, 90, 90, 0),
    ]  # fmt: skip
    whole = tape.candles(5 * MINUTE_NS, 4 * MINUTE_NS)[0]
    assert (whole.open, whole.high, whole.low, whole.close, whole.volume, whole.taker_volume) == (
        105,
        105,
        90,
        90,
        5,
        3,
    )


def test_a_transfer_of_the_futures_wallet_is_income() -> None:
    world = World(rate=0.05)
    linear_orders.new_order(world.call(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"))
    kinds = {row["incomeType"] for row in linear_income.income(world.call())}
    assert kinds == {"COMMISSION"}
    account = world.exchange.account(world.exchange.credentials.api_key)
    assert account is not None
    moved = account.move("USDT", Decimal(7), source="linear", target="spot", ts_ns=world.exchange.now_ns())
    assert isinstance(moved, int)
    rows = linear_income.income(world.call(incomeType="TRANSFER"))
    assert [row["income"] for row in rows] == ["-7.00000000"]


FUNDING_NS = 1_700_006_400 * SECOND
"""16:00 UTC: funding settles."""


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_funding_of_a_position_is_income(side: str) -> None:
    world = World(rate=0.01, start_ns=FUNDING_NS - 3 * SECOND)
    linear_orders.new_order(world.call(symbol="BTCUSDT", side=side, type="MARKET", quantity="0.01"))
    before = {row["asset"]: Decimal(str(row["balance"])) for row in linear_account.balance(world.call())}
    assert linear_income.income(world.call(incomeType="FUNDING_FEE")) == []
    world.to(3.5)
    (due,) = public.funding_rates(world.call(symbol="BTCUSDT"))
    (row,) = linear_income.income(world.call(incomeType="FUNDING_FEE"))
    rate, mark = Decimal(str(due["fundingRate"])), Decimal(str(due["markPrice"]))
    # Longs pay where the rate is above zero.
    expected = rate * mark * Decimal("0.01") * (-1 if side == "BUY" else 1)
    assert rate
    assert row["income"] == f"{expected:.8f}"
    assert (row["symbol"], row["asset"], row["time"]) == ("BTCUSDT", "USDT", FUNDING_NS // 1_000_000)
    after = {row["asset"]: Decimal(str(row["balance"])) for row in linear_account.balance(world.call())}
    assert abs(after["USDT"] - before["USDT"] - expected) <= Decimal("1e-8")
    assert linear_income.income(world.call(incomeType="FUNDING_FEE", symbol="ETHUSDT")) == []
