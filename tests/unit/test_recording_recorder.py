"""The recorder's rows, gaps and back-pressure, with a store in memory and a clock that is moved by hand."""

import threading
from collections.abc import Callable
from math import nan

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PrintedQuote, PublicTrade, TopOfBook
from bot.ports import FeedState
from bot.recording.recorder import Recorder, RecorderLimits
from bot.storage.archive.channels import Channel
from exchanges.binance import shipped as binance
from exchanges.bybit import shipped as bybit
from tests.unit.recording_memory import MemoryStore

SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")
INSTRUMENTS: list[Instrument] = [
    binance.INSTRUMENTS[SPOT]["BTCUSDT"],
    binance.INSTRUMENTS[LINEAR]["BTCUSDT"],
    binance.INSTRUMENTS[LINEAR]["ETHUSDT"],
    bybit.INSTRUMENTS[Feed.parse("bybit.linear")]["BTCUSDT"],
]
BTC_SPOT, BTC, ETH, BYBIT_BTC = range(4)
START_NS = 1_723_161_600_000_000_000
SECOND = 1_000_000_000


class Rig:
    def __init__(self, store: MemoryStore | None = None, limits: RecorderLimits | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = VirtualClock(START_NS)
        self.said: list[tuple[str, str]] = []
        self.recorder = Recorder(
            self.store,
            INSTRUMENTS,
            self.clock,
            limits=limits or RecorderLimits(retry_s=0.01),
            log=lambda level, text: self.said.append((level, text)),
        )

    def at(self, seconds: float) -> int:
        self.clock.advance_to(START_NS + round(seconds * 1e9))
        return self.clock.now_ns()

    def quote(self, slot: int, seconds: float, sequence: int = 1, **other: float) -> None:
        values = {"bid_price": 100.0, "bid_qty": 1.0, "ask_price": 100.5, "ask_qty": 2.0} | other
        quote = TopOfBook.model_validate(values | {"sequence": sequence, "ts_event_ns": START_NS + 7})
        self.recorder.on_quote(slot, quote, self.at(seconds), b"{}")

    def gaps(self, slot: int) -> list[tuple[str, float, float, str]]:
        rows = self.store.of(Channel.GAPS, INSTRUMENTS[slot].id)
        return [
            (row["channel"], (row["start_ns"] - START_NS) / 1e9, (row["stop_ns"] - START_NS) / 1e9, row["reason"])  # type: ignore[operator, misc]
            for row in rows
        ]


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


def test_a_quote_is_kept_as_it_came() -> None:
    rig = Rig()
    rig.recorder.start()
    quote = TopOfBook(bid_price=0.1, bid_qty=nan, ask_price=0.05, ask_qty=0.0, sequence=2**63 - 1)
    rig.recorder.on_quote(BTC_SPOT, quote, START_NS + 5, b"")
    assert rig.recorder.close() == 0
    (row,) = rig.store.of(Channel.QUOTES, "binance:BTC/USDT")
    assert row["bid_qty"] != row["bid_qty"]
    assert row | {"bid_qty": None} == {
        "instrument": "binance:BTC/USDT",
        "ts_recv_ns": START_NS + 5,
        "ts_event_ns": None,
        "sequence": 2**63 - 1,
        "bid_price": 0.1,
        "bid_qty": None,
        "ask_price": 0.05,
        "ask_qty": 0.0,
    }


def test_trades_and_funding_are_kept_as_they_came() -> None:
    rig = Rig()
    rig.recorder.start()
    trade = PublicTrade(price=1.5, quantity=0.1, buyer_is_maker=True, trade_id="7ä", ts_event_ns=3)
    rig.recorder.on_trade(BTC, trade, START_NS + 1)
    rig.recorder.on_trade(BTC, trade, START_NS + 2)
    rig.recorder.on_funding(
        ETH, FundingRate(rate=-1e-4, next_funding_ns=9, interval_h=8.0, mark_price=2.5, ts_event_ns=4), START_NS + 3
    )
    rig.recorder.on_funding(ETH, FundingRate(rate=1e-4, next_funding_ns=9, ts_event_ns=5), START_NS + 4)
    rig.recorder.close()
    first, second = rig.store.of(Channel.TRADES, "binance:BTC/USDT:USDT")
    assert first == {
        "instrument": "binance:BTC/USDT:USDT",
        "ts_recv_ns": START_NS + 1,
        "ts_event_ns": 3,
        "trade_id": "7ä",
        "price": 1.5,
        "quantity": 0.1,
        "buyer_is_maker": True,
    }
    assert second == first | {"ts_recv_ns": START_NS + 2}
    told, untold = rig.store.of(Channel.FUNDING, "binance:ETH/USDT:USDT")
    assert (told["interval_h"], told["mark_price"], told["rate"]) == (8.0, 2.5, -1e-4)
    assert (untold["interval_h"], untold["mark_price"], untold["ts_event_ns"]) == (None, None, 5)


def test_each_minute_is_a_segment_of_each_feed_written_by_one_other_thread() -> None:
    rig = Rig()
    rig.recorder.start()
    for second in (1.0, 59.0, 61.0, 125.0):
        rig.quote(BTC_SPOT, second)
        rig.quote(BYBIT_BTC, second)
    rig.recorder.close()
    found = [(info.scope, info.rows) for info in rig.store.segments(Channel.QUOTES)]
    assert found == [("binance.spot", 2), ("bybit.linear", 2)] + [("binance.spot", 1), ("bybit.linear", 1)] * 2
    assert len(rig.store.threads) == 1
    assert threading.get_ident() not in rig.store.threads
    assert rig.store.known["binance:BTC/USDT"] == INSTRUMENTS[BTC_SPOT]


def test_rows_leave_memory_early_when_they_are_many() -> None:
    rig = Rig(limits=RecorderLimits(max_rows=10))
    rig.recorder.start()
    for number in range(10):
        rig.quote(BTC, 0.1, number)
    rig.at(2.0)
    wait_for(lambda: rig.recorder.status().rows == 10)
    rig.recorder.close()


def test_a_stepped_clock_leaves_rows_in_order() -> None:
    rig = Rig()
    rig.recorder.start()
    quote = TopOfBook(bid_price=1, bid_qty=1, ask_price=2, ask_qty=1, sequence=1)
    times = [50, 40, 60, 55]
    for at in times[:2]:
        rig.recorder.on_quote(BTC, quote, START_NS + at, b"")
    rig.recorder.flush()
    rig.recorder.on_quote(BTC, quote, START_NS + 45, b"")
    for at in times[2:]:
        rig.recorder.on_quote(BTC, quote, START_NS + at, b"")
    rig.recorder.close()
    rows = rig.store.of(Channel.QUOTES, INSTRUMENTS[BTC].id)
    assert [row["ts_recv_ns"] for row in rows] == [START_NS + at for at in (50, 50, 50, 60, 60)]


def test_a_lost_connection_is_a_gap_in_every_channel_of_its_feed() -> None:
    rig = Rig()
    rig.recorder.start()
    rig.quote(BTC, 20.0)
    rig.at(23.0)
    rig.recorder.on_feed_state(LINEAR, FeedState.RECONNECTING, "reset")
    rig.recorder.on_feed_state(LINEAR, FeedState.RECONNECTING, "again")
    rig.at(25.0)
    rig.recorder.on_feed_state(LINEAR, FeedState.LIVE, "")
    rig.recorder.close()
    assert rig.gaps(BTC) == [
        ("quotes", 20.0, 25.0, "reconnecting: reset"),
        ("trades", 13.0, 25.0, "reconnecting: reset"),
        ("funding", 13.0, 25.0, "reconnecting: reset"),
    ]
    assert [channel for channel, *_ in rig.gaps(ETH)] == ["quotes", "trades", "funding"]
    assert rig.gaps(BTC_SPOT) == rig.gaps(BYBIT_BTC) == []


def test_a_gap_that_lasts_is_written_while_it_lasts() -> None:
    rig = Rig()
    rig.recorder.start()
    rig.at(30.0)
    rig.recorder.on_feed_state(SPOT, FeedState.FAILED, "gone")
    rig.at(130.0)
    rig.recorder.close()
    spans = [(start, stop) for channel, start, stop, _ in rig.gaps(BTC_SPOT) if channel == "trades"]
    assert spans[0][0] == 20.0
    assert spans[-1][1] == 130.0
    assert [stop for _, stop in spans[:-1]] == [start for start, _ in spans[1:]]
    assert len(spans) == 3


def test_frames_that_do_not_decode_are_gaps_of_the_whole_feed() -> None:
    rig = Rig()
    rig.recorder.start()
    for second in (1.0, 3.0):
        rig.at(second)
        rig.recorder.on_malformed(SPOT, b"", "not JSON \ud800")
    rig.recorder.close()
    reason = "2 frames did not decode, the first: not JSON ?"
    assert rig.gaps(BTC_SPOT) == [
        (channel, 1.0, pytest.approx(3.0, abs=1e-6), reason) for channel in ("quotes", "trades")
    ]
    assert rig.recorder.malformed[SPOT] == 2


def test_a_number_that_fits_no_column_is_a_malformed_frame() -> None:
    rig = Rig()
    rig.recorder.start()
    rig.quote(BTC, 1.0, 2**63)
    rig.quote(BTC, 2.0, 5)
    rig.recorder.close()
    assert [row["sequence"] for row in rig.store.of(Channel.QUOTES, INSTRUMENTS[BTC].id)] == [5]
    assert {channel for channel, *_ in rig.gaps(BTC)} == {"quotes", "trades", "funding"}


def test_the_time_between_two_runs_is_a_gap_and_durable_before_the_rows_behind_it() -> None:
    first = Rig()
    first.recorder.start()
    first.quote(BTC, 100.0)
    first.recorder.close()
    second = Rig(first.store)
    second.at(500.0)
    second.recorder.start()
    second.at(503.0)
    second.recorder.on_feed_state(LINEAR, FeedState.LIVE, "")
    second.quote(BTC, 504.0)
    second.recorder.close()
    assert [info.channel for info in first.store.segments()] == [Channel.QUOTES, Channel.GAPS, Channel.QUOTES]
    ((channel, start, stop, reason),) = second.gaps(BTC)
    assert (channel, stop) == ("quotes", 503.0)
    assert start == pytest.approx(100.0, abs=1e-6)
    assert "did not run" in reason
    assert second.gaps(BYBIT_BTC) == []


def test_while_the_disk_refuses_rows_wait_and_then_all_are_written() -> None:
    rig = Rig()
    rig.store.full = "no space left"
    rig.recorder.start()
    for minute in range(5):
        rig.quote(BTC, minute * 60 + 1.0, minute)
        rig.at(minute * 60 + 62.0)
    wait_for(lambda: rig.recorder.status().trouble == "no space left")
    rig.at(304.0)
    assert rig.recorder.status().waiting_rows == 5
    assert rig.recorder.lag_s() > 240
    assert ("error", "archive: no space left; rows wait in memory") in rig.said
    rig.store.full = None
    assert rig.recorder.close() == 0
    assert [row["sequence"] for row in rig.store.of(Channel.QUOTES, INSTRUMENTS[BTC].id)] == [0, 1, 2, 3, 4]
    assert rig.said[-1] == ("info", "archive: it takes rows again")
    assert rig.gaps(BTC) == []


def test_what_had_to_be_given_up_is_a_gap() -> None:
    rig = Rig(limits=RecorderLimits(max_waiting_rows=3, retry_s=0.01))
    rig.store.full = "no space left"
    rig.recorder.start()
    for minute in range(6):
        rig.quote(BTC, minute * 60 + 1.0, minute)
        rig.at(minute * 60 + 61.0)
        wait_for(rig.store.refused.is_set)
    rig.store.full = None
    assert rig.recorder.close() == 0
    kept = {row["sequence"] for row in rig.store.of(Channel.QUOTES, INSTRUMENTS[BTC].id)}
    lost = {round(start - 1.0) // 60 for _, start, _, reason in rig.gaps(BTC) if "given up" in reason}
    assert len(kept) == len(lost) == 3
    assert kept | lost == set(range(6))
    assert max(kept) == 5
    # Only the batch that was being tried may stand before the gaps of those that were given up.
    order = [info.channel for info in rig.store.segments()]
    assert order.index(Channel.GAPS) <= 1
    assert order[-2:] == [Channel.QUOTES] * 2
    assert rig.recorder.status().dropped_rows == 3


def test_a_batch_that_is_being_written_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(limits=RecorderLimits(max_waiting_rows=1, retry_s=0.01))
    write, begun, go_on = rig.store.write, threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        begun.set()
        assert go_on.wait(60)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.store, "write", slow)
    rig.recorder.start()
    for minute in range(3):
        rig.quote(BTC, minute * 60 + 1.0, minute)
        rig.at(minute * 60 + 61.0)
        assert begun.wait(60)
    go_on.set()
    assert rig.recorder.close() == 0
    assert {row["sequence"] for row in rig.store.of(Channel.QUOTES, INSTRUMENTS[BTC].id)} == {0}
    assert rig.recorder.status().dropped_rows == 2
    assert rig.recorder.status().waiting_rows == 0


def test_what_cannot_be_saved_at_the_end_is_counted() -> None:
    rig = Rig()
    rig.store.full = "read-only"
    rig.recorder.start()
    rig.quote(BTC, 1.0)
    assert rig.recorder.close(patience_s=0.15) == 1
    assert ("warning", "archive: what waits is tried for 0.14 s more, then given up") in rig.said


def test_a_batch_that_no_store_can_take_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    write = rig.store.write

    def picky(channel: Channel, *rest: object) -> object:
        if channel is Channel.QUOTES:
            raise KeyError("a bug")
        return write(channel, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.store, "write", picky)
    rig.recorder.start()
    rig.quote(BTC, 1.0)
    rig.recorder.on_trade(
        BTC, PublicTrade(price=1, quantity=1, buyer_is_maker=False, trade_id="1", ts_event_ns=1), rig.at(2.0)
    )
    rig.at(61.0)
    wait_for(lambda: rig.recorder.status().waiting_rows == 0)
    rig.recorder.close()
    assert len(rig.store.of(Channel.TRADES, INSTRUMENTS[BTC].id)) == 1
    assert [(channel, reason) for channel, _, _, reason in rig.gaps(BTC)] == [
        ("quotes", "no archive can take it: KeyError: 'a bug'")
    ]


def test_views_are_sampled_with_the_digits_of_every_venue_that_quotes() -> None:
    rig = Rig()

    def printed(feed: Feed, raw: bytes) -> PrintedQuote:
        return PrintedQuote(
            symbol=str(feed), top_bid=raw.decode(), top_bid_quantity="1", top_ask="2.00", top_ask_quantity="3"
        )

    rig.recorder.start()
    rig.recorder.sample_views(["BTC/USDT:USDT", "XRP/USDT"], printed, per_s=2.0)
    quote = TopOfBook(bid_price=1, bid_qty=1, ask_price=2, ask_qty=1, sequence=1, ts_event_ns=5_999_999)
    rig.at(0.6)
    rig.recorder.on_quote(BTC, quote, rig.at(0.7), b"1.10")
    rig.at(1.2)
    rig.recorder.on_quote(BYBIT_BTC, quote.model_copy(update={"ts_event_ns": 7_000_001}), rig.at(1.3), b"1.20")
    rig.at(1.6)
    rig.recorder.on_feed_state(LINEAR, FeedState.RECONNECTING, "")
    rig.at(2.1)
    rig.recorder.close()
    rows = rig.store.of(Channel.VIEWS, "BTC/USDT:USDT")
    seen = [str(row["view"]) for row in rows]
    assert [row["ts_recv_ns"] for row in rows] == [START_NS + half * SECOND // 2 for half in (2, 3, 4)]
    assert seen[0] == (
        '{"event_time":5,"binance":{"symbol":"binance.linear","top_bid":"1.10","top_bid_quantity":"1",'
        '"top_ask":"2.00","top_ask_quantity":"3"}}'
    )
    assert '"event_time":7,"binance"' in seen[1]
    assert '"bybit":{"symbol":"bybit.linear","top_bid":"1.20"' in seen[1]
    assert '"binance"' not in seen[2]
