"""Order books behind the quotes of an engine: what they make of a size, and when they are not used."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.order_book import BookChange, BookState, OrderBook, offered
from bot.domain.route import Outcome
from bot.ports import FeedState
from exchanges.binance.depth_frames import BinanceDepthFrames
from exchanges.depth.fanout import DepthFanout
from tests.unit.test_engine_decisions import EVEN, LINEAR, MS, SPOT, START_MS, Bench

D = Decimal
SPOT_SLOT, LINEAR_SLOT = 0, 1


WIDE = {
    "max_order_notional": 1e6,
    "max_position_notional": 1e6,
    "max_venue_notional": 1e7,
    "max_asset_notional": 1e7,
    "max_net_exposure_notional": 1e6,
}
ASKS = [["1000.10", "5"], ["1001.00", "2"], ["1002.00", "1.5"], ["1003.50", "25"]]
BIDS = [["1010.00", "1"], ["1009.00", "3"], ["1005.50", "10"]]


class Deep(Bench):
    """Books of both instruments, in Binance's frames through its builder. A route needs 33.03 bps."""

    def __init__(self, **more):
        super().__init__(**({"risk": WIDE, "execution": {"price_cap_bps": 50}} | more))
        self.fanout = DepthFanout()
        self.fanout.add([SPOT_SLOT, LINEAR_SLOT], self.engine.books)
        self.frames = {
            one.feed: BinanceDepthFrames(one.feed, {"ETHUSDT": slot}, self.fanout)
            for slot, one in enumerate((SPOT, LINEAR))
        }
        self.ids = {SPOT.feed: 1_000, LINEAR.feed: 1_000}

    def book(self, slot):
        return self.engine.slots[slot].book

    def whole(self, instrument, at_ms, bids, asks):
        """A snapshot, and the first change after it, which joins it to the stream."""
        body = {"lastUpdateId": self.ids[instrument.feed], "bids": bids, "asks": asks}
        self.deliver(instrument, at_ms, body)
        self.change(instrument, at_ms)

    def change(self, instrument, at_ms, bids=(), asks=(), missing=0):
        before = self.ids[instrument.feed] + missing
        self.ids[instrument.feed] = now = before + 1
        data = {"e": "depthUpdate", "E": START_MS + at_ms, "s": "ETHUSDT", "U": now, "u": now, "b": bids, "a": asks}
        if instrument is LINEAR:
            data |= {"T": START_MS + at_ms, "pu": before}
        self.deliver(instrument, at_ms, {"stream": "ethusdt@depth@100ms", "data": data})

    def deliver(self, instrument, at_ms, message):
        self.clock.advance_to((START_MS + at_ms) * MS)
        raw = json.dumps(message, separators=(",", ":")).encode()
        self.frames[instrument.feed].on_frame(raw, (START_MS + at_ms) * MS)

    @property
    def taken(self):
        (one,) = (decision for decision in self.decisions if decision.outcome is Outcome.TAKEN)
        return one.quantity

    @property
    def pair(self):
        (pair,) = self.engine.desk.executor.pairs.values()
        return pair


def ready(asks=ASKS, bids=BIDS, **more):
    bench = Deep(**more)
    bench.warm()
    bench.whole(SPOT, 2_000, [["999.90", "9"]], asks)
    bench.whole(LINEAR, 2_000, bids, [["1010.20", "9"]])
    return bench


