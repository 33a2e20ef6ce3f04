"""Order books as the recorder keeps them, change by change."""

from typing import Any

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.recording.depth import WHOLE_EVERY_NS
from bot.recording.recorder import Recorder
from bot.storage.archive.channels import Channel
from exchanges.binance import shipped
from tests.unit.recording_memory import MemoryStore

SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")
INSTRUMENTS = [shipped.INSTRUMENTS[SPOT]["BTCUSDT"], shipped.INSTRUMENTS[LINEAR]["BTCUSDT"]]
START_NS = 1_723_161_600_000_000_000
SECOND = 1_000_000_000
Told = list[tuple[str, int, int]]
Levels = list[tuple[str, str]]


class Rig:
    """A live book of two levels a side, and a recorder that hears of it."""

    def __init__(self, start_ns: int = START_NS) -> None:
        self.store, self.clock = MemoryStore(), VirtualClock(start_ns)
        self.recorder = Recorder(self.store, INSTRUMENTS, self.clock)
        self.sink = self.recorder.keep_books([0])
        self.book = OrderBook(2, is_window=False)
        self.recorder.start()

    def at(self, ts_ns: int) -> None:
        self.clock.advance_to(ts_ns)

    def change(self, sequence: int, bids: Levels | None = None, *, whole: bool = False, usable: bool = True) -> None:
        asks = [("200", "1"), ("201", "1")] if whole else []
        change = BookChange(bids=tuple(bids or ()), asks=tuple(asks), sequence=sequence, whole=whole, ts_event_ns=7)
        self.book.apply(change)
        self.sink.on_book(0, self.book if usable else None, change, self.clock.now_ns())

    def rows(self) -> list[dict[str, Any]]:
        self.recorder.close()
        return self.store.of(Channel.DEPTH, INSTRUMENTS[0].id)

    def messages(self) -> Told:
        rows = {row["message"]: (row["kind"], row["first_id"], row["last_id"]) for row in self.rows()}
        return list(rows.values())


def test_a_snapshot_stands_level_by_level_and_a_delta_as_it_came() -> None:
    rig = Rig()
    rig.change(5, [("100", "1"), ("99", "2")], whole=True)
    rig.change(6, [("100", "0"), ("99.5", "0.1")])
    rows = rig.rows()
    first = rows[0]["message"]
    assert [(row["message"] - first, row["kind"], row["side"], row["price"], row["quantity"]) for row in rows] == [
        (0, "snapshot", 1, 100.0, 1.0),
        (0, "snapshot", 1, 99.0, 2.0),
        (0, "snapshot", -1, 200.0, 1.0),
        (0, "snapshot", -1, 201.0, 1.0),
        (1, "delta", 1, 100.0, 0.0),
        (1, "delta", 1, 99.5, 0.1),
    ]
    assert {row["ts_event_ns"] for row in rows} == {7}
    assert {row["ts_recv_ns"] for row in rows} == {START_NS}


def test_changes_that_a_snapshot_has_already_are_not_written_again() -> None:
    rig = Rig()
    whole = BookChange(bids=(("100", "1"),), asks=(("200", "1"),), sequence=5, whole=True)
    later = BookChange(bids=(("99", "1"),), asks=(), sequence=6)
    for change in (whole, later):
        rig.book.apply(change)
    for change in (whole, later):  # told one after the other, with the book that has both
        rig.sink.on_book(0, rig.book, change, START_NS)
    rig.change(7, [("99", "3")])
    assert rig.messages() == [("snapshot", 6, 6), ("delta", 7, 7)]


