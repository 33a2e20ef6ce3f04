"""Trades and funding rates against plain lists; what was sealed comes back as it was."""

from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.market import FundingRate, PublicTrade
from bot.market import packed_history
from bot.market.funding_history import FundingColumns, FundingHistory
from bot.market.gap_marks import FOR_EVER_NS, KnownGap
from bot.market.trade_ids import pack_ids
from bot.market.trade_window import TradeColumns, TradeWindow

S = 1_000_000_000
START_NS = 1_723_161_254_000_000_000
HOLD_NS = 60 * S
GAP = st.sampled_from([0, 1, S, -5 * S, 17 * S, 50 * S]) | st.integers(0, 10**8)
EVENT = st.integers(START_NS, START_NS + 10**9) | st.sampled_from([0, 2**63 - 1, -(2**60)])
IDS = st.one_of(
    st.integers(0, 10**18).map(str),
    st.uuids().map(str),
    st.text(max_size=8),
    st.sampled_from(
        [
            "007",
            "",
            "\x00",
            "A" * 36,
            "٣",
            "-" * 36,
            str(UUID(int=5)).upper(),
            "9" * 30,
            "-5",
            "+5",
            "1_0",
            " 7",
            "1" * 5_000,
            str(2**63),
            str(2**63 - 1),
        ]
    ),
)
PRICE = st.integers(1, 10**7).map(lambda k: k / 100) | st.floats()
TRADES = st.builds(
    PublicTrade, price=PRICE, quantity=PRICE, buyer_is_maker=st.booleans(), trade_id=IDS, ts_event_ns=EVENT
)
FUNDINGS = st.builds(
    FundingRate,
    rate=st.integers(-(10**6), 10**6).map(lambda k: k / 1e8) | st.floats(-1, 1),
    next_funding_ns=EVENT,
    interval_h=st.sampled_from([None, 8.0, 4.0, 0.5]),
    mark_price=st.none() | st.floats(1, 1e6),
    ts_event_ns=EVENT,
)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_history, "SEAL_ROWS", 3)
    monkeypatch.setattr(packed_history, "LOADED_ROWS", 2)


def kept(rows: list[tuple[int, object]]) -> tuple[list[tuple[int, object]], int]:
    """The rows with the times that a window gives them, and how many stepped back."""
    steps, last_ns, found = 0, 0, []
    for ts_ns, value in rows:
        steps += ts_ns < last_ns
        last_ns = max(last_ns, ts_ns)
        found.append((last_ns, value))
    return found, steps


def timed(rows: list[tuple[int, object]]) -> list[tuple[int, object]]:
    times = START_NS + np.cumsum([gap for gap, _ in rows])
    return [(int(ts_ns), value) for ts_ns, (_, value) in zip(times, rows, strict=True)]


def spans(rows: list[tuple[int, object]]) -> list[tuple[int, int]]:
    times = sorted({0, *(ts_ns for ts_ns, _ in rows), rows[-1][0] + 1})
    return [(start, stop) for start in times[::3] for stop in times[::4]]


@given(rows=st.lists(st.tuples(GAP, TRADES), min_size=1, max_size=25))
@settings(deadline=None, max_examples=120)
def test_trades_come_back_as_they_were(rows: list[tuple[int, PublicTrade]]) -> None:
    given_rows = timed(rows)
    tested = TradeWindow(hold_h=HOLD_NS / 3.6e12, grid=(0.01, 0.01))
    for ts_ns, trade in given_rows:
        tested.append(ts_ns, trade)
    expected, steps = kept(given_rows)
    assert tested.clock_steps == steps
    assert tested.last_recv_ns == expected[-1][0]
    held = [row for row in expected if row[0] >= expected[-1][0] - HOLD_NS]
    assert len(tested) == len(held)
    for start_ns, stop_ns in spans(expected):
        wanted = [(ts_ns, trade) for ts_ns, trade in held if start_ns <= ts_ns < stop_ns]
        columns = tested.between(start_ns, stop_ns)
        assert columns.rows == len(wanted)
        assert columns.ts_recv_ns.tolist() == [ts_ns for ts_ns, _ in wanted]
        assert columns.ts_event_ns.tolist() == [trade.ts_event_ns for _, trade in wanted]
        assert columns.trade_id == [trade.trade_id for _, trade in wanted]
        assert columns.buyer_is_maker.tolist() == [trade.buyer_is_maker for _, trade in wanted]
        for name in ("price", "quantity"):
            values = np.array([getattr(trade, name) for _, trade in wanted], np.float64)
            assert getattr(columns, name).view(np.int64).tolist() == values.view(np.int64).tolist()


