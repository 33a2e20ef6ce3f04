"""What each venue's builder makes of the messages that its documentation speaks of, and of those it does not."""

import json
from zlib import crc32

import pytest

from bot.domain.order_book import BookChange, BookState
from bot.errors import MalformedPayload, MarketDataError, SequenceGap
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.kraken.order_book import KrakenBookBuilder
from exchanges.kraken.schemas import Pair

Levels = list[list[str]]
BIDS, ASKS = [["9.0", "1"], ["8.0", "2"]], [["10.0", "1"], ["11.0", "2"]]


class Events:
    def __init__(self) -> None:
        self.states: list[tuple[BookState, str]] = []
        self.changes: list[BookChange] = []
        self.wanted: list[str] = []

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        self.changes.append(change)

    def on_book_state(self, state: BookState, reason: str) -> None:
        self.states.append((state, reason))

    def on_book_wanted(self, reason: str) -> None:
        self.wanted.append(reason)


def spot(first: int, last: int, bids: Levels | None = None, asks: Levels | None = None) -> bytes:
    data = {"e": "depthUpdate", "E": 5, "s": "X", "U": first, "u": last, "b": bids or [], "a": asks or []}
    return json.dumps({"stream": "x@depth@100ms", "data": data}, separators=(",", ":")).encode()


def linear(previous: int, first: int, last: int, bids: Levels | None = None) -> bytes:
    data = {"e": "depthUpdate", "E": 5, "T": 4, "U": first, "u": last, "pu": previous, "b": bids or [], "a": []}
    return json.dumps(data).encode()


def snapshot(last: int, bids: Levels = BIDS, asks: Levels = ASKS) -> bytes:
    return json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def binance(events: Events) -> BinanceBookBuilder:
    builder = BinanceBookBuilder(100, events)
    builder.on_frame(spot(10, 12), 0)
    builder.on_snapshot(snapshot(12), 0)
    assert builder.state is BookState.VALID
    return builder


def best_bid(builder: BinanceBookBuilder | BybitBookBuilder | KrakenBookBuilder) -> float | None:
    return None if builder.book is None else builder.book.bids.best_price


def test_fault_07_a_snapshot_older_than_the_buffer_is_asked_for_again(events: Events) -> None:
    builder = BinanceBookBuilder(100, events)
    builder.on_frame(spot(10, 12), 0)
    builder.on_frame(spot(13, 15, [["9.5", "3"]]), 0)
    builder.on_snapshot(snapshot(8), 0)
    assert builder.book is None
    assert len(events.wanted) == 2
    builder.on_snapshot(snapshot(9), 0)
    assert builder.book is not None
    assert (builder.book.sequence, best_bid(builder)) == (15, 9.5)
    assert [change.whole for change in events.changes] == [True, False, False]
    assert len(events.wanted) == 2


def test_fault_07_a_snapshot_amid_a_change_and_one_between_two_both_join(events: Events) -> None:
    for last in (105, 110, 113):
        builder = BinanceBookBuilder(100, events)
        builder.on_frame(linear(90, 101, 110, [["9.5", "1"]]), 0)
        builder.on_frame(linear(110, 115, 120, [["9.6", "1"]]), 0)
        builder.on_snapshot(snapshot(last), 0)
        assert best_bid(builder) == 9.6, last


def test_fault_07_a_snapshot_before_any_change_waits_for_one(events: Events) -> None:
    builder = BinanceBookBuilder(100, events)
    builder.on_snapshot(snapshot(12), 0)
    assert builder.book is None
    builder.on_frame(spot(13, 13), 0)
    assert builder.book is not None
    late = BinanceBookBuilder(100, events)
    late.on_snapshot(snapshot(12), 0)
    late.on_frame(spot(14, 14), 0)
    assert isinstance(late.error, SequenceGap)


def test_fault_06_a_gap_is_told_at_once_and_a_snapshot_after_it_heals(
    binance: BinanceBookBuilder, events: Events
) -> None:
    binance.on_frame(spot(14, 14, [["9.5", "1"]]), 0)
    assert binance.book is None
    assert isinstance(binance.error, SequenceGap)
    assert events.states[-1][0] is BookState.INVALID
    binance.on_frame(spot(15, 15), 0)
    assert len(events.wanted) == 2
    binance.on_snapshot(snapshot(14), 0)
    assert binance.book is not None
    assert binance.book.sequence == 15


def test_fault_06_pu_that_is_not_the_last_u_is_a_gap_though_the_ids_run_on(events: Events) -> None:
    builder = BinanceBookBuilder(100, events)
    builder.on_frame(linear(90, 101, 110), 0)
    builder.on_snapshot(snapshot(110), 0)
    builder.on_frame(linear(110, 130, 140), 0)
    assert builder.book is not None
    builder.on_frame(linear(141, 142, 150), 0)
    assert isinstance(builder.error, SequenceGap)


