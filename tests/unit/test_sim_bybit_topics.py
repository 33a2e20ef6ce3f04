"""Public topics of the simulated Bybit, stepped by hand: what is pushed, and when."""

import itertools
import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.hub import Hub
from exchanges.simulator.bybit.mirror import Mirror, Side, difference
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.public_socket import PublicSocket
from exchanges.simulator.bybit.tape import Tape, merged
from exchanges.simulator.bybit.wire import frame
from exchanges.simulator.core.values import BookChanged, TradePrinted
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

START_NS = 1_790_000_000 * 10**9
MS = 10**6
SECOND = 10**9
MINUTE = 60 * SECOND


class Transport:
    """Keeps what is written; `unread` bytes are in its buffer."""

    def __init__(self):
        self.written, self.unread, self.is_aborted = [], 0, False

    def is_closing(self):
        return self.is_aborted

    def get_write_buffer_size(self):
        return self.unread

    def write(self, data):
        self.written.append(data)

    def abort(self):
        self.is_aborted = True


def payload(data):
    start = {126: 4, 127: 10}.get(data[1], 2)
    return data[start:].decode()


class Bench:
    """A public socket on a real market whose time stands still unless it is stepped."""

    def __init__(self, category="linear", **options):
        self.clock = VirtualClock(START_NS)
        self.market = SimulatedMarket(default_listings("bybit"), seed=5, start_ns=START_NS)
        exchange = SimulatedExchange("bybit", self.market)
        self.pump = Pump([exchange], self.market, start_ns=START_NS)
        self.options = BybitOptions(**options)
        self.catalogue = Catalogue("bybit", self.market.listings)
        self.step(SECOND)
        self.hub = Hub(exchange, self.catalogue, self.clock, self.options)
        self.category = category
        self.transport, self.socket = self.join()

    def join(self):
        transport = Transport()
        connection = Connection(transport, "c", self.options.max_unsent)
        return transport, PublicSocket(self.category, connection, self.hub, self.catalogue, self.options)

    def subscribe(self, *topics):
        self.socket.on_message({"op": "subscribe", "args": list(topics)})

    def step(self, step_ns, timers=True):
        self.pump.advance_to(self.pump.now_ns() + step_ns)
        if timers:
            self.clock.advance_to(self.pump.now_ns())

    def messages(self, topic):
        texts = [payload(data) for data in self.transport.written]
        return [json.loads(text) for text in texts if f'"topic":"{topic}' in text]


