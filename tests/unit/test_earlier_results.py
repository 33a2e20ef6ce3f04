"""A restart does not forget what the day has lost."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.order import Side
from bot.engine.accounts.abandoned import abandon
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.left_behind import left_behind
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.risk.results import Results
from bot.storage.journal import SqliteJournal
from tests.unit.pair_bench import PERP, SPOT, Bench
from tests.unit.test_left_behind import INSTRUMENTS, MINE, write

D = Decimal
DAY_NS = 86_400_000_000_000
NOON_NS = 100 * DAY_NS + DAY_NS // 2
Records = list[tuple[RecordKind, str, Mapping[str, Any]]]


def a_lost_pair(closed_ns: int) -> tuple[Records, Records, Decimal]:
    """Records of its opening, of its closing, and what it lost, from its fills alone."""
    bench = Bench()
    pair = bench.open()
    bench.answer(Side.BUY, SPOT)
    bench.answer(Side.SELL, PERP)
    opened = len(bench.journal.records)
    bench.quote(SPOT, 990.0, 991.0)
    bench.clock.advance_to(closed_ns)
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    cash = sum((-fill.side.sign * fill.quantity * fill.price - fill.fee for fill in bench.counted), D(0))
    return bench.journal.records[:opened], bench.journal.records[opened:], cash


def test_the_days_loss_of_an_earlier_run_counts(tmp_path: Path) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    assert lost < -1
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == 0
    write_at(tmp_path, "run", [*opening, *closing], NOON_NS)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == lost
    assert realised_today(tmp_path, {"a": "another", "b": "key-b"}, INSTRUMENTS, NOON_NS) == 0
    assert realised_today(tmp_path, None, INSTRUMENTS, NOON_NS) == 0
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS + DAY_NS) == 0, "midnight UTC begins a new day"


def test_a_pair_that_is_in_hand_again_counts_when_it_ends(tmp_path: Path) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    write_at(tmp_path, "run", [*opening, *closing], NOON_NS)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS, ["another"]) == lost
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS, ["run-1"]) == 0


def test_a_pair_that_was_opened_yesterday_and_closed_by_another_run_counts_whole(tmp_path: Path) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    write_at(tmp_path, "run", opening, NOON_NS - DAY_NS)
    write_at(tmp_path, "second", closing, NOON_NS)
    write(tmp_path, "third", MINE)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == lost


@pytest.mark.parametrize("is_old", [False, True])
def test_what_a_person_had_forgotten_is_no_loss_of_the_day(tmp_path: Path, is_old: bool) -> None:
    """One leg of it is filled: a short, that was bought back by hand at a price that the journal does not have."""
    bench = Bench()
    bench.open()
    bench.answer(Side.SELL, PERP)
    write_at(tmp_path, "run", bench.journal.records, NOON_NS)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    assert left.fills
    record, _ = abandon(left, NOON_NS + 1)
    if is_old:
        del record["abandoned"]
    write_at(tmp_path, "second", [(RecordKind.PAIR, left.pair.id, record)], NOON_NS + 1)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS + 2) == 0
    other = {**record, "close_reason": "edge_gone"}
    write_at(tmp_path, "third", [(RecordKind.PAIR, left.pair.id, other)], NOON_NS + 2)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS + 3) > 400, "what its opening brought would be a gain"


def test_a_fill_that_a_start_found_of_a_pair_that_is_still_open_is_no_obstacle(tmp_path: Path) -> None:
    """It is written down before the pair is taken over, and the pair began in a run that is not read."""
    opening, _, _ = a_lost_pair(NOON_NS)
    found = [one for one in opening if one[0] is RecordKind.FILL]
    write_at(tmp_path, "run", [one for one in opening if one not in found], NOON_NS - DAY_NS)
    ended, lost = of_the_second_run()
    write_at(tmp_path, "second", [*found, opening[-1], *ended], NOON_NS)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == lost


def test_a_pair_that_a_person_had_forgotten_is_no_obstacle(tmp_path: Path) -> None:
    """Its only record in the run that forgot it is its end."""
    opening, _, _ = a_lost_pair(NOON_NS)
    write_at(tmp_path, "run", opening, NOON_NS - DAY_NS)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    record, _ = abandon(left, NOON_NS)
    ended, lost = of_the_second_run()
    write_at(tmp_path, "second", [(RecordKind.PAIR, left.pair.id, record), *ended], NOON_NS)
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == lost


def of_the_second_run() -> tuple[Records, Decimal]:
    """Records of a pair that the run `second` opened and closed, and what it lost."""
    opening, closing, lost = a_lost_pair(NOON_NS)
    told = [[kind.value, key, dict(body)] for kind, key, body in (*opening, *closing)]
    renamed = json.loads(json.dumps(told).replace("run-1", "second-1"))
    return [(RecordKind(kind), key, body) for kind, key, body in renamed], lost


def test_it_counts_for_the_day_and_not_for_the_run() -> None:
    results = Results()
    results.restore(D(-150), NOON_NS)
    results.add(D(-60), NOON_NS + 1)
    assert results.today(NOON_NS + 2) == -210
    assert results.total == -60
    assert results.today(NOON_NS + DAY_NS) == 0


def write_at(data_dir: Path, run_id: str, records: Records, ts_ns: int, accounts: Mapping[str, str] = MINE) -> None:
    """A run on these accounts with these records at that time."""
    journal = SqliteJournal(data_dir, run_id)
    instruments = [one.model_dump(mode="json") for one in INSTRUMENTS]
    start = {
        "run_id": run_id,
        "market": "live",
        "accounts": dict(accounts),
        "started_ns": ts_ns,
        "instruments": instruments,
    }
    journal.record(RecordKind.RUN, run_id, ts_ns, start)
    for kind, key, body in records:
        journal.record(kind, key, ts_ns, body)
    journal.close()