def test_the_size_that_earns_most_is_taken_at_the_average_prices_of_both_books():
    bench = ready(execution={"price_cap_bps": 50.0, "complete_tries": 0})
    bench.linear(2_001, "1010.00", "1010.20", quantity="1")
    # 5 at 1000.10, 2 at 1001 and 1.5 at 1002 against 1005.50 and better bring 34.9 bps at least; 1003.50 would 19.9.
    assert bench.taken == D("8.5")
    bench.linear(2_050, "1010.00", "1010.20", quantity="1")
    pair = bench.pair
    assert pair.state == "open"
    assert pair.buy.opened_notional == D("5") * D("1000.10") + D("2") * D("1001") + D("1.5") * D("1002")
    assert pair.sell.opened_notional == D("1010") + D("3") * D("1009") + D("4.5") * D("1005.5")
    opportunity = pair.opportunity
    assert opportunity.buy_price == pytest.approx(float(pair.buy.average_open_price), rel=1e-12)
    assert opportunity.sell_price == pytest.approx(float(pair.sell.average_open_price), rel=1e-12)
    assert opportunity.gross_edge_bps == pytest.approx((1010 / 1000.10 - 1) * 1e4)
    depth = {cost.name: cost.bps for cost in opportunity.costs if cost.name.startswith("depth")}
    assert depth.keys() == {"depth buy binance.spot", "depth sell binance.linear"}
    filled = float(pair.sell.opened_notional / pair.buy.opened_notional)
    assert opportunity.gross_edge_bps - sum(depth.values()) == pytest.approx((filled - 1) * 1e4, abs=1e-9)


def test_no_level_beyond_the_orders_limit_is_counted():
    bench = ready(execution={"price_cap_bps": 9.5})  # 1001.05 and 1009.04
    bench.linear(2_001, "1010.00", "1010.20", quantity="1")
    assert bench.taken == D("1")


@pytest.mark.parametrize("lost", [SPOT, LINEAR])
def test_a_missing_message_takes_the_book_away_before_the_next_decision(lost):
    bench = ready()
    bench.change(lost, 2_000, missing=1)
    assert bench.book(SPOT_SLOT if lost is SPOT else LINEAR_SLOT) is None
    bench.linear(2_001, "1010.00", "1010.20", quantity="1")
    assert bench.taken == (D("5") if lost is SPOT else D("1"))


def test_a_frame_that_does_not_decode_takes_the_book_away():
    bench = ready()
    bench.change(LINEAR, 2_000, bids=[["nonsense", "1"]])
    assert bench.book(LINEAR_SLOT) is None


def test_books_that_are_older_than_a_quote_may_be_are_not_used():
    bench = ready()
    for at_ms in range(2_100, 2_501, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, *EVEN)
    bench.change(SPOT, 2_500)
    bench.linear(2_501, "1010.00", "1010.20", quantity="1")
    assert bench.taken == D("1")


def test_a_book_that_shows_better_than_the_quote_is_not_used():
    """It is behind: what it shows at the better price is gone."""
    bench = ready(bids=[["1010.10", "1"], *BIDS])
    bench.linear(2_001, "1010.00", "1010.20", quantity="1")
    assert bench.taken == D("1")


def test_a_book_that_is_gone_leaves_the_paper_venue_with_the_quotes_alone():
    bench = ready()
    bench.linear(2_001, "1010.00", "1010.20", quantity="1")
    bench.change(SPOT, 2_002, missing=1)
    bench.linear(2_012, "1010.00", "1010.20", quantity="1")
    bench.linear(2_022, "1010.00", "1010.20", quantity="1")
    assert bench.pair.buy.opened_quantity == D("5")


prices = st.integers(1, 60)
quantities = st.integers(1, 400).map(lambda tenths: f"{tenths / 10:.1f}")
levels = st.lists(st.tuples(prices, quantities), min_size=1, max_size=4)


def stacked(best, steps, sign):
    made, price = [], best
    for step, quantity in steps:
        made.append([f"{price:.2f}", quantity])
        price += sign * step / 10
    return made


