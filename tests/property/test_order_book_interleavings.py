"""Whatever a network does to the messages of an order book, it is the venue's book at its id, or may not be used."""

import itertools
import json
from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.order_book import BookChange, BookState, OrderBook
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.common.market.book_builder import BookBuilder
from exchanges.kraken.order_book import KrakenBookBuilder
from exchanges.kraken.schemas import Pair

PRICES = {"bids": range(1, 11), "asks": range(11, 21)}
Levels = list[tuple[float, float]]
Sides = dict[str, dict[int, int]]

EVENTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["bids", "asks"]), st.integers(0, 9), st.sampled_from([0, 0, 1, 2, 3])),
        min_size=1, max_size=5,
    ),
    min_size=3, max_size=14,
)  # fmt: skip
FATES = st.sampled_from(["deliver"] * 6 + ["drop", "repeat", "swap", "ask", "answer", "answer", "garble"])
IS_FUTURES = st.booleans()


class Events:
    """Keeps the changes, and whether a book is wanted."""

    def __init__(self) -> None:
        self.changes: list[BookChange] = []
        self.is_wanted = False

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        self.changes.append(change)

    def on_book_state(self, state: BookState, reason: str) -> None: ...

    def on_book_wanted(self, reason: str) -> None:
        self.is_wanted = True


@dataclass
class Venue:
    """A book that is changed, and what it was after every change."""

    sides: Sides = field(
        default_factory=lambda: {"bids": dict.fromkeys(range(4, 11), 1), "asks": dict.fromkeys(range(11, 18), 1)}
    )

    def change(self, steps: list[tuple[str, int, int]]) -> Sides:
        """Apply, and say what changed; both sides keep a level."""
        changed: Sides = {"bids": {}, "asks": {}}
        for side, place, quantity in steps:
            price = PRICES[side][place]
            if quantity or len(self.sides[side].keys() - {price}):
                self.sides[side].pop(price, None)
                if quantity:
                    self.sides[side][price] = quantity
                changed[side][price] = quantity
        return changed

    def best(self, depth: int = 20) -> tuple[Levels, Levels]:
        return _sorted(self.sides["bids"], -1, depth), _sorted(self.sides["asks"], 1, depth)


def _sorted(side: dict[int, int], sign: int, depth: int) -> Levels:
    return [(float(price), float(side[price])) for price in sorted(side, key=lambda key: sign * key)[:depth]]


def _pairs(levels: dict[int, int] | Levels) -> list[list[str]]:
    items = levels.items() if isinstance(levels, dict) else levels
    return [[f"{price:.1f}", f"{quantity:.2f}"] for price, quantity in items]


def contents(book: OrderBook) -> tuple[Levels, Levels]:
    return book.bids.levels(), book.asks.levels()


def assert_is(book: OrderBook, truth: tuple[Levels, Levels]) -> None:
    """Level by level as far as the book goes; a side that is said to be whole is."""
    for side, known, true in zip((book.bids, book.asks), contents(book), truth, strict=True):
        assert known == true[: len(known)]
        assert side.is_partial or len(known) == len(true)


class Binance:
    """Frames and snapshots of a Binance market, with what the book was at every id."""

    def __init__(self, events: list[list[tuple[str, int, int]]], is_futures: bool, depth: int) -> None:
        self.venue, self.depth, self.is_futures = Venue(), depth, is_futures
        self.ids, self.frames = [100], [b""]
        self.truths = [self.venue.best()]
        for number, steps in enumerate(events):
            hole = number % 3 if is_futures else 0  # ids of other symbols lie in between
            self._add(self.venue.change(steps), self.ids[-1] + 1 + hole, self.ids[-1] + 3 + hole)

    def _add(self, changed: Sides, first: int, last: int) -> None:
        update = {"e": "depthUpdate", "E": 5, "U": first, "u": last, "b": _pairs(changed["bids"]),
                  "a": _pairs(changed["asks"])} | ({"pu": self.ids[-1], "T": 4} if self.is_futures else {})  # fmt: skip
        self.frames.append(json.dumps({"stream": "x@depth@100ms", "data": update}, separators=(",", ":")).encode())
        self.ids.append(last)
        self.truths.append(self.venue.best())

    def truth(self, sequence: int) -> tuple[Levels, Levels]:
        return self.truths[max(at for at, last in enumerate(self.ids) if last <= sequence)]

    def snapshot(self, at: int) -> bytes:
        between = self.is_futures and at + 1 < len(self.ids) and self.ids[at + 1] - self.ids[at] > 3
        bids, asks = (levels[: self.depth] for levels in self.truths[at])
        return json.dumps({"lastUpdateId": self.ids[at] + between, "bids": _pairs(bids), "asks": _pairs(asks)}).encode()


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.lists(FATES, min_size=5, max_size=30), IS_FUTURES, st.sampled_from([4, 20]), st.sampled_from([2, 50]))
def test_fault_07_and_06_and_10_a_book_of_binance_is_the_venues_or_not_to_be_used(
    events, fates, is_futures, depth, waiting
):
    market = Binance(events, is_futures, depth)
    heard = Events()
    builder = BinanceBookBuilder(depth, heard, max_waiting=waiting)
    at, newest, answers = 0, 0, []

    def check() -> None:
        if builder.book is not None:
            assert builder.book.sequence is not None
            assert builder.book.sequence >= newest, "a newer message was seen and passed over"
            assert_is(builder.book, market.truth(builder.book.sequence))

    def deliver(number: int) -> None:
        nonlocal newest
        newest = max(newest, market.ids[number])
        builder.on_frame(market.frames[number], 0)
        check()

    for fate in fates:
        if fate == "ask":
            answers.append(market.snapshot(at))
        elif fate == "answer" and answers:
            builder.on_snapshot(answers.pop(0), 0)
            check()
        elif fate == "garble":
            builder.on_frame(market.frames[at][:-9], 0)
            assert builder.book is None
        elif fate == "repeat" and at > 1:
            deliver(at - 1)
        elif fate == "swap" and at + 2 < len(market.frames):
            deliver(at + 2)
            deliver(at + 1)
            at += 2
        elif at + 1 < len(market.frames):
            at += 1
            if fate != "drop":
                deliver(at)
    heals(market, builder, heard, at)


