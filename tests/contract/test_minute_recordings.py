"""Minute rows of the recordings against sums over the raw lines, made with nothing of ours."""

import json
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from bot.domain.instrument import Instrument
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.minutes.jobs import MinuteJobs
from bot.storage.minutes.trades import to_minute_trades_row
from bot.storage.queries import JournalReader
from tests.contract.recorded_archive import FILES, Recording, lines, needs_recordings, record, recorded

pytestmark = needs_recordings

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
EVER = 2**62
Sums = tuple[int, int, Fraction, Fraction, Fraction, Fraction]
CONTRACT_USD = 10


def independent_sums(market: str) -> dict[int, Sums]:
    """By minute (UTC seconds of its start): counts, base and quote amounts by the taker's side, exact."""
    totals: dict[int, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 6)
    seen = set()
    for _, raw in lines(market):
        message = json.loads(raw)
        if not str(message.get("stream")).endswith("@trade") or message["data"]["t"] in seen:
            continue
        trade = message["data"]
        seen.add(trade["t"])
        price, quantity = Fraction(trade["p"]), Fraction(trade["q"])
        base, quote = quantity, quantity * price
        if market == "inverse":
            base, quote = quantity * CONTRACT_USD / price, quantity * CONTRACT_USD
        row, side = totals[trade["T"] // 60_000 * 60], int(trade["m"])
        for at, amount in ((side, Fraction(1)), (2 + side, base), (4 + side, quote)):
            row[at] += amount
    return {minute: tuple(row) for minute, row in totals.items()}  # type: ignore[misc]


def to_18_places(number: Fraction) -> Decimal:
    wide = Context(prec=100, rounding=ROUND_HALF_EVEN)
    return wide.quantize(wide.divide(Decimal(number.numerator), Decimal(number.denominator)), Decimal("1e-18"))


def minutes_of(store: ArchiveStore, instrument: Instrument, tmp_path: Path) -> list[dict[str, object]]:
    queries = archive_queries(store, JournalReader.open(tmp_path / "no journal"))
    return queries.minute_rows(Channel.MINUTE_TRADES, instrument.id, 0, EVER).to_pylist()


def compare(rows: list[dict[str, object]], sums: dict[int, Sums]) -> None:
    for row in rows:
        named = to_minute_trades_row(row)
        assert list(named) == ["TIME", "TOTAL_COUNT_BUY", "TOTAL_COUNT_SELL", "TOTAL_BTC_BUY", "TOTAL_BTC_SELL",
                               "TOTAL_USD_BUY", "TOTAL_USD_SELL"]  # fmt: skip
        time, *totals = named.values()
        expected = sums[int(time.timestamp())]
        assert totals[:2] == list(expected[:2])
        assert totals[2:] == [to_18_places(amount) for amount in expected[2:]]


@pytest.mark.parametrize(("market", "full_minutes"), [("spot", 10), ("linear", 4), ("inverse", 10)])
def test_the_totals_of_every_full_minute_are_the_sums_over_the_raw_lines(
    market: str, full_minutes: int, tmp_path: Path
) -> None:
    store, instrument, _ = recorded(market)
    MinuteJobs(store, [instrument]).run(EVER)
    rows = minutes_of(store, instrument, tmp_path)
    starts = [row["ts_recv_ns"] for row in rows]
    assert starts == [1723161300 * SECOND + number * MINUTE for number in range(full_minutes)]
    assert all(row["whole"] for row in rows)
    assert all(row["revision"] == 0 for row in rows)
    compare(rows, independent_sums(market))


def test_duplicates_count_once_and_late_trades_correct_their_minute(tmp_path: Path) -> None:
    # Every tenth trade comes twice, every fifteenth ninety seconds late; the job runs while they come.
    lines_in = sorted(
        (ts_ns + delay, raw)
        for number, (ts_ns, raw) in enumerate(line for line in lines("spot") if b"@trade" in line[1][:40])
        for delay in ([90 * SECOND] if number % 15 == 0 else [0, SECOND] if number % 10 == 0 else [0])
    )
    recording = Recording(tmp_path, "spot", lines_in[0][0])
    jobs = MinuteJobs(recording.store, [recording.instrument])
    flushed, corrections = lines_in[0][0] // MINUTE, 0
    for ts_ns, raw in lines_in:
        recording.take(ts_ns, raw)
        if ts_ns // MINUTE != flushed:
            recording.recorder.flush()
            assert recording.recorder._writer.drain(30)
            corrections += jobs.run(ts_ns).corrections
            flushed = ts_ns // MINUTE
    recording.close()
    with recording.store as store:
        corrections += MinuteJobs(store, [recording.instrument]).run(EVER).corrections
        rows = minutes_of(store, recording.instrument, tmp_path)
        assert corrections >= 9
        assert sum(row["revision"] for row in rows) == corrections
        sums = independent_sums("spot")
        last = max(sums) * SECOND - MINUTE
        assert [row["ts_recv_ns"] for row in rows if row["ts_recv_ns"] <= last] == list(
            range(1723161300 * SECOND, last + 1, MINUTE)
        )
        compare([row for row in rows if row["ts_recv_ns"] <= last], sums)
        assert MinuteJobs(store, [recording.instrument]).run(EVER, since_ns=0).trade_rows == 0


@pytest.mark.parametrize("market", FILES)
def test_the_book_of_each_minute_is_the_newest_ticker_before_its_end(market: str, tmp_path: Path) -> None:
    store, instrument, _ = recorded(market)
    MinuteJobs(store, [], [instrument]).run(EVER)
    queries = archive_queries(store, JournalReader.open(tmp_path))
    rows = queries.minute_rows(Channel.MINUTE_BOOKS, instrument.id, 0, EVER).to_pylist()
    assert [row["ts_recv_ns"] % MINUTE for row in rows] == [0] * len(rows)
    assert len(rows) >= 5
    sent = {}
    for _, raw in lines(market):
        if b"@bookTicker" in raw[:40]:
            data = json.loads(raw)["data"]
            sent[data["u"]] = data
    for row in rows:
        book = queries.order_book(instrument.id, row["ts_recv_ns"] - 1)
        at = max(one for one in sent if one <= book.sequence)
        assert len(row["bids"]) == len(row["offers"]) == 20
        # Spot prints eight decimals of everything; the row has those of the tick and of the lot.
        for side, keys in (("bids", "bB"), ("offers", "aA")):
            best = row[side][0]
            printed = [sent[at][key] for key in keys]
            if market == "spot":
                printed = [printed[0][:-6], printed[1][:-4]]
            assert [best["price"], best["quantity"]] == printed
        trades = queries.trades(instrument.id, row["ts_recv_ns"] - MINUTE, row["ts_recv_ns"])
        assert row["last_transaction_time_ns"] == max(trades.column("ts_event_ns").to_pylist())
        assert row["event_time_ns"] == book.ts_event_ns


def test_a_connection_that_was_lost_marks_the_minutes_that_it_touches(tmp_path: Path) -> None:
    # Nothing comes from 23:56:30 to 23:58:30.
    start, stop = 1723161390 * SECOND, 1723161510 * SECOND
    store = record(tmp_path, "inverse", lambda ts_ns, raw: not start <= ts_ns < stop, lose=(start, stop))
    with store:
        instrument = recorded("inverse").instrument
        MinuteJobs(store, [instrument]).run(EVER)
        rows = minutes_of(store, instrument, tmp_path)
        whole = {row["ts_recv_ns"] // MINUTE - 1723161300 // 60: row["whole"] for row in rows}
        # 23:57 lies in the gap from start to end: it has no row. 23:55 is whole, and what comes after.
        assert whole == {0: True, 1: False, 3: False, 4: True, 5: True, 6: True, 7: True, 8: True, 9: True}
        sums = independent_sums("inverse")
        compare([row for row in rows if row["whole"]], sums)
        assert all(row["count_buy"] < sums[int(row["ts_recv_ns"]) // SECOND][0] for row in rows if not row["whole"])
