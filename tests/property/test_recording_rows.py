"""Whatever comes when, and however often rows are handed over: each row is archived once, in order, as it came."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.market.window import Window
from bot.ports import FeedState
from bot.recording.fanout import Fanout
from bot.recording.recorder import Recorder
from bot.recording.rows import BLOCK_ROWS, RowBuffer
from bot.storage.archive.channels import Channel
from exchanges.binance import shipped
from tests.unit.recording_memory import MemoryStore

INSTRUMENTS = [
    shipped.INSTRUMENTS[Feed.parse(feed)][symbol]
    for feed, symbol in (("binance.spot", "BTCUSDT"), ("binance.linear", "BTCUSDT"), ("binance.linear", "ETHUSDT"))
]
START_NS = 1_723_161_600_000_000_000


class Slot:
    def __init__(self) -> None:
        self.window = Window(hold_h=2.0)
        self.quote: TopOfBook | None = None
        self.raw: bytes | None = None

    def event_time_ns(self) -> int:
        return 0


class Gatekeeper:
    """As much of an engine as a recorder sees: what is accepted goes into a window, and the rest nowhere."""

    def __init__(self) -> None:
        self.slots = [Slot() for _ in INSTRUMENTS]
        self.accepts = True

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        self.slots[slot].quote = None
        if self.accepts:
            self.slots[slot].window.append(ts_recv_ns, quote)
            self.slots[slot].quote = quote

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


# A step: which instrument, how much later (or earlier), accepted or not, and whether rows are handed over before it.
steps = st.lists(
    st.tuples(
        st.integers(0, len(INSTRUMENTS) - 1),
        st.sampled_from([0, 0, 1, 1_000, 60_000_000_000, -5_000]),
        st.booleans(),
        st.sampled_from([False, False, True]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("beside_an_engine", [True, False])
@settings(deadline=None)  # the first table loads what pyarrow needs for it
@given(steps=steps, loaded=st.integers(0, 3))
def test_every_row_is_archived_once_and_in_order(
    beside_an_engine: bool, steps: list[tuple[int, int, bool, bool]], loaded: int
) -> None:
    store, clock, engine = MemoryStore(), VirtualClock(START_NS), Gatekeeper()
    for number in range(loaded):  # rows of the day before, which are in the archive already
        engine.on_quote(0, quote(number), START_NS, b"")
    recorder = Recorder(store, INSTRUMENTS, clock, engine=engine.slots if beside_an_engine else None)
    recorder.start()
    sink = Fanout(engine, recorder) if beside_an_engine else recorder
    expected: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    newest_ns: defaultdict[object, int] = defaultdict(int)
    ts_ns = START_NS
    for sequence, (slot, later_ns, engine.accepts, hand_over) in enumerate(steps, start=100):
        if hand_over:
            recorder.flush()
        ts_ns += later_ns
        sink.on_quote(slot, quote(sequence), ts_ns, b"")
        ordered = slot if beside_an_engine else INSTRUMENTS[slot].feed
        newest_ns[ordered] = max(newest_ns[ordered], ts_ns, START_NS if beside_an_engine and loaded and not slot else 0)
        expected[slot].append((newest_ns[ordered], sequence))
    assert recorder.close() == 0
    for slot, instrument in enumerate(INSTRUMENTS):
        rows = store.of(Channel.QUOTES, instrument.id)
        assert [(row["ts_recv_ns"], row["sequence"]) for row in rows] == expected[slot]
        assert [row["bid_qty"] for row in rows] == [float(sequence) for _, sequence in expected[slot]]
    received = sum(recorder.received(feed) for feed in recorder.directory.slots_of)
    assert received == len(steps) == sum(info.rows for info in store.segments(Channel.QUOTES))
    for info, table in store.tables:
        assert info.rows == table.num_rows


def quote(sequence: int) -> TopOfBook:
    return TopOfBook(bid_price=1.0, bid_qty=sequence, ask_price=2.0, ask_qty=1.0, sequence=sequence, ts_event_ns=3)


@settings(deadline=None)
@given(counts=st.lists(st.sampled_from([0, 1, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1]), max_size=4))
def test_blocks_hold_every_row_whatever_is_taken_when(counts: list[int]) -> None:
    buffer = RowBuffer("qqd?", ("slot", "ts_recv_ns", "value", "flag"))
    number = 0
    for count in counts:
        first = number
        for number in range(first + 1, first + count + 1):
            buffer.add(number, -number, number / 2, number % 2 == 0)
        assert len(buffer) == count
        assert buffer.received == number
        rows = [row for block in buffer.take() for row in block.tolist()]
        assert rows == [(n, -n, n / 2, n % 2 == 0) for n in range(first + 1, number + 1)]
        assert len(buffer) == 0
        assert buffer.take() == []


def test_taken_rows_are_never_written_to_again() -> None:
    buffer = RowBuffer("qq", ("slot", "ts_recv_ns"))
    buffer.add(1, 2)
    (taken,) = buffer.take()
    buffer.add(3, 4)
    assert taken.tolist() == [(1, 2)]


def test_trades_funding_and_states_reach_both() -> None:
    heard: list[tuple[str, object]] = []

    class Ear:
        def __init__(self, name: str) -> None:
            self.name = name
            self.slots: list[Slot] = []

        def __getattr__(self, method: str) -> object:
            return lambda *args: heard.append((self.name, method))

    fanout = Fanout(Ear("engine"), Ear("recorder"))  # type: ignore[arg-type]
    fanout.on_trade(0, None, 1)  # type: ignore[arg-type]
    fanout.on_funding(0, None, 1)  # type: ignore[arg-type]
    fanout.on_malformed(INSTRUMENTS[0].feed, b"", "")
    fanout.on_feed_state(INSTRUMENTS[0].feed, FeedState.LIVE, "")
    both = ("on_trade", "on_funding", "on_malformed", "on_feed_state")
    assert heard == [(who, method) for method in both for who in ("engine", "recorder")]
    heard.clear()
    fanout.on_batch_end(1)
    fanout.on_timed_frame(INSTRUMENTS[0].feed, 1, 1)
    fanout.on_clock_offset("binance", 1, 1)
    assert heard == [("engine", "on_batch_end"), ("engine", "on_timed_frame"), ("engine", "on_clock_offset")]
