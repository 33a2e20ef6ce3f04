"""Dust over the end of a run: the next one on the same market takes it along."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.engine.accounts.dust_left import dust_left
from bot.execution.dust import DustLedger
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from tests.unit.test_pair_executor import PERP, SPOT

D = Decimal


def ran(data_dir: Path, run_id: str, market: str, *amounts: str) -> None:
    journal = SqliteJournal(data_dir, run_id)
    journal.record(RecordKind.RUN, run_id, 1, {"run_id": run_id, "market": market, "started_ns": 1})
    dust = DustLedger(
        lambda instrument, total: journal.record(RecordKind.DUST, instrument.id, 1, {"quantity": str(total)})
    )
    dust.restore(dust_left(data_dir, market) if run_id != "a" else {}, [SPOT, PERP])
    for amount in amounts:
        dust.add(SPOT, D(amount))
    journal.close()


@pytest.mark.parametrize(("market", "expected"), [("live", {SPOT.id: D("0.0012")}), ("testnet", {}), ("recorded", {})])
def test_what_the_last_run_left_on_this_market_is_found_again(
    tmp_path: Path, market: str, expected: dict[str, Decimal]
) -> None:
    ran(tmp_path, "a", "live", "0.0005", "0.0007")
    assert dust_left(tmp_path, market) == expected


def test_dust_that_nobody_added_to_is_carried_on_from_run_to_run(tmp_path: Path) -> None:
    ran(tmp_path, "a", "live", "0.0005")
    ran(tmp_path, "b", "live")
    ran(tmp_path, "c", "live", "-0.0002")
    assert dust_left(tmp_path, "live") == {SPOT.id: D("0.0003")}


def test_nothing_is_found_where_there_was_no_run(tmp_path: Path) -> None:
    SqliteJournal(tmp_path, "a").close()
    assert dust_left(tmp_path, "live") == {}
