"""The minute jobs over a real archive: again and again, late, merged, killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bot.domain.order_book import BookState
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.minutes.books import printed, to_minute_books_row
from bot.storage.minutes.jobs import MinuteJobs, MinutesWritten
from bot.storage.queries import JournalReader
from tests.unit.queries_data import END, MINUTE, NOON, RULES, SECOND, Facts, instrument, make

ONE = instrument("binance")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveStore]:
    with ArchiveStore.open(tmp_path) as opened:
        yield opened


def jobs(store: ArchiveStore, facts: Facts) -> MinuteJobs:
    return MinuteJobs(store, facts.instruments, facts.instruments, depth_rules=RULES)


def put(store: ArchiveStore, channel: Channel, rows: list[dict[str, Any]]) -> None:
    store.write(channel, str(ONE.feed), pa.Table.from_pylist(rows, schema=SCHEMAS[channel]), {ONE.id: ONE})


def trade(ts_ns: int, one: int, price: float = 2_600.0, quantity: float = 1.0, late_ns: int = 0) -> dict[str, Any]:
    return {"instrument": ONE.id, "ts_recv_ns": ts_ns + late_ns, "ts_event_ns": ts_ns, "trade_id": str(one),
            "price": price, "quantity": quantity, "buyer_is_maker": False}  # fmt: skip


def quote(ts_ns: int) -> dict[str, Any]:
    return {"instrument": ONE.id, "ts_recv_ns": ts_ns, "ts_event_ns": ts_ns, "sequence": 1, "bid_price": 1.0,
            "bid_qty": 1.0, "ask_price": 2.0, "ask_qty": 1.0}  # fmt: skip


def fill(store: ArchiveStore, facts: Facts) -> None:
    """Everything but the minute rows."""
    by_id = {one.id: one for one in facts.instruments}
    for channel in (Channel.QUOTES, Channel.TRADES, Channel.DEPTH, Channel.GAPS):
        for one in facts.instruments:
            rows = [row for row in facts.rows[channel] if row["instrument"] == one.id]
            store.write(channel, str(one.feed), pa.Table.from_pylist(rows, schema=SCHEMAS[channel]), by_id)


def written(store: ArchiveStore) -> list[dict[str, Any]]:
    return [
        row
        for channel in (Channel.MINUTE_TRADES, Channel.MINUTE_BOOKS)
        for one in store.instruments(channel)
        for row in store.rows(channel, one, 0, 2**62).to_pylist()
    ]


def counts(store: ArchiveStore, tmp_path: Path) -> list[tuple[int, int, int, bool]]:
    """Minute, buys, revision, whole."""
    rows = archive_queries(store, JournalReader.open(tmp_path)).minute_rows(Channel.MINUTE_TRADES, ONE.id, 0, 2**62)
    return [
        ((row["ts_recv_ns"] - NOON) // MINUTE, row["count_buy"], row["revision"], row["whole"])
        for row in rows.to_pylist()
    ]


def test_a_second_run_writes_nothing(store: ArchiveStore) -> None:
    facts = make()
    fill(store, facts)
    runner = jobs(store, facts)
    first = runner.run(END + MINUTE)
    assert first.trade_rows == 6
    assert first.book_rows == 7
    before = written(store)
    assert runner.run(END + MINUTE) == MinutesWritten(0, 0, 0)
    assert jobs(store, facts).run(END + MINUTE) == MinutesWritten(0, 0, 0)
    assert jobs(store, facts).run(END + MINUTE, since_ns=0) == MinutesWritten(0, 0, 0)
    assert written(store) == before


def test_minute_by_minute_or_all_at_once_is_the_same(tmp_path: Path) -> None:
    facts = make()
    found = []
    for name, steps in (("steps", range(NOON, END + 2 * MINUTE, 20 * SECOND)), ("once", [END + 2 * MINUTE])):
        with ArchiveStore.open(tmp_path / name) as store:
            fill(store, facts)
            runner = jobs(store, facts)
            for until in steps:
                runner.run(until)
            found.append(sorted(written(store), key=str))
    assert found[0] == found[1]


def test_quiet_minutes_have_a_row_of_zeros_while_the_feed_is_recorded(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.QUOTES, [quote(NOON + number * 10 * SECOND) for number in range(31)])
    put(store, Channel.TRADES, [trade(NOON + 65 * SECOND, 1)])
    runner = MinuteJobs(store, [ONE])
    assert runner.run(2**62).trade_rows == 4
    # Nothing was recorded after 12:05:00: that minute and what follows are not known to be quiet.
    assert counts(store, tmp_path) == [(0, 0, 0, True), (1, 1, 0, True), (2, 0, 0, True), (3, 0, 0, True)]


def test_nothing_is_said_before_the_first_whole_minute(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.TRADES, [trade(NOON + 1, 1), trade(NOON + 61 * SECOND, 2), trade(NOON + 130 * SECOND, 3)])
    MinuteJobs(store, [ONE]).run(2**62)
    assert counts(store, tmp_path) == [(1, 1, 0, True)]


def test_a_late_trade_raises_the_revision_also_after_a_restart(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.TRADES, [trade(NOON, 1), trade(NOON + 190 * SECOND, 2)])
    runner = MinuteJobs(store, [ONE])
    runner.run(2**62)
    put(store, Channel.TRADES, [trade(NOON + 5, 3, late_ns=200 * SECOND), trade(NOON, 1, late_ns=200 * SECOND)])
    put(store, Channel.QUOTES, [quote(NOON + 250 * SECOND)])
    assert runner.run(2**62).corrections == 1
    assert counts(store, tmp_path)[0] == (0, 2, 1, True)
    put(store, Channel.TRADES, [trade(NOON + 9, 4, late_ns=260 * SECOND)])
    put(store, Channel.QUOTES, [quote(NOON + 310 * SECOND)])
    assert MinuteJobs(store, [ONE]).run(2**62).corrections == 1
    assert counts(store, tmp_path) == [
        (0, 3, 2, True),
        (1, 0, 0, True),
        (2, 0, 0, True),
        (3, 1, 0, True),
        (4, 0, 0, True),
    ]


def test_a_duplicate_that_comes_late_changes_nothing(store: ArchiveStore) -> None:
    put(store, Channel.TRADES, [trade(NOON, 1), trade(NOON + 130 * SECOND, 2)])
    runner = MinuteJobs(store, [ONE])
    runner.run(2**62)
    put(store, Channel.TRADES, [trade(NOON, 1, late_ns=140 * SECOND)])
    put(store, Channel.QUOTES, [quote(NOON + 200 * SECOND)])
    assert runner.run(2**62) == MinutesWritten(1, 0, 0)


def test_rows_of_an_import_are_looked_at_when_told(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.TRADES, [trade(NOON + 5 * MINUTE, 9), trade(NOON + 430 * SECOND, 10)])
    runner = MinuteJobs(store, [ONE])
    runner.run(2**62)
    put(store, Channel.TRADES, [trade(NOON, 1), trade(NOON + 70 * SECOND, 2), trade(NOON + 299 * SECOND, 3)])
    assert runner.run(2**62) == MinutesWritten(0, 0, 0)
    runner.run(2**62, since_ns=NOON)
    assert [row[:2] for row in counts(store, tmp_path)] == [(0, 1), (1, 1), (2, 0), (3, 0), (4, 1), (5, 1), (6, 0)]


def test_nothing_is_said_of_the_years_between_imported_days_and_the_recording(
    store: ArchiveStore, tmp_path: Path
) -> None:
    day = 24 * 60 * MINUTE
    for before in (700, 699, 20):
        start = NOON - before * day
        put(store, Channel.TRADES, [trade(start, before), trade(start + 190 * SECOND, before + 1)])
    put(store, Channel.QUOTES, [quote(NOON), quote(NOON + 190 * SECOND)])
    put(store, Channel.TRADES, [trade(NOON + 70 * SECOND, 1)])
    assert MinuteJobs(store, [ONE]).run(2**62).trade_rows == 3 * 4 + 3
    expected = [(minute - before * 24 * 60, minute in (0, 3)) for before in (700, 699, 20) for minute in range(4)]
    expected += [(0, False), (1, True), (2, False)]
    assert [(minute, bool(count)) for minute, count, _, _ in counts(store, tmp_path)] == expected
    assert MinuteJobs(store, [ONE]).run(2**62) == MinutesWritten(0, 0, 0)
    assert MinuteJobs(store, [ONE]).run(2**62, since_ns=0) == MinutesWritten(0, 0, 0)


def test_days_of_which_quotes_alone_were_imported_are_not_said_to_be_without_trades(
    store: ArchiveStore, tmp_path: Path
) -> None:
    put(store, Channel.QUOTES, [quote(NOON - 24 * 60 * MINUTE + number * MINUTE) for number in range(5)])
    put(store, Channel.QUOTES, [quote(NOON), quote(NOON + 190 * SECOND)])
    runner = MinuteJobs(store, [ONE])
    assert runner.run(2**62).trade_rows == 0, "no trade of this feed was ever kept"
    put(store, Channel.TRADES, [trade(NOON + 130 * SECOND, 1)])
    assert runner.run(2**62).trade_rows == 3
    assert [row[:2] for row in counts(store, tmp_path)] == [(0, 0), (1, 0), (2, 1)]


def test_a_quiet_feed_keeps_its_rows_of_zeros(store: ArchiveStore) -> None:
    put(store, Channel.TRADES, [trade(NOON, 1)])
    put(store, Channel.QUOTES, [quote(NOON + 50 * MINUTE + 10 * SECOND)])
    assert MinuteJobs(store, [ONE]).run(2**62).trade_rows == 50


def test_a_gap_written_in_pieces_leaves_out_the_minutes_that_lie_in_it(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.TRADES, [trade(NOON, 1), trade(NOON + 250 * SECOND, 2), trade(NOON + 310 * SECOND, 3)])
    pieces = [(NOON + 30 * SECOND, NOON + 90 * SECOND), (NOON + 90 * SECOND, NOON + 200 * SECOND)]
    put(store, Channel.GAPS, [
        {"instrument": ONE.id, "ts_recv_ns": stop, "channel": "trades", "start_ns": start, "stop_ns": stop,
         "reason": "x"}
        for start, stop in pieces
    ])  # fmt: skip
    MinuteJobs(store, [ONE]).run(2**62)
    assert counts(store, tmp_path) == [(0, 1, 0, False), (3, 0, 0, False), (4, 1, 0, True)]


def test_a_bad_price_does_not_stop_the_others(store: ArchiveStore, tmp_path: Path) -> None:
    put(store, Channel.TRADES, [trade(NOON, 1, price=1e200), trade(NOON, 2), trade(NOON + 130 * SECOND, 3)])
    MinuteJobs(store, [ONE]).run(2**62)
    assert counts(store, tmp_path)[0] == (0, 1, 0, True)


def test_a_minute_book_has_the_digits_of_the_venue_and_what_follows_from_them(store: ArchiveStore) -> None:
    facts = make()
    fill(store, facts)
    jobs(store, facts).run(END)
    row = next(row for row in written(store) if "bids" in row)
    named = to_minute_books_row(row)
    assert named["bids"][0] == ("2599.99", row["bids"][0]["quantity"])
    assert list(map(str, (named["bid"], named["ask"], named["mid"], named["spread"]))) == [
        "2599.99", "2600.01", "2600.00", "0.02"
    ]  # fmt: skip
    assert printed(1.5, ONE.tick_size) == "1.50"
    assert printed(0.00000001, ONE.tick_size) == "0.00000001"
    assert printed(25.0, ONE.tick_size * 1000) == "25"


def test_a_quiet_book_has_its_row_every_minute_while_it_is_followed(store: ArchiveStore) -> None:
    facts = make()
    first = facts.books[ONE.id][0][0]
    put(store, Channel.DEPTH, [row for row in facts.of(Channel.DEPTH, ONE.id) if row["ts_recv_ns"] == first])
    runner = MinuteJobs(store, [], [ONE], depth_rules=RULES)
    for number in (1, 2, 30, 118):
        put(store, Channel.QUOTES, [quote(NOON + number * MINUTE)])
        runner.run(2**62)
        assert [row["ts_recv_ns"] for row in written(store)] == [NOON + at * MINUTE for at in range(1, number + 1)]
    assert len({str(row["bids"]) for row in written(store)}) == 1
    # The recorder writes a book whole every hour: this one is not followed any more.
    put(store, Channel.QUOTES, [quote(NOON + 600 * MINUTE)])
    assert runner.run(2**62).book_rows == 2
    queries = archive_queries(store, JournalReader.open(Path("nowhere")), RULES)
    assert queries.order_book(ONE.id, first + 120 * MINUTE - 1).state is BookState.VALID
    assert queries.order_book(ONE.id, first + 120 * MINUTE).state is BookState.INVALID


VICTIM = """
import os, signal, sys
from pathlib import Path
from bot.storage.archive.store import ArchiveStore
from tests.unit.queries_data import END, MINUTE, make
from tests.unit.test_minutes_jobs import jobs

