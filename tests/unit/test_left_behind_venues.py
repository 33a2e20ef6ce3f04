"""What a start finds where the runs before it did not all trade on the same venues, or did not all get far."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.engine.accounts.dust_left import dust_left
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.left_behind import BEFORE_NS, left_behind, write_missing
from bot.engine.accounts.runs_before import ADOPTED
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from tests.unit.pair_bench import PERP, SPOT
from tests.unit.test_earlier_results import NOON_NS, a_lost_pair, write_at
from tests.unit.test_left_behind import INSTRUMENTS, MINE, names, opened, write

D = Decimal
MORE = {**MINE, "c": "key-c"}
HOUR_NS = 3_600_000_000_000
Event = tuple[RecordKind, str, Mapping[str, Any]]


def adopted(*pairs: str) -> Event:
    return RecordKind.EVENT, ADOPTED, {"level": "info", "text": "", "pairs": list(pairs)}


def closed() -> Event:
    return RecordKind.PAIR, "run-1", {**opened()[-1][2], "state": "closed"}


def test_a_run_on_fewer_venues_hides_no_pair_of_those_it_left_out(tmp_path: Path) -> None:
    write(tmp_path, "run", MINE, opened())
    write(tmp_path, "second", MINE, [adopted("run-1")], ts_ns=2)
    write(tmp_path, "third", {"a": "key-a"}, [adopted()], ts_ns=2 * BEFORE_NS)
    assert names(tmp_path) == ["run-1"]


def test_a_pair_that_a_run_on_more_venues_has_closed_is_over(tmp_path: Path) -> None:
    write(tmp_path, "run", MINE, opened())
    write(tmp_path, "second", MORE, [adopted("run-1"), closed()], ts_ns=2)
    assert names(tmp_path, MORE) == []
    assert names(tmp_path) == []


def test_a_pair_of_a_run_on_more_venues_is_not_taken_over(tmp_path: Path) -> None:
    write(tmp_path, "before", MINE, [adopted()])
    write(tmp_path, "run", MORE, opened())
    write(tmp_path, "third", MINE, [adopted()], ts_ns=2)
    assert names(tmp_path) == []
    assert names(tmp_path, MORE) == ["run-1"]


def test_a_pair_that_was_begun_on_other_venues_alone_counts_in_the_days_loss_whole(tmp_path: Path) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    write_at(tmp_path, "run", opening, NOON_NS)
    write_at(tmp_path, "second", closing, NOON_NS, MORE)
    assert realised_today(tmp_path, {"c": "key-c"}, INSTRUMENTS, NOON_NS) == lost


@pytest.mark.parametrize("accounts", [{"a": "key-a"}, MORE])
def test_the_days_loss_is_that_of_every_run_on_one_of_these_accounts(
    tmp_path: Path, accounts: Mapping[str, str]
) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    write_at(tmp_path, "run", [*opening, *closing], NOON_NS)
    assert realised_today(tmp_path, accounts, INSTRUMENTS, NOON_NS) == lost


def test_dust_that_a_run_on_more_venues_traded_away_is_gone(tmp_path: Path) -> None:
    write(tmp_path, "run", {"a": "key-a"}, [(RecordKind.DUST, SPOT.id, {"quantity": "0.0005"})])
    write(tmp_path, "second", MINE, [(RecordKind.DUST, SPOT.id, {"quantity": "0"})])
    assert dust_left(tmp_path, {"a": "key-a"}) == {}
    write(tmp_path, "third", MINE, [(RecordKind.DUST, SPOT.id, {"quantity": "0.0003"})])
    assert dust_left(tmp_path, {"a": "key-a"}) == {SPOT.id: D("0.0003")}
    assert dust_left(tmp_path, {"a": "another", "b": "key-b"}) == {}


def test_a_start_that_was_refused_has_asked_for_nothing(tmp_path: Path) -> None:
    """Funding fell due meanwhile: the next start asks from where the last run that traded had ended."""
    write(tmp_path, "run", MINE, opened(), ts_ns=BEFORE_NS)
    write(tmp_path, "refused", MINE, ts_ns=9 * HOUR_NS)
    write(tmp_path, "killed", MINE, [adopted("run-1")], ts_ns=10 * HOUR_NS)
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert found.since_ns == 0


def test_a_clock_that_was_set_back_asks_for_nothing_of_the_future(tmp_path: Path) -> None:
    """Records dated an hour ahead: fills and funding of just now would be older than what is asked for."""
    ahead_ns, now_ns = 5 * HOUR_NS, 4 * HOUR_NS
    write(tmp_path, "run", MINE, [adopted(), *opened()], ts_ns=ahead_ns, begun_ns=ahead_ns - HOUR_NS)
    assert left_behind(tmp_path, MINE, INSTRUMENTS, ahead_ns + 1).since_ns == ahead_ns - BEFORE_NS
    assert left_behind(tmp_path, MINE, INSTRUMENTS, now_ns).since_ns == now_ns - BEFORE_NS


def test_a_part_that_a_start_made_up_for_stands_for_no_other(tmp_path: Path) -> None:
    parts = [["run-1", "0.25"], ["run-2", "0.5"]]
    payment = {"instrument": PERP.id, "asset": "USDT", "payment": "0.5", "pair": "run-2", "parts": parts}
    write(tmp_path, "run", MINE, [*opened(), (RecordKind.FUNDING, PERP.id, payment)])
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    journal = SqliteJournal(tmp_path, "second")
    start = {"run_id": "second", "market": "live", "accounts": MINE, "started_ns": 2, "instruments": []}
    journal.record(RecordKind.RUN, "second", 1, start)
    write_missing(journal, found)
    for kind, key, body in (adopted(), closed()):
        journal.record(kind, key, 3 * BEFORE_NS, body)
    journal.close()
    assert left_behind(tmp_path, MINE, INSTRUMENTS).missing_parts == []
