"""The minute jobs beside a recorder whose batches reach the disk one after another."""

from pathlib import Path
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.market import PublicTrade, TopOfBook
from bot.domain.order_book import BookChange, OrderBook
from bot.recording.recorder import Recorder
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentInfo
from bot.storage.archive.store import ArchiveStore
from exchanges.binance import shipped
from modes.archive_jobs import archive_jobs

BTC = shipped.INSTRUMENTS[Feed.parse("binance.linear")]["BTCUSDT"]
START_NS = 1_723_118_400_000_000_000
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize("after", [Channel.QUOTES, Channel.TRADES, Channel.DEPTH])
def test_minutes_wait_for_what_is_not_written_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: Channel
) -> None:
    clock = VirtualClock(START_NS + SECOND_NS // 2)  # rows leave memory half a second after each minute
    with ArchiveStore.open(tmp_path) as store:
        recorder = Recorder(store, [BTC], clock)
        sink, book = recorder.keep_books([0]), OrderBook(2, is_window=False)
        jobs = archive_jobs(Settings(), store, [BTC], [BTC], clock, recorder.durable_ns)
        (minutes,) = [job for job in jobs if job.name == "minutes"]
        write = store.write

        def then_minutes(channel: Channel, *rest: Any) -> SegmentInfo | None:
            segment = write(channel, *rest)
            if channel is after:
                minutes.run()
            return segment

        monkeypatch.setattr(store, "write", then_minutes)
        recorder.start()
        for second in range(1, 245):
            clock.advance_to(START_NS + second * SECOND_NS + SECOND_NS // 4)
            now_ns = clock.now_ns()
            quote = TopOfBook(bid_price=99.0, bid_qty=1.0, ask_price=101.0, ask_qty=1.0, sequence=second)
            recorder.on_quote(0, quote, now_ns, b"{}")
            # Some that come after a minute's end belong to that minute.
            event_ns = now_ns - 2 * SECOND_NS
            trade = PublicTrade(
                price=100.0, quantity=1.0, buyer_is_maker=False, trade_id=str(second), ts_event_ns=event_ns
            )
            recorder.on_trade(0, trade, now_ns)
            bids, asks = (("99", str(second)),), (("101", "1"),)
            change = BookChange(bids=bids, asks=asks, sequence=second, whole=second == 1, ts_event_ns=now_ns)
            book.apply(change)
            sink.on_book(0, book, change, now_ns)
        recorder.close()
        monkeypatch.undo()
        minutes.run()
        books = store.rows(Channel.MINUTE_BOOKS, BTC.id, 0, 2**62).to_pylist()
        trades = store.rows(Channel.MINUTE_TRADES, BTC.id, 0, 2**62).to_pylist()
    ends = [(row["ts_recv_ns"] - START_NS) // SECOND_NS for row in books]
    assert ends == [60, 120, 180, 240]
    assert [row["bids"][0]["quantity"] for row in books] == [f"{end - 1}.000" for end in ends]
    newest = {row["ts_recv_ns"]: row["count_buy"] for row in sorted(trades, key=lambda row: int(row["revision"]))}
    assert list(newest.values()) == [60, 60, 60]