class Deadly(ArchiveStore):
    left = int(sys.argv[2])

    def step(self):
        Deadly.left -= 1
        if Deadly.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, *arguments):
        self.step()
        written = super().write(*arguments)
        self.step()
        return written

store, facts = Deadly.open(Path(sys.argv[1])), make()
for until in range(END - 4 * MINUTE, END + 2 * MINUTE, MINUTE):
    jobs(store, facts).run(until)
print("survived")
"""


def test_killed_between_any_two_steps_and_run_again_the_rows_are_the_same(tmp_path: Path) -> None:
    facts = make()
    with ArchiveStore.open(tmp_path / "whole") as store:
        fill(store, facts)
        jobs(store, facts).run(END + 2 * MINUTE)
        expected = sorted(written(store), key=str)
    data_dir = tmp_path / "killed"
    with ArchiveStore.open(data_dir) as store:
        fill(store, facts)
    killed, steps = 0, 1
    while True:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        victim = subprocess.run(
            [sys.executable, "-c", VICTIM, str(data_dir), str(steps)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if victim.returncode == 0:
            break
        assert victim.returncode == -signal.SIGKILL, victim.stderr
        killed, steps = killed + 1, steps + 4
    assert killed >= 3
    with ArchiveStore.open(data_dir) as store:
        assert sorted(written(store), key=str) == expected