def test_fault_10_a_repeated_or_older_change_is_let_pass(binance: BinanceBookBuilder) -> None:
    binance.on_frame(spot(13, 14, [["9.5", "1"]]), 0)
    binance.on_frame(spot(13, 14, [["9.5", "7"]]), 0)
    binance.on_frame(spot(10, 12, [["9.7", "7"]]), 0)
    assert binance.book is not None
    assert binance.book.bids.levels(1) == [(9.5, 1.0)]


def test_fault_11_a_crossed_book_is_invalid_and_asked_for_again(binance: BinanceBookBuilder, events: Events) -> None:
    binance.on_frame(spot(13, 13, [["10.0", "1"]]), 0)
    assert binance.book is None
    assert str(binance.error).startswith("crossed")
    assert len(events.wanted) == 2


@pytest.mark.parametrize("raw", [
    b"{", spot(13, 13)[:-4], spot(13, 12), b'{"stream":"x@depth@100ms"}', spot(13, 13, [["NaN", "1"]]),
    spot(13, 13, [["9.5"]]), spot(13, 13, [["9.5", "-1"]]), spot(13, 13).replace(b'"U":13', b'"U":1e99'),
])  # fmt: skip
def test_fault_13_and_16_a_malformed_change_takes_the_book_away(binance: BinanceBookBuilder, raw: bytes) -> None:
    binance.on_frame(raw, 0)
    assert binance.book is None
    assert isinstance(binance.error, MalformedPayload)


@pytest.mark.parametrize("raw", [b"<html>", b"{}", snapshot(14, [["x", "1"]]), snapshot(-1)])
def test_fault_13_and_16_a_malformed_snapshot_is_asked_for_again(raw: bytes, events: Events) -> None:
    builder = BinanceBookBuilder(100, events)
    builder.on_frame(spot(10, 12), 0)
    builder.on_snapshot(raw, 0)
    assert builder.book is None
    assert len(events.wanted) == 2


def test_fault_11_nobody_is_shown_a_crossed_book() -> None:
    seen: list[float | None] = []

    class Reading(Events):
        def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
            seen.append(best_bid(builder))

    builder = BybitBookBuilder(50, Reading())
    builder.on_frame(bybit("snapshot", 100, BIDS, ASKS), 0)
    builder.on_frame(bybit("delta", 101, [["10.5", "1"]], []), 0)
    builder.on_frame(bybit("snapshot", 102, BIDS, []), 0)
    assert seen == [9.0, None]


def test_a_side_without_levels_is_no_book_until_one_comes(binance: BinanceBookBuilder, events: Events) -> None:
    binance.on_frame(spot(13, 13, [["9.0", "0"], ["8.0", "0"]]), 0)
    assert (binance.state, str(binance.error)) == (BookState.INVALID, "no bids")
    binance.on_frame(spot(14, 14, [["9.1", "1"]]), 0)
    assert best_bid(binance) == 9.1
    assert len(events.wanted) == 1


def test_a_book_runs_thin_is_filled_up_and_stays_valid(events: Events) -> None:
    builder = BinanceBookBuilder(4, events)
    bids = [[str(price), "1"] for price in (9, 8, 7, 6)]
    builder.on_frame(spot(10, 12), 0)
    builder.on_snapshot(snapshot(12, bids), 0)
    builder.on_frame(spot(13, 13, [["9", "0"], ["8", "0"], ["7", "0"], ["5", "3"]]), 0)
    assert builder.book is not None
    assert builder.book.bids.levels() == [(6.0, 1.0)]
    assert len(events.wanted) == 2
    builder.on_snapshot(snapshot(11), 0)
    assert builder.book.bids.levels() == [(6.0, 1.0)], "a snapshot older than the book is of no use"
    builder.on_frame(spot(14, 14), 0)
    builder.on_snapshot(snapshot(13, [["6", "1"], ["5", "3"]]), 0)
    assert builder.book is not None
    assert (builder.book.bids.levels(), builder.book.sequence) == ([(6.0, 1.0), (5.0, 3.0)], 14)


def test_the_last_known_level_gone_is_a_gap(events: Events) -> None:
    builder = BinanceBookBuilder(2, events)
    builder.on_frame(spot(10, 12), 0)
    builder.on_snapshot(snapshot(12), 0)
    builder.on_frame(spot(13, 13, [["9.0", "0"], ["8.0", "0"]]), 0)
    assert isinstance(builder.error, SequenceGap)