@settings(max_examples=25)
@given(asks=levels, bids=levels)
def test_what_is_priced_is_what_the_paper_venue_gives(asks, bids):
    asks, bids = stacked(1000.10, asks, 1), stacked(1010.00, bids, -1)
    bench = ready(asks=asks, bids=bids)
    bench.spot(2_000, "999.90", "1000.10", quantity=asks[0][1])
    bench.linear(2_001, "1010.00", "1010.20", quantity=bids[0][1])
    bench.linear(2_050, "1010.00", "1010.20", quantity=bids[0][1])
    opportunity = bench.pair.opportunity
    bought, sold = [order for order, _, _ in bench.pair.orders.values()][:2]  # what evens out a fee in base may follow
    assert bought.filled_quantity == sold.filled_quantity == opportunity.quantity
    assert float(bought.average_price) == pytest.approx(opportunity.buy_price, rel=1e-9)
    assert float(sold.average_price) == pytest.approx(opportunity.sell_price, rel=1e-9)


def test_each_listener_hears_of_its_own_books_and_the_engine_first():
    heard = []

    class Sink:
        def __init__(self, name):
            self.name = name

        def on_book(self, slot, book, change, ts_recv_ns):
            heard.append((self.name, slot))

        def on_book_state(self, slot, state, reason):
            heard.append((self.name, slot, state))

        def on_malformed(self, feed, raw, reason):
            heard.append((self.name, reason))

        def on_feed_state(self, feed, state, detail):
            heard.append((self.name, detail))

        def on_batch_end(self, ts_recv_ns):
            heard.append((self.name, ts_recv_ns))

    fanout = DepthFanout()
    fanout.add([0, 1], Sink("engine"))
    fanout.add([1], Sink("recorder"))
    change = BookChange(bids=(), asks=(), sequence=1)
    fanout.on_book(0, None, change, 5)
    fanout.on_book(1, None, change, 5)
    fanout.on_book_state(1, BookState.VALID, "")
    fanout.on_malformed(SPOT.feed, b"", "why")
    fanout.on_feed_state(SPOT.feed, FeedState.LIVE, "there")
    fanout.on_batch_end(7)
    assert heard == [
        ("engine", 0),
        ("engine", 1), ("recorder", 1),
        ("engine", 1, BookState.VALID), ("recorder", 1, BookState.VALID),
        ("engine", "why"), ("recorder", "why"),
        ("engine", "there"), ("recorder", "there"),
        ("engine", 7), ("recorder", 7),
    ]  # fmt: skip


def test_a_person_hears_that_a_book_is_lost_and_nothing_at_an_orderly_end():
    bench = ready()
    bench.fanout.on_book_state(SPOT_SLOT, BookState.INVALID, "a message is missing")
    assert [line for line in bench.log if "order book" in line] == [
        f"{SPOT.id}: order book invalid: a message is missing; sizes follow the quote until it is whole"
    ]
    bench.fanout.on_feed_state(LINEAR.feed, FeedState.CLOSED, "stopped")
    bench.fanout.on_book_state(LINEAR_SLOT, BookState.INVALID, "stopped")
    assert bench.book(LINEAR_SLOT) is None
    assert len([line for line in bench.log if "order book" in line]) == 1


def test_a_person_hears_that_books_will_not_come():
    bench = Deep()
    bench.fanout.on_feed_state(SPOT.feed, FeedState.FAILED, "refused")
    assert any("sizes follow the top of the book alone" in line for line in bench.log)


@given(best=st.integers(-5, 5), known=st.booleans())
def test_behind_the_quote_stands_what_the_book_shows_beyond_it(best, known):
    book = OrderBook(1_000, is_window=False)
    asks = tuple((f"{100 + best + step}", "1") for step in range(3))
    book.apply(BookChange(bids=(("90", "1"),), asks=asks, sequence=1, whole=True))
    quote = TopOfBook(bid_price=99.0, bid_qty=1, ask_price=100.0, ask_qty=7, sequence=1)
    met = offered(quote, book if known else None, Side.BUY)
    assert met[0] == (100.0, 7)
    if known and best >= 0:
        assert met[1:] == [(float(price), 1.0) for price, _ in asks if float(price) > 100.0]
    else:
        assert len(met) == 1