def heals(market: Binance, builder: BinanceBookBuilder, heard: Events, at: int) -> None:
    for raw in market.frames[at + 1 :]:
        builder.on_frame(raw, 0)
    market._add(market.venue.change([("bids", 8, 2)]), market.ids[-1] + 1, market.ids[-1] + 3)
    builder.on_frame(market.frames[-1], 0)
    if builder.book is None:
        assert heard.is_wanted
        builder.on_snapshot(market.snapshot(len(market.ids) - 1), 0)
    assert builder.book is not None, builder.error
    assert builder.book.sequence == market.ids[-1]
    assert_is(builder.book, market.truth(market.ids[-1]))


@settings(max_examples=100, deadline=None)
@given(EVENTS, IS_FUTURES, st.integers(0, 13))
def test_fault_06_the_first_message_after_a_dropped_one_makes_a_book_of_binance_invalid(events, is_futures, dropped):
    market = Binance(events, is_futures, 20)
    builder = BinanceBookBuilder(20, Events())
    builder.on_frame(market.frames[1], 0)
    builder.on_snapshot(market.snapshot(1), 0)
    dropped = 2 + dropped % (len(market.frames) - 2)
    for number in range(2, len(market.frames)):
        if number == dropped:
            continue
        builder.on_frame(market.frames[number], 0)
        assert (builder.book is None) == (number > dropped)


def window_changes(
    before: tuple[Levels, Levels], after: tuple[Levels, Levels], gone: Sides, says_pushed: bool
) -> Sides:
    """What a venue that keeps the best levels up to date sends."""
    sent: Sides = {"bids": {}, "asks": {}}
    for side, old, new in zip(("bids", "asks"), before, after, strict=True):
        sent[side] = {int(price): int(quantity) for price, quantity in new if (price, quantity) not in old}
        lost = {int(price) for price, _ in old} - {int(price) for price, _ in new}
        sent[side].update({price: 0 for price in lost if says_pushed or gone[side].get(price) == 0})
    return sent


class Windowed:
    """Frames of a venue that keeps a window, with what the window was at every time (ms)."""

    def __init__(self, events: list[list[tuple[str, int, int]]], depth: int, says_pushed: bool) -> None:
        self.venue, self.depth = Venue(), depth
        self.truths = [self.venue.best(depth)]
        self.changes: list[Sides] = [{}]
        for steps in events:
            changed = self.venue.change(steps)
            after = self.venue.best(depth)
            self.changes.append(window_changes(self.truths[-1], after, changed, says_pushed))
            self.truths.append(after)


def bybit_frame(market: Windowed, at: int, whole: bool, restart_at: int) -> bytes:
    bids, asks = market.truths[at] if whole else (market.changes[at]["bids"], market.changes[at]["asks"])
    update = at + 500 if at < restart_at else at - restart_at + 1
    data = {"s": "X", "b": _pairs(bids), "a": _pairs(asks), "u": update, "seq": 1_000 + 7 * at}
    kind = "snapshot" if whole else "delta"
    return json.dumps({"topic": "orderbook.50.X", "type": kind, "ts": at + 1, "data": data, "cts": at}).encode()