def test_what_waits_for_a_snapshot_is_bounded_and_never_wrong(events: Events) -> None:
    builder = BinanceBookBuilder(100, events, max_waiting=3)
    for number in range(10, 20):
        builder.on_frame(spot(number, number, [["9.5", str(number)]]), 0)
    builder.on_snapshot(snapshot(12), 0)
    assert builder.book is None
    builder.on_snapshot(snapshot(16), 0)
    assert builder.book is not None
    assert (builder.book.sequence, builder.book.bids.levels(1)) == (19, [(9.5, 19.0)])


def test_a_lost_connection_makes_a_book_invalid_and_asks_for_nothing_yet(
    binance: BinanceBookBuilder, events: Events
) -> None:
    binance.reset("the connection broke")
    assert binance.book is None
    assert len(events.wanted) == 1
    binance.on_frame(spot(20, 21), 0)
    assert len(events.wanted) == 2
    binance.on_snapshot(snapshot(21), 0)
    assert events.states[-2:] == [(BookState.INVALID, "the connection broke"), (BookState.VALID, "")]


def bybit(kind: str, update: int, bids: Levels, asks: Levels, seq: int | None = None, **more: object) -> bytes:
    data = {"s": "X", "b": bids, "a": asks, "u": update, "seq": update * 3 if seq is None else seq}
    return json.dumps({"topic": "orderbook.50.X", "type": kind, "ts": 5, "data": data, "cts": 4} | more).encode()


@pytest.fixture
def live_bybit(events: Events) -> BybitBookBuilder:
    builder = BybitBookBuilder(50, events)
    builder.on_frame(bybit("snapshot", 100, BIDS, ASKS), 0)
    assert builder.state is BookState.VALID
    return builder


def test_changes_of_bybit_follow_by_one(live_bybit: BybitBookBuilder) -> None:
    live_bybit.on_frame(bybit("delta", 101, [["9.5", "3"], ["8.0", "0"]], []), 0)
    assert live_bybit.book is not None
    assert live_bybit.book.bids.levels() == [(9.5, 3.0), (9.0, 1.0)]
    assert (live_bybit.book.sequence, live_bybit.book.ts_event_ns) == (101, 4_000_000)


def test_fault_06_a_gap_of_bybit_wants_a_new_subscription(live_bybit: BybitBookBuilder, events: Events) -> None:
    live_bybit.on_frame(bybit("delta", 102, [], []), 0)
    assert isinstance(live_bybit.error, SequenceGap)
    assert len(events.wanted) == 1
    live_bybit.on_frame(bybit("delta", 103, [], []), 0)
    assert len(events.wanted) == 1
    live_bybit.on_frame(bybit("snapshot", 104, BIDS, ASKS), 0)
    assert live_bybit.book is not None


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_fault_08_an_update_id_of_one_is_a_whole_book_whatever_it_is_called(
    live_bybit: BybitBookBuilder, events: Events, kind: str
) -> None:
    live_bybit.on_frame(bybit(kind, 1, [["7.0", "1"]], [["12.0", "1"]], seq=400), 0)
    assert live_bybit.book is not None
    assert live_bybit.book.bids.levels() == [(7.0, 1.0)]
    assert events.changes[-1].whole


def test_fault_08_a_restart_whose_whole_book_was_lost_is_noticed(live_bybit: BybitBookBuilder) -> None:
    live_bybit.on_frame(bybit("delta", 2, [], [], seq=500), 0)
    assert isinstance(live_bybit.error, SequenceGap)


def test_fault_08_a_delisted_book_is_empty(live_bybit: BybitBookBuilder, events: Events) -> None:
    live_bybit.on_frame(bybit("snapshot", 101, [], []), 0)
    assert live_bybit.book is None
    assert live_bybit.state is BookState.EMPTY
    assert events.states[-1] == (BookState.EMPTY, "the venue's book is empty")
    assert not events.wanted


def test_fault_10_repeated_and_older_changes_of_bybit(live_bybit: BybitBookBuilder) -> None:
    live_bybit.on_frame(bybit("delta", 100, [["9.9", "1"]], []), 0)
    assert best_bid(live_bybit) == 9.0
    live_bybit.on_frame(bybit("delta", 101, [["9.9", "1"]], [], seq=299), 0)
    assert isinstance(live_bybit.error, SequenceGap)


@pytest.mark.parametrize("raw", [
    b"{", bybit("other", 101, [], []), bybit("delta", -1, [], []), bybit("delta", 101, [["NaN", "1"]], []),
    bybit("delta", 101, [["1"]], []), bybit("delta", 101, [], [], cts="soon"),
])  # fmt: skip
def test_fault_13_and_16_malformed_frames_of_bybit_take_the_book_away(live_bybit: BybitBookBuilder, raw: bytes) -> None:
    live_bybit.on_frame(raw, 0)
    assert live_bybit.book is None
    assert isinstance(live_bybit.error, MalformedPayload)


