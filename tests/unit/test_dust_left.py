"""Dust over the end of a run: the next one on the same market takes it along."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.engine.accounts.dust_left import dust_left
from bot.execution.dust import DustLedger
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from tests.unit.pair_bench import PERP, SPOT

D = Decimal


PAPER, TESTNET = {"paper": "live"}, {"binance": "abc"}


def ran(data_dir: Path, run_id: str, accounts: dict[str, str] | None, *amounts: str, takes_over: bool = True) -> None:
    journal = SqliteJournal(data_dir, run_id)
    journal.record(RecordKind.RUN, run_id, 1, {"run_id": run_id, "accounts": accounts, "started_ns": 1})
    dust = DustLedger(
        lambda instrument, total, pair: journal.record(RecordKind.DUST, instrument.id, 1, {"quantity": str(total)})
    )
    if takes_over:
        dust.restore(dust_left(data_dir, accounts), [SPOT, PERP])
    for amount in amounts:
        dust.add(SPOT, D(amount))
    journal.close()


@pytest.mark.parametrize(("accounts", "expected"), [(PAPER, {SPOT.id: D("0.0012")}), (TESTNET, {}), (None, {})])
def test_what_the_runs_on_these_accounts_left_is_found_again(
    tmp_path: Path, accounts: dict[str, str] | None, expected: dict[str, Decimal]
) -> None:
    ran(tmp_path, "a", PAPER, "0.0005", "0.0007", takes_over=False)
    assert dust_left(tmp_path, accounts) == expected


def test_dust_that_nobody_added_to_is_carried_on_from_run_to_run(tmp_path: Path) -> None:
    ran(tmp_path, "a", PAPER, "0.0005", takes_over=False)
    ran(tmp_path, "b", PAPER)
    ran(tmp_path, "c", PAPER, "-0.0002")
    assert dust_left(tmp_path, PAPER) == {SPOT.id: D("0.0003")}


def test_dust_outlives_a_run_that_was_killed_or_refused_before_it_took_it_over_and_runs_on_other_accounts(
    tmp_path: Path,
) -> None:
    ran(tmp_path, "a", PAPER, "0.0005", takes_over=False)
    ran(tmp_path, "b", PAPER, takes_over=False)
    ran(tmp_path, "c", TESTNET, "0.7", takes_over=False)
    ran(tmp_path, "d", None, "0.9", takes_over=False)
    assert dust_left(tmp_path, PAPER) == {SPOT.id: D("0.0005")}


def test_dust_that_was_traded_away_is_not_found(tmp_path: Path) -> None:
    ran(tmp_path, "a", PAPER, "0.0005", takes_over=False)
    ran(tmp_path, "b", PAPER, "-0.0005")
    assert dust_left(tmp_path, PAPER) == {}


def test_nothing_is_found_where_there_was_no_run(tmp_path: Path) -> None:
    SqliteJournal(tmp_path, "a").close()
    assert dust_left(tmp_path, PAPER) == {}