@given(rows=st.lists(st.tuples(GAP, FUNDINGS), min_size=1, max_size=25))
@settings(deadline=None, max_examples=100)
def test_funding_rates_come_back_as_they_were(rows: list[tuple[int, FundingRate]]) -> None:
    tested = FundingHistory(hold_h=HOLD_NS / 3.6e12, tick=0.01)
    for ts_ns, funding in timed(rows):
        tested.append(ts_ns, funding)
    expected, _ = kept(timed(rows))
    held = [row for row in expected if row[0] >= expected[-1][0] - HOLD_NS]
    assert len(tested) == len(held)
    for start_ns, stop_ns in spans(expected):
        assert tested.between(start_ns, stop_ns) == [row for row in held if start_ns <= row[0] < stop_ns]
        before = [row for row in held if row[0] <= start_ns]
        assert tested.as_of(start_ns) == (before[-1] if before else None)


def trade_columns(rows: list[tuple[int, PublicTrade]]) -> TradeColumns:
    trades = [trade for _, trade in rows]
    return TradeColumns(
        np.array([ts_ns for ts_ns, _ in rows], np.int64),
        np.array([trade.ts_event_ns for trade in trades], np.int64),
        [trade.trade_id for trade in trades],
        np.array([trade.price for trade in trades], np.float64),
        np.array([trade.quantity for trade in trades], np.float64),
        np.array([trade.buyer_is_maker for trade in trades], np.bool_),
    )


def funding_columns(rows: list[tuple[int, FundingRate]]) -> FundingColumns:
    rates = [rate for _, rate in rows]
    return FundingColumns(
        np.array([ts_ns for ts_ns, _ in rows], np.int64),
        np.array([rate.ts_event_ns for rate in rates], np.int64),
        np.array([rate.rate for rate in rates], np.float64),
        np.array([rate.next_funding_ns for rate in rates], np.int64),
        np.array([rate.interval_h or 0.0 for rate in rates], np.float64),
        np.array([rate.mark_price or 0.0 for rate in rates], np.float64),
    )


FORWARD = st.integers(1, 20 * S)


def split(rows: list[tuple[int, object]], cuts: list[int]) -> list[list[tuple[int, object]]]:
    borders = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    return [rows[start:stop] for start, stop in pairwise(borders)]


