"""What a new run finds in the archive: its windows, and until when it was recorded."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.instrument import Feed
from bot.domain.market import PublicTrade, TopOfBook
from bot.market.columns import Columns
from bot.market.funding_history import FundingHistory
from bot.market.gap_marks import FOR_EVER_NS, GapMarks
from bot.market.gate_again import gate_again
from bot.market.quote_gate import QuoteGate
from bot.market.trade_window import TradeWindow
from bot.recording import archived
from bot.recording.directory import Directory
from bot.recording.restart import DAY_NS, fill_funding, fill_trades, fill_windows, recorded_until
from bot.settings import QuoteGateSettings
from bot.storage.archive.channels import SCHEMAS, Channel
from exchanges.binance import shipped
from tests.unit.recording_memory import MemoryStore

SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")
BTC, ETH = (shipped.INSTRUMENTS[SPOT][symbol] for symbol in ("BTCUSDT", "ETHUSDT"))
PERP = shipped.INSTRUMENTS[LINEAR]["BTCUSDT"]
KNOWN = {one.id: one for one in (BTC, ETH, PERP)}
NOW_NS = 1_723_161_600_000_000_000
SECOND = 1_000_000_000
Row = tuple[str, int, int]
"""Instrument, seconds before now, sequence."""


class Loaded:
    """A window that takes only what is older than all that it has."""

    def __init__(self) -> None:
        self.parts: list[Columns] = []
        self.gap_marks = GapMarks(DAY_NS)
        self.lasting: list[tuple[int, str]] = []

    def begin_gap(self, start_ns: int, reason: str) -> None:
        self.lasting.append((start_ns, reason))

    def load(self, columns: Columns) -> None:
        assert columns.rows
        assert (np.diff(columns.ts_recv_ns) >= 0).all()
        assert not any(column.flags.writeable for column in columns)
        if self.parts:
            assert columns.ts_recv_ns[-1] < self.parts[-1].ts_recv_ns[0]
        self.parts.append(columns)

    def all(self, name: str) -> list[float]:
        return [value for part in reversed(self.parts) for value in getattr(part, name).tolist()]


def save(store: MemoryStore, feed: Feed, rows: Sequence[Row], **other: float) -> None:
    values = {"bid_price": 100.0, "bid_qty": 1.0, "ask_price": 100.5, "ask_qty": 2.0} | other
    table = [
        {"instrument": name, "ts_recv_ns": NOW_NS - ago * SECOND, "ts_event_ns": None, "sequence": sequence} | values
        for name, ago, sequence in rows
    ]
    store.write(Channel.QUOTES, str(feed), pa.Table.from_pylist(table, SCHEMAS[Channel.QUOTES]), KNOWN)


def test_each_window_gets_its_rows_of_the_last_day_in_order() -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 90_000, 1), (BTC.id, 80_000, 2), (ETH.id, 70_000, 7)])
    save(store, LINEAR, [(PERP.id, 75_000, 9)])
    save(store, SPOT, [(ETH.id, 60, 8), (BTC.id, 50, 3), (BTC.id, 50, 4)])
    save(store, SPOT, [(BTC.id, 50, 5), (BTC.id, 0, 6)])
    windows = {one.id: Loaded() for one in (BTC, ETH, PERP)}
    filled = fill_windows(store, windows, NOW_NS)
    assert windows[BTC.id].all("sequence") == [2, 3, 4, 5]
    assert windows[ETH.id].all("sequence") == [7, 8]
    assert windows[PERP.id].all("sequence") == [9]
    assert windows[BTC.id].all("ts_event_ns") == [0] * 4
    assert {name: one.rows for name, one in filled.items()} == {BTC.id: 4, ETH.id: 2, PERP.id: 1}


def test_quotes_that_no_gate_lets_pass_stay_out() -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 100, 1)])
    bad = [{"bid_price": nan}, {"ask_price": inf}, {"bid_price": 100.5}, {"bid_qty": 0.0}, {"ask_qty": -1.0}]
    for number, other in enumerate(bad):
        save(store, SPOT, [(BTC.id, 90 - number, 2)], **other)
    save(store, SPOT, [(BTC.id, 50, 9), (BTC.id, 49, 5), (BTC.id, 48, 9), (BTC.id, 47, 1), (BTC.id, 46, 3)])
    window = Loaded()
    fill_windows(store, {BTC.id: window}, NOW_NS)
    assert window.all("sequence") == [1, 9, 9, 1, 3]


def test_an_instrument_without_an_archive_gets_nothing_but_a_gap() -> None:
    window = Loaded()
    filled = fill_windows(MemoryStore(), {BTC.id: window}, NOW_NS)
    assert window.parts == []
    assert [(gap.start_ns, gap.stop_ns) for gap in filled[BTC.id].gaps] == [(NOW_NS - DAY_NS, NOW_NS)]


def test_gaps_are_told_by_start_and_the_last_one_reaches_to_now() -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 1_000, 1), (BTC.id, 200, 2)])
    rows = [
        {"instrument": BTC.id, "ts_recv_ns": NOW_NS - 400 * SECOND, "channel": channel, "reason": "lost"}
        | {"start_ns": NOW_NS - 500 * SECOND, "stop_ns": NOW_NS - 400 * SECOND}
        for channel in ("trades", "quotes")
    ]
    store.write(Channel.GAPS, str(SPOT), pa.Table.from_pylist(rows, SCHEMAS[Channel.GAPS]), KNOWN)
    window = Loaded()
    gaps = fill_windows(store, {BTC.id: window}, NOW_NS)[BTC.id].gaps
    told = [(NOW_NS - gap.start_ns, NOW_NS - gap.stop_ns, gap.reason) for gap in gaps]
    assert told == [
        (500 * SECOND, 400 * SECOND, "lost"),
        (200 * SECOND - 1, 0, "the program did not run"),
    ]
    # The window knows them too, the last one until its next quote.
    assert window.gap_marks.between(0, NOW_NS, lambda _: None) == gaps[:1]
    assert window.lasting == [(gaps[1].start_ns, "the program did not run")]


@settings(deadline=None)
@given(
    parts=st.lists(st.lists(st.tuples(st.sampled_from([BTC.id, ETH.id]), st.integers(0, 20)), max_size=8), max_size=5),
    few=st.sampled_from([1, 8]),
    part_rows=st.sampled_from([1, 3, 1_000]),
)
def test_segments_may_overlap_and_share_times(parts: list[list[tuple[str, int]]], few: int, part_rows: int) -> None:
    store, sequence = MemoryStore(), 0
    expected: dict[str, list[tuple[int, int]]] = {BTC.id: [], ETH.id: []}
    for number, part in enumerate(parts):
        rows = []
        for name, ago in sorted(part, key=lambda one: -one[1]):
            sequence += 1
            rows.append((name, ago, 5))
            expected[name].append((NOW_NS - ago * SECOND, number))
        save(store, SPOT, rows, bid_qty=number + 1.0)
    windows = {BTC.id: Loaded(), ETH.id: Loaded()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archived, "FEW", few)
        patch.setattr(archived, "PART_ROWS", part_rows)
        fill_windows(store, windows, NOW_NS + 1)
    for name, window in windows.items():
        found = list(zip(window.all("ts_recv_ns"), [size - 1 for size in window.all("bid_qty")], strict=True))
        assert sorted(found) == sorted(expected[name])
        assert [ts_ns for ts_ns, _ in found] == sorted(ts_ns for ts_ns, _ in expected[name])


def test_the_end_of_a_recording_is_found_for_each_instrument() -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 200_000, 1)])
    save(store, LINEAR, [(PERP.id, 5_000, 1)])
    save(store, SPOT, [(BTC.id, 3_000, 1), (ETH.id, 2_000, 1)])
    save(store, SPOT, [(ETH.id, 1_000, 1)])
    directory = Directory([ETH, PERP, BTC, shipped.INSTRUMENTS[SPOT]["XRPUSDT"]])
    found = recorded_until(store, Channel.QUOTES, directory, NOW_NS)
    assert found == {
        0: NOW_NS - 1_000 * SECOND + 1,
        1: NOW_NS - 5_000 * SECOND + 1,
        # The file goes on without it: it was followed to the end of its minute.
        2: (NOW_NS - 3_000 * SECOND) // (60 * SECOND) * 60 * SECOND + 60 * SECOND,
    }
    assert recorded_until(store, Channel.TRADES, directory, NOW_NS) == {}


def test_what_was_recorded_long_ago_ended_then_and_not_a_day_ago() -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 500_000_000, 1), (ETH.id, 400_000_000, 1)])
    save(store, SPOT, [(BTC.id, 200_000, 2)])
    found = recorded_until(store, Channel.QUOTES, Directory([BTC, ETH]), NOW_NS)
    assert found == {0: NOW_NS - 200_000 * SECOND + 1, 1: NOW_NS - 400_000_000 * SECOND + 1}


def test_not_the_whole_archive_is_read_for_an_instrument_that_has_gone() -> None:
    store = MemoryStore()
    save(store, SPOT, [(ETH.id, 900_000, 1)])
    for ago in range(800_000, 700_000, -1_000):
        save(store, SPOT, [(BTC.id, ago, 1)])
    found = recorded_until(store, Channel.QUOTES, Directory([BTC, ETH]), NOW_NS)
    assert found[0] == NOW_NS - 701_000 * SECOND + 1
    assert found[1] == NOW_NS - (701_000 + 63_000) * SECOND, "the oldest that was looked at"


@pytest.mark.parametrize("now_ns", [NOW_NS - 10_000 * SECOND])
def test_a_run_in_the_past_of_its_archive_finds_nothing_ahead_of_it(now_ns: int) -> None:
    store = MemoryStore()
    save(store, SPOT, [(BTC.id, 12_000, 1)])
    save(store, SPOT, [(BTC.id, 1_000, 2)])
    assert recorded_until(store, Channel.QUOTES, Directory([BTC]), now_ns) == {0: NOW_NS - 12_000 * SECOND + 1}
    window = Loaded()
    fill_windows(store, {BTC.id: window}, now_ns)
    assert window.all("sequence") == [1]


def book(ago_ms: int, mid: float, late_ms: int | None = None) -> dict[str, Any]:
    recv_ns = NOW_NS - ago_ms * 1_000_000
    event_ns = None if late_ms is None else recv_ns - late_ms * 1_000_000
    sizes = {"bid_qty": 1.0, "ask_qty": 1.0, "bid_price": mid - 0.5, "ask_price": mid + 0.5}
    return {"instrument": BTC.id, "ts_recv_ns": recv_ns, "ts_event_ns": event_ns, "sequence": 10**9 - ago_ms, **sizes}


def again(*files: Sequence[dict[str, Any]], **gate: float) -> list[int]:
    """How many ms ago the quotes were that come back."""
    store = MemoryStore()
    for rows in files:
        store.write(Channel.QUOTES, str(SPOT), pa.Table.from_pylist(list(rows), SCHEMAS[Channel.QUOTES]), KNOWN)
    window = Loaded()
    fill_windows(store, {BTC.id: window}, NOW_NS, gate=gate_again(QuoteGateSettings(**gate)))
    return [(NOW_NS - int(ts_ns)) // 1_000_000 for ts_ns in window.all("ts_recv_ns")]


def test_a_jump_that_was_refused_stays_out_and_a_level_that_held_comes_in() -> None:
    quiet = [book(ago, 100.0) for ago in range(9_000, 5_000, -500)]
    spike = [book(4_900, 150.0), book(4_800, 150.0)]
    calm = [book(ago, 100.1) for ago in range(4_700, 3_000, -500)]
    moved = [book(ago, 150.0) for ago in range(2_900, 0, -250)]
    kept = [*range(9_000, 5_000, -500), 4_700, 4_200, 3_700, 3_200]
    held = [ago for ago in range(2_900, 0, -250) if 2_900 - ago >= 1_000]
    assert again(quiet + spike + calm + moved) == kept + held
    # What stood before a part is in the part before it.
    assert again(quiet, spike, calm, moved) == kept + held
    everything = [*range(9_000, 5_000, -500), 4_900, 4_800, 4_700, 4_200, 3_700, 3_200, *range(2_900, 0, -250)]
    assert again(quiet + spike + calm + moved, max_jump_bps=9_000.0) == everything


def test_quotes_that_came_late_stay_out_whatever_the_clocks_differ() -> None:
    for offset_ms in (-50_000, 0, 70_000):
        rows = [
            book(5_000, 100.0, offset_ms + 10),
            book(4_000, 100.0, offset_ms + 1_011),
            book(3_000, 100.0, offset_ms + 1_010),
            book(2_000, 100.0, None),
        ]
        assert again(rows) == [5_000, 3_000, 2_000]


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 900), st.sampled_from([100.0, 100.0, 101.0, 130.0, 131.0, 60.0])),
        min_size=1,
        max_size=40,
    )
)
def test_the_gate_asked_again_says_what_it_said(rows: list[tuple[int, float]]) -> None:
    waits = np.cumsum([wait for wait, _ in rows])
    told = [book(60_000 - int(wait), mid) for wait, (_, mid) in zip(waits, rows, strict=True)]
    gate = QuoteGate(QuoteGateSettings())
    expected = []
    for row in told:
        quote = TopOfBook(**{name: row[name] for name in TopOfBook.model_fields})
        if gate.refuse(quote, row["ts_recv_ns"], None) is None:
            expected.append((NOW_NS - row["ts_recv_ns"]) // 1_000_000)
    assert again(told) == expected


def test_trades_and_rates_come_back_with_their_gaps() -> None:
    store = MemoryStore()
    times = [NOW_NS - ago * SECOND for ago in (90_000, 400, 300, 300, 10)]
    trades = [
        {"instrument": PERP.id, "ts_recv_ns": ts_ns, "ts_event_ns": ts_ns - 5, "trade_id": str(number), "price": 100.5,
         "quantity": 0.25, "buyer_is_maker": number % 2 == 0}
        for number, ts_ns in enumerate(times)
    ]  # fmt: skip
    rates = [
        {"instrument": PERP.id, "ts_recv_ns": ts_ns, "ts_event_ns": ts_ns - 5, "rate": 1e-4 * number,
         "next_funding_ns": NOW_NS, "interval_h": 8.0 if number % 2 else None, "mark_price": None}
        for number, ts_ns in enumerate(times)
    ]  # fmt: skip
    for channel, rows in ((Channel.TRADES, trades), (Channel.FUNDING, rates)):
        for part in (rows[:3], rows[3:]):
            store.write(channel, str(LINEAR), pa.Table.from_pylist(part, SCHEMAS[channel]), KNOWN)
    lost = {
        "instrument": PERP.id,
        "ts_recv_ns": times[2],
        "channel": "trades",
        "start_ns": times[1],
        "stop_ns": times[2],
    }
    store.write(
        Channel.GAPS, str(LINEAR), pa.Table.from_pylist([lost | {"reason": "lost"}], SCHEMAS[Channel.GAPS]), KNOWN
    )
    window, history = TradeWindow(), FundingHistory()
    filled = fill_trades(store, {PERP.id: window, BTC.id: TradeWindow()}, NOW_NS)
    assert (filled[PERP.id].rows, filled[BTC.id].rows) == (4, 0)
    assert window.between(0, NOW_NS).trade_id == ["1", "2", "3", "4"]
    assert fill_funding(store, {PERP.id: history}, NOW_NS)[PERP.id].rows == 4
    assert [(rate.rate, rate.interval_h, rate.mark_price) for _, rate in history.between(0, NOW_NS)] == [
        (1e-4, 8.0, None), (2e-4, None, None), (1e-4 * 3, 8.0, None), (4e-4, None, None)
    ]  # fmt: skip
    away = (times[4] + 1, FOR_EVER_NS, "the program did not run")
    assert window.gaps(0, NOW_NS) == [(times[1], times[2], "lost"), away]
    assert history.gaps(0, NOW_NS) == [away]
    window.append(NOW_NS + 7, PublicTrade(price=1.0, quantity=1.0, buyer_is_maker=True, trade_id="5", ts_event_ns=1))
    assert window.gaps(times[3], NOW_NS) == [(times[4] + 1, NOW_NS + 7, "the program did not run")]