TOPICS = ("orderbook.1.BTCUSDT", "orderbook.50.ETHUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_the_same_market_gives_the_same_frames_however_it_is_stepped(category):
    written = []
    for step_ns in (7 * MS, 250 * MS):
        bench = Bench(category)
        bench.subscribe(*TOPICS)
        for _ in range(3_500 * MS // step_ns):
            bench.step(step_ns, timers=False)
        written.append(bench.transport.written)
    assert len(written[0]) > 100
    assert written[0] == written[1]


def test_two_listeners_get_the_same_bytes():
    bench = Bench()
    bench.subscribe("orderbook.1.BTCUSDT")
    other, second = bench.join()
    second.on_message({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
    bench.step(SECOND)
    ours, theirs = bench.transport.written[2:], other.written[2:]
    assert len(ours) > 5
    assert all(one is two for one, two in zip(ours, theirs, strict=True))


def test_the_best_price_is_pushed_at_most_every_ten_ms_and_at_once_after_a_pause():
    bench = Bench()
    bench.subscribe("orderbook.1.BTCUSDT")
    bench.step(5 * SECOND)
    times = [message["ts"] for message in bench.messages("orderbook.1.")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 9  # ms are cut off, ns keep 10
    assert {message["type"] for message in bench.messages("orderbook.1.")} == {"snapshot"}


def test_the_best_price_is_said_again_after_three_seconds_with_the_same_number():
    bench = Bench()
    bench.subscribe("orderbook.1.BTCUSDT")
    # The market stands still; only timers go on.
    bench.clock.advance_to(bench.clock.now_ns() + 7 * SECOND)
    first, second, third = bench.messages("orderbook.1.")
    assert first["data"] == second["data"] == third["data"]
    assert [second["ts"] - first["ts"], third["ts"] - second["ts"]] == [3_000, 3_000]


def test_deeper_topics_keep_their_intervals_and_number_without_gaps():
    bench = Bench()
    bench.subscribe("orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT")
    bench.step(5 * SECOND)
    for depth, interval_ms in ((50, 20), (200, 100)):
        messages = bench.messages(f"orderbook.{depth}.")
        assert [message["type"] for message in messages[:3]] == ["snapshot", "delta", "delta"]
        numbers = [message["data"]["u"] for message in messages]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        times = [message["ts"] for message in messages]
        assert min(later - earlier for earlier, later in itertools.pairwise(times[1:])) >= interval_ms - 1


def test_linear_tickers_are_partial_after_the_first_and_add_up():
    bench = Bench()
    bench.subscribe("tickers.BTCUSDT")
    bench.step(3 * SECOND)
    first, *rest = bench.messages("tickers.")
    state = dict(first["data"])
    assert rest
    for message in rest:
        assert message["type"] == "delta"
        assert len(message["data"]) < len(first["data"])
        state |= message["data"]
    bids, asks = bench.market.levels(bench.catalogue.find("linear", "BTCUSDT").index, 1)
    grid = bench.catalogue.find("linear", "BTCUSDT").grid
    bench.step(SECOND)
    assert set(state) == set(first["data"])
    assert state["markPrice"] != ""
    assert grid.price(bids[0][0]) < grid.price(asks[0][0])


def test_a_slow_reader_is_cut_and_the_others_go_on():
    bench = Bench(max_unsent=10_000)
    bench.subscribe("orderbook.1.BTCUSDT")
    slow, second = bench.join()
    second.on_message({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
    slow.unread = 9_999
    before = len(bench.transport.written)
    bench.step(SECOND)
    assert slow.is_aborted
    assert len(bench.transport.written) > before


def test_nothing_comes_after_unsubscribing_or_leaving():
    bench = Bench()
    bench.subscribe("orderbook.1.BTCUSDT", "publicTrade.BTCUSDT")
    bench.socket.on_message({"op": "unsubscribe", "args": ["orderbook.1.BTCUSDT"]})
    bench.socket.close()
    before = len(bench.transport.written)
    bench.step(10 * SECOND)
    assert len(bench.transport.written) == before


LEVELS = st.lists(st.tuples(st.integers(90, 110), st.integers(0, 5)), max_size=8)


@given(st.lists(LEVELS, max_size=20))
def test_a_side_is_what_a_dictionary_says(changes):
    for sign, is_bid in ((-1, True), (1, False)):
        side, plain = Side(sign, ()), {}
        for levels in changes:
            side.apply(tuple(levels))
            for ticks, lots in levels:
                plain[ticks] = lots
                if not lots:
                    del plain[ticks]
        expected = sorted(plain.items(), reverse=is_bid)
        assert list(side.best(100)) == expected
        assert list(side.best(3)) == expected[:3]


@given(LEVELS, LEVELS)
def test_a_difference_turns_the_old_into_the_new(old, new):
    before = tuple({ticks: lots + 1 for ticks, lots in old}.items())
    after = tuple({ticks: lots + 1 for ticks, lots in new}.items())
    state = dict(before)
    for ticks, lots in difference(before, after):
        state[ticks] = lots
        if not lots:
            del state[ticks]
    assert state == dict(after)
    assert difference(after, after) == ()


def test_a_mirror_follows_a_change():
    mirror = Mirror((((10, 1),), ((12, 1),)), 7, 0)
    mirror.apply(BookChanged(0, 5, 8, 9, 7, ((11, 3), (10, 0)), (), True))
    assert mirror.best(5) == (((11, 3),), ((12, 1),))
    assert (mirror.seq, mirror.cts_ns) == (9, 5)


def trade(ticks, lots, ts_ns):
    return TradePrinted(0, ts_ns, 1, ticks, lots, False)


def test_a_tape_tells_directions_and_forgets_after_a_day():
    tape = Tape(100, 0)
    assert [tape.add(trade(ticks, 1, 0)) for ticks in (101, 101, 99, 99)] == [
        "PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick",
    ]  # fmt: skip
    assert (tape.high, tape.low, tape.lots, tape.turnover) == (101, 99, 4, 400)
    tape.add(trade(105, 2, 1439 * MINUTE))
    assert (tape.high, tape.low, tape.lots) == (105, 99, 6)
    tape.add(trade(104, 1, 1440 * MINUTE))
    assert (tape.high, tape.low, tape.lots, tape.turnover) == (105, 99, 3, 314)
    assert (tape.last, tape.hour_ago, tape.day_ago) == (104, 99, 99)


def test_candles_merge_into_longer_ones():
    tape = Tape(100, 0)
    for minute, ticks in ((0, 101), (3, 90), (4, 95), (5, 96)):
        tape.add(trade(ticks, 2, minute * MINUTE))
    five = merged(tape.candles, 5)
    assert [(one.minute, one.open, one.high, one.low, one.close, one.lots) for one in five] == [
        (0, 100, 101, 90, 95, 6), (5, 95, 96, 95, 96, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_carry_their_length(size):
    text = "x" * size
    data = frame(text)
    counts = defaultdict(int)
    for byte in data[:2]:
        counts[byte] += 1
    assert data[0] == 0x81
    assert payload(data) == text
    assert len(data) - size == (2 if size < 126 else 4 if size < 65_536 else 10)