@given(
    rows=st.lists(st.tuples(FORWARD, TRADES.filter(lambda trade: trade.ts_event_ns > 0)), min_size=1, max_size=25),
    cuts=st.lists(st.integers(0, 25), max_size=3),
    live_first=st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_loaded_trades_are_like_appended_ones(
    rows: list[tuple[int, PublicTrade]], cuts: list[int], *, live_first: bool
) -> None:
    *parts, live = split(timed(rows), cuts)
    tested, reference = (TradeWindow(hold_h=HOLD_NS / 3.6e12, grid=(0.01, 0.01)) for _ in range(2))
    for ts_ns, trade in timed(rows):
        reference.append(ts_ns, trade)
    # A run has trades of its own before the archive is read, or has none yet.
    for ts_ns, trade in live if live_first else []:
        tested.append(ts_ns, trade)
    for part in reversed(parts):
        tested.load(trade_columns(part))
    for ts_ns, trade in [] if live_first else live:
        tested.append(ts_ns, trade)
    assert len(tested) == len(reference)
    for start_ns, stop_ns in spans(timed(rows)):
        for found, wanted in zip(tested.between(start_ns, stop_ns), reference.between(start_ns, stop_ns), strict=True):
            assert list(map(repr, found)) == list(map(repr, wanted))


@given(
    rows=st.lists(st.tuples(FORWARD, FUNDINGS), min_size=1, max_size=25), cuts=st.lists(st.integers(0, 25), max_size=3)
)
@settings(deadline=None, max_examples=80)
def test_loaded_rates_are_like_appended_ones(rows: list[tuple[int, FundingRate]], cuts: list[int]) -> None:
    *parts, live = split(timed(rows), cuts)
    tested, reference = (FundingHistory(hold_h=HOLD_NS / 3.6e12, tick=0.01) for _ in range(2))
    for ts_ns, rate in timed(rows):
        reference.append(ts_ns, rate)
    for part in reversed(parts):
        tested.load(funding_columns(part))
    for ts_ns, rate in live:
        tested.append(ts_ns, rate)
    assert len(tested) == len(reference)
    for start_ns, stop_ns in spans(timed(rows)):
        assert tested.between(start_ns, stop_ns) == reference.between(start_ns, stop_ns)
        assert tested.as_of(start_ns) == reference.as_of(start_ns)


def a_trade(number: int) -> PublicTrade:
    return PublicTrade(price=1.0, quantity=1.0, buyer_is_maker=True, trade_id=str(number), ts_event_ns=START_NS)


def test_what_is_not_older_than_all_that_is_held_is_not_loaded() -> None:
    trades = TradeWindow(hold_h=HOLD_NS / 3.6e12)
    trades.append(START_NS, a_trade(1))
    for times in ([START_NS], [START_NS - 5, START_NS], [START_NS - 5, START_NS - 6]):
        with pytest.raises(ValueError, match="rows to load"):
            trades.load(trade_columns([(ts_ns, a_trade(2)) for ts_ns in times]))
    trades.load(trade_columns([]))
    assert trades.between(0, START_NS + 1).trade_id == ["1"]
    for number in range(40):
        trades.append(START_NS + number * 10 * S, a_trade(number))
    trades.load(trade_columns([(START_NS - 5, a_trade(2))]))
    assert len(trades) == 7, "older ones have been dropped: it is too old as well"


def test_a_gap_lasts_until_the_next_row_or_until_it_is_told_to_end() -> None:
    trades = TradeWindow()
    trades.begin_gap(START_NS, "no program")
    trades.begin_gap(START_NS + 5, "still none")
    assert trades.gaps(0, START_NS) == []
    assert trades.gaps(0, START_NS + 1) == [KnownGap(START_NS, FOR_EVER_NS, "no program")]
    for number in range(7):
        trades.append(START_NS + 10 * S + number, a_trade(number))
    assert trades.gaps(0, START_NS + 1) == [KnownGap(START_NS, START_NS + 10 * S, "no program")]
    trades.begin_gap(START_NS + 20 * S, "lost")
    trades.end_gap(START_NS + 21 * S)
    trades.end_gap(START_NS + 30 * S)
    assert trades.gaps(START_NS + 20 * S, 2**62) == [KnownGap(START_NS + 20 * S, START_NS + 21 * S, "lost")]
    assert trades.gaps(START_NS + 21 * S, 2**62) == []
    trades.begin_gap(START_NS + 25 * 3_600 * S, "a day later")
    assert [gap.reason for gap in trades.gaps(0, 2**62)] == ["a day later"]


@given(ids=st.lists(IDS, min_size=1, max_size=10) | st.lists(st.uuids().map(str), min_size=1, max_size=10))
def test_ids_come_back_character_by_character(ids: list[str]) -> None:
    packed = pack_ids(ids)
    assert packed.texts(0, len(ids)) == ids
    assert packed.texts(len(ids) // 2, len(ids)) == ids[len(ids) // 2 :]


def test_ids_take_few_bytes() -> None:
    assert pack_ids([str(10**12 + i) for i in range(1_000)]).nbytes == 2_000
    assert pack_ids([str(UUID(int=i * 2**100)) for i in range(1_000)]).nbytes == 16_000
    assert pack_ids(["trade"] * 1_000).nbytes < 10_000


def test_a_time_beyond_64_bits_is_refused_and_nothing_is_kept() -> None:
    trades, rates = TradeWindow(), FundingHistory()
    for event_ns in (2**63, -(2**63) - 1, -(2**63)):
        trade = PublicTrade(price=1.0, quantity=1.0, buyer_is_maker=True, trade_id="1", ts_event_ns=event_ns)
        with pytest.raises(OverflowError, match="64 bits"):
            trades.append(START_NS, trade)
    with pytest.raises(OverflowError, match="64 bits"):
        rates.append(START_NS, FundingRate(rate=0.0, next_funding_ns=2**63, ts_event_ns=1))
    with pytest.raises(OverflowError, match="64 bits"):
        rates.append(2**63, FundingRate(rate=0.0, next_funding_ns=1, ts_event_ns=1))
    assert (len(trades), len(rates), trades.last_recv_ns, rates.last_recv_ns) == (0, 0, 0, 0)


def test_a_packed_trade_takes_25_bytes_and_the_day_before_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_history, "SEAL_ROWS", 1_024)
    trades = TradeWindow(hold_h=0.5, grid=(0.1, 0.001))
    for i in range(20 * 1_024):
        ts_ns = START_NS + i * S // 5
        trades.append(
            ts_ns,
            PublicTrade(
                price=(600_000 + i % 900) / 10,
                quantity=(i * 7_919 % 100_000) / 1_000,
                buyer_is_maker=i % 2 == 0,
                trade_id=str(10**10 + 3 * i),
                ts_event_ns=ts_ns - 10**7 - i * 10**6 % 10**8,
            ),
        )
    assert len(trades) == 9_001
    assert trades.nbytes <= 10 * 1_024 * 25


def test_empty_windows_answer() -> None:
    assert TradeWindow().between(0, START_NS).rows == 0
    assert FundingHistory().between(0, START_NS) == []
    assert FundingHistory().as_of(START_NS) is None
