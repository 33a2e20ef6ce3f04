"""Fault 6 through the engine: whatever message of a book is lost, no decision rests on the book after the next one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.binance.depth_frames import BinanceDepthFrames
from tests.property.test_order_book_interleavings import EVENTS, Binance, assert_is
from tests.unit.test_engine_decisions import LINEAR, MS, START_MS, Bench

SLOT = 1
GATE = {"max_age_ms": 60_000.0, "max_event_age_ms": 60_000.0, "max_skew_ms": 60_000.0, "max_jump_bps": 1e9}


class Sized:
    """Every decision that asks for a size looks at the book: what it saw."""

    def __init__(self, engine):
        self.engine = engine
        self.size = engine.decider.sizer.size
        self.seen = []
        engine.decider.sizer.size = self

    def __call__(self, state, ts_ns):
        book = self.engine.slots[SLOT].book
        self.seen.append(None if book is None else book.sequence)
        return self.size(state, ts_ns)


@settings(max_examples=60)
@given(EVENTS, st.sets(st.integers(2, 13), min_size=1, max_size=3), st.booleans())
def test_fault_06_no_decision_rests_on_a_book_that_lost_a_message(events, dropped, is_healed):
    market = Binance(events, is_futures=True, depth=20)
    bench = Bench(quote_gate=GATE)
    books = BinanceDepthFrames(LINEAR.feed, {"X": SLOT}, bench.engine.books)
    bench.spot(0, "7.99", "8.00")
    bench.linear(0, "10.00", "11.00")
    for at_ms in range(100, 1_500, 100):
        bench.spot(at_ms, "7.99", "8.00")
        bench.linear(at_ms, "10.00", "11.00")
    decisions = Sized(bench.engine)
    is_lost = False
    for number in range(1, len(market.frames)):
        at_ms = 1_500 + 20 * number
        if number in dropped:
            is_lost = True
            continue
        books.on_frame(market.frames[number], (START_MS + at_ms) * MS)
        if number == 1 or (is_lost and is_healed):
            books.on_frame(market.snapshot(number), (START_MS + at_ms) * MS)
            is_lost = False
        book, before = bench.engine.slots[SLOT].book, len(decisions.seen)
        bench.linear(at_ms, "10.00", "11.00")
        assert len(decisions.seen) > before, "it decides at each step"
        assert decisions.seen[-1] == (None if book is None else book.sequence)
        assert (book is None) == is_lost
        if book is not None:
            assert market.ids[number] <= book.sequence
            assert_is(book, market.truth(book.sequence))