def test_fault_11_a_crossed_book_of_bybit(live_bybit: BybitBookBuilder, events: Events) -> None:
    live_bybit.on_frame(bybit("delta", 101, [["10.5", "1"]], []), 0)
    assert str(live_bybit.error).startswith("crossed")
    assert len(events.wanted) == 1


# The example of Kraken's pages on checksums: ten levels a side, and what they come to.
DOC_ASKS = [
    ["0.05005", "0.00000500"], ["0.05010", "0.00000500"], ["0.05015", "0.00000500"], ["0.05020", "0.00000500"],
    ["0.05025", "0.00000500"], ["0.05030", "0.00000500"], ["0.05035", "0.00000500"], ["0.05040", "0.00000500"],
    ["0.05045", "0.00000500"], ["0.05050", "0.00000500"],
]  # fmt: skip
DOC_PRICES = (5000, 4995, 4990, 4980, 4975, 4970, 4965, 4960, 4955, 4950)
DOC_BIDS = [[f"0.{price:05d}", "0.00000500"] for price in DOC_PRICES]
DOC_CHECKSUM = 974947235
DIGITS = Pair(symbol="X/Y", price_precision=5, qty_precision=8)


def kraken(kind: str, bids: Levels, asks: Levels, checksum: int, at: int = 0, symbol: str = "X/Y") -> bytes:
    sides = [",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in side) for side in (bids, asks)]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{sides[0]}],"asks":[{sides[1]}],'
        f'"checksum":{checksum},"timestamp":"2026-07-10T00:00:{at:02d}.5Z"}}]}}'
    ).encode()


def test_fault_09_the_documented_checksum(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM), 0)
    assert builder.state is BookState.VALID, builder.error
    assert builder.book is not None
    assert builder.book.ts_event_ns == 1_783_641_600_500_000_000


def test_fault_09_digits_that_json_shortened_count_in_full(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    short = [[price.rstrip("0"), "5e-06"] for price, _ in DOC_ASKS]
    builder.on_frame(kraken("snapshot", DOC_BIDS, short, DOC_CHECKSUM), 0)
    assert builder.state is BookState.VALID, builder.error


def test_fault_09_a_whole_number_is_text_like_the_others(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, Pair(symbol="X/Y", price_precision=1, qty_precision=2))
    builder.on_frame(kraken("snapshot", [["9", "1"]], [["10", "20"]], crc32(b"102091")), 0)
    assert builder.state is BookState.INVALID
    builder.on_frame(kraken("snapshot", [["9", "1"]], [["10", "20"]], crc32(b"100200090100")), 0)
    assert builder.state is BookState.VALID


def test_fault_09_a_wrong_checksum_takes_the_book_away(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM), 0)
    builder.on_frame(kraken("update", [["0.04999", "0.00000500"]], [], DOC_CHECKSUM, at=1), 0)
    assert isinstance(builder.error, SequenceGap)
    assert len(events.wanted) == 1
    builder.on_frame(kraken("update", [], [], DOC_CHECKSUM, at=2), 0)
    assert builder.book is None
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM, at=3), 0)
    assert builder.book is not None


def test_fault_09_a_book_is_checked_as_soon_as_its_digits_are_known(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM), 0)
    assert builder.state is BookState.SYNCING
    builder.on_pair(DIGITS)
    assert builder.state is BookState.VALID
    builder.on_pair(DIGITS.model_copy(update={"price_precision": 6}))
    assert builder.state is BookState.INVALID


def test_fault_09_more_digits_than_the_pair_has_are_malformed(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS.model_copy(update={"price_precision": 3}))
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM), 0)
    assert isinstance(builder.error, MalformedPayload)


def test_fault_10_an_older_change_of_kraken_is_let_pass(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM, at=5), 0)
    builder.on_frame(kraken("update", [["0.04999", "1"]], [], 0, at=4), 0)
    assert best_bid(builder) == 0.05


def test_other_symbols_of_a_frame_of_kraken_are_let_pass(events: Events) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, 1, symbol="A/B"), 0)
    assert (builder.state, events.states) == (BookState.EMPTY, [])


@pytest.mark.parametrize("raw", [
    b"{", b"[]", kraken("other", [], [], 0), kraken("update", [["NaN", "1"]], [], 0, at=9),
    kraken("update", [["-0.04", "1"]], [], 0, at=9), kraken("update", [], [], -1), kraken("update", [], [], 2**32),
])  # fmt: skip
def test_fault_13_and_16_malformed_frames_of_kraken_take_the_book_away(events: Events, raw: bytes) -> None:
    builder = KrakenBookBuilder("X/Y", 10, events, DIGITS)
    builder.on_frame(kraken("snapshot", DOC_BIDS, DOC_ASKS, DOC_CHECKSUM), 0)
    builder.on_frame(raw, 0)
    assert builder.book is None
    assert isinstance(builder.error, MarketDataError)