def kraken_frame(market: Windowed, at: int, whole: bool) -> bytes:
    bids, asks = market.truths[at] if whole else (market.changes[at]["bids"], market.changes[at]["asks"])
    sides = [
        "[" + ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in _pairs(levels)) + "]"
        for levels in (bids, asks)
    ]
    numbers = [number for side in reversed(market.truths[at]) for level in _pairs(side[:10]) for number in level]
    checksum = crc32("".join(number.replace(".", "").lstrip("0") for number in numbers).encode())
    return (
        f'{{"channel":"book","type":"{"snapshot" if whole else "update"}","data":[{{"symbol":"X/Y","bids":{sides[0]},'
        f'"asks":{sides[1]},"checksum":{checksum},"timestamp":"2026-07-10T00:00:00.{at:06d}Z"}}]}}'
    ).encode()


def play(market: Windowed, builder: BookBuilder, fates: list[str], frame, at_of) -> None:
    """Deliver as the fates say; a whole book comes where one is asked for, and after every loss in the end."""
    at = 0
    for fate in itertools.chain(["ask"], fates):
        numbers: list[int] = []
        if fate == "ask":
            builder.on_frame(frame(at, True), 0)
            assert builder.book is not None
        elif fate == "garble":
            builder.on_frame(frame(at, True)[:-9], 0)
            assert builder.book is None
        elif fate == "repeat" and at > 1:
            numbers = [at - 1]
        elif fate == "swap" and at + 2 < len(market.truths):
            numbers, at = [at + 2, at + 1], at + 2
        elif at + 1 < len(market.truths):
            at += 1
            numbers = [at] if fate != "drop" else []
        for number in numbers:
            builder.on_frame(frame(number, False), 0)
            if builder.book is not None:
                assert contents(builder.book) == market.truths[at_of(builder.book)]
                assert at_of(builder.book) >= number
    builder.on_frame(frame(at, True), 0)
    assert builder.book is not None
    assert contents(builder.book) == market.truths[at]


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.lists(FATES, min_size=5, max_size=30), st.sampled_from([4, 20]), st.integers(3, 20))
def test_fault_08_and_06_and_10_a_book_of_bybit_is_the_venues_or_not_to_be_used(events, fates, depth, restart_at):
    market = Windowed(events, depth, says_pushed=True)

    def frame(at: int, whole: bool) -> bytes:
        # After a restart the venue calls a whole book whatever it likes: its update id is 1.
        return bybit_frame(market, at, whole or at == restart_at, restart_at)

    builder = BybitBookBuilder(depth, Events())
    play(market, builder, fates, frame, lambda book: book.ts_event_ns // 1_000_000)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.lists(FATES, min_size=5, max_size=30))
def test_fault_09_and_10_a_book_of_kraken_is_the_venues_or_not_to_be_used(events, fates):
    market = Windowed(events, 10, says_pushed=False)
    builder = KrakenBookBuilder("X/Y", 10, Events(), Pair(symbol="X/Y", price_precision=1, qty_precision=2))
    start_ns = 1_783_641_600_000_000_000
    play(market, builder, fates, lambda at, whole: kraken_frame(market, at, whole),
         lambda book: (book.ts_event_ns - start_ns) // 1_000)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.data())
def test_fault_09_one_wrong_digit_makes_a_book_of_kraken_invalid(events, data):
    market = Windowed(events, 10, says_pushed=False)
    builder = KrakenBookBuilder("X/Y", 10, Events(), Pair(symbol="X/Y", price_precision=1, qty_precision=2))
    raw = kraken_frame(market, 0, True)
    places = [at for at in range(raw.index(b"bids"), raw.index(b"checksum")) if raw[at : at + 1].isdigit()]
    at = data.draw(st.sampled_from(places))
    wrong = data.draw(st.sampled_from([digit for digit in b"0123456789" if digit != raw[at]]))
    builder.on_frame(raw[:at] + bytes([wrong]) + raw[at + 1 :], 0)
    assert builder.book is None
    builder.on_frame(raw, 0)
    assert builder.book is not None


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.sampled_from([4, 20]), IS_FUTURES)
def test_the_changes_that_are_told_are_an_archive_of_the_book(events, depth, is_futures):
    market = Binance(events, is_futures, depth)
    heard = Events()
    builder = BinanceBookBuilder(depth, heard)
    for number, raw in enumerate(market.frames[1:], start=1):
        builder.on_frame(raw, 0)
        if builder.book is None:
            builder.on_snapshot(market.snapshot(number), 0)
    assert builder.book is not None
    archived = [BookChange.model_validate_json(change.model_dump_json()) for change in heard.changes]
    again = OrderBook(depth, is_window=False)
    for change in archived:
        again.apply(change)
    assert archived[0].whole
    assert contents(again) == contents(builder.book)
    assert again.sequence == builder.book.sequence