def test_the_first_message_of_a_minute_is_the_book() -> None:
    rig = Rig(START_NS + WHOLE_EVERY_NS - SECOND // 2)
    rig.change(5, [("100", "1")], whole=True)
    rig.at(START_NS + WHOLE_EVERY_NS)
    rig.change(6, [("100", "4")])
    rig.change(7, [("100", "5")])
    assert rig.messages() == [("snapshot", 5, 5), ("snapshot", 6, 6), ("delta", 7, 7)]


def test_a_book_that_does_not_change_is_written_every_minute_all_the_same() -> None:
    rig = Rig()
    rig.change(5, [("100", "1")], whole=True)
    rig.at(START_NS + 2 * WHOLE_EVERY_NS + 2 * SECOND)
    times = sorted({row["ts_recv_ns"] for row in rig.rows()})
    assert len(times) == 3
    for number, ts_ns in enumerate(times):
        assert 0 <= ts_ns - START_NS - number * WHOLE_EVERY_NS <= 2 * SECOND


def test_levels_that_the_book_let_pass_are_left_out() -> None:
    rig = Rig()
    rig.change(5, [("100", "1"), ("99", "1")], whole=True)
    rig.change(6, [("98", "1")])  # behind the two levels that are known
    rig.change(7, [("98", "1"), ("100", "2")])
    rows = rig.rows()
    deltas = [(row["last_id"], row["side"], row["price"]) for row in rows if row["kind"] == "delta"]
    assert deltas == [(6, 0, 0.0), (7, 1, 100.0)], "a message without levels is one row"


def test_a_book_that_is_lost_ends_and_comes_back_whole() -> None:
    rig = Rig()
    rig.change(5, [("100", "1")], whole=True)
    rig.at(START_NS + 3 * SECOND)
    rig.sink.on_book_state(0, BookState.INVALID, "a message is missing")
    rig.sink.on_book_state(0, BookState.SYNCING, "")
    rig.at(START_NS + 4 * SECOND)
    rig.change(9, [("100", "7")], usable=False)
    rig.sink.on_book_state(0, BookState.VALID, "")
    rig.change(10, [("100", "8")])
    rig.sink.on_malformed(SPOT, b"", "not JSON")
    rig.sink.on_malformed(LINEAR, b"", "of another feed")
    assert rig.messages() == [("snapshot", 5, 5), ("invalid", 6, 5), ("snapshot", 10, 10)]
    gaps = rig.store.of(Channel.GAPS, INSTRUMENTS[0].id)
    told = {(gap["channel"], gap["start_ns"] - START_NS, gap["stop_ns"] - START_NS, gap["reason"]) for gap in gaps}  # type: ignore[operator]
    assert told == {
        ("depth", 0, 4 * SECOND, "invalid: a message is missing"),
        ("depth", 4 * SECOND, 4 * SECOND + 1, "a frame: not JSON"),
    }
    assert rig.sink.invalidated == 1
    assert rig.sink.malformed == 2


def test_numbers_of_messages_go_on_from_run_to_run() -> None:
    first = Rig()
    for sequence in range(5, 9):
        first.change(sequence, [("100", str(sequence))], whole=sequence == 5)
    before = [row["message"] for row in first.rows()]
    second = Rig(START_NS + SECOND)
    second.change(1, [("100", "1")], whole=True)
    assert min(row["message"] for row in second.rows()) > max(before)


def test_rows_that_the_disk_refused_are_a_gap_and_the_book_begins_anew() -> None:
    rig = Rig()
    rig.change(5, [("100", "1")], whole=True)
    rig.sink.take(START_NS)
    rig.at(START_NS + SECOND)
    rig.sink.given_up(SPOT, START_NS, START_NS + 1, "given up")
    rig.change(6, [("100", "2")])
    assert rig.messages() == [("snapshot", 5, 5), ("delta", 6, 6)]
    (gap,) = rig.store.of(Channel.GAPS, INSTRUMENTS[0].id)
    assert (gap["channel"], gap["start_ns"], gap["stop_ns"]) == ("depth", START_NS, START_NS + 1)


def test_between_two_runs_the_book_is_missing() -> None:
    first = Rig()
    first.change(5, [("100", "1")], whole=True)
    first.recorder.close()
    clock = VirtualClock(START_NS + 100 * SECOND)
    recorder = Recorder(first.store, INSTRUMENTS, clock)
    sink = recorder.keep_books([0])
    recorder.start()
    clock.advance_to(START_NS + 103 * SECOND)
    sink.on_book_state(0, BookState.VALID, "")
    recorder.close()
    gaps = [gap for gap in first.store.of(Channel.GAPS, INSTRUMENTS[0].id) if gap["channel"] == "depth"]
    spans = [(gap["start_ns"], gap["stop_ns"]) for gap in gaps]
    assert spans[0][0] == START_NS + 1
    assert spans[-1][1] == START_NS + 103 * SECOND
