"""Chains in a journal file: taken up where they were, counted for the day, told by the ledger."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.domain.instrument import Instrument
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.left_behind import left_behind
from bot.engine.accounts.left_open import left_open
from bot.execution.chain import Chain
from bot.execution.ledger import Ledger
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.ports.transfers import CarryNews, CarryState
from bot.storage.journal import SqliteJournal
from tests.unit.chain_bench import BTC, BTC_B, CROSS, ETH, SENT, Bench

D = Decimal
DAY_NS = 86_400_000_000_000
NOON_NS = 100 * DAY_NS + DAY_NS // 2
MINE = {"a": "key-a", "b": "key-b"}
INSTRUMENTS: tuple[Instrument, ...] = (BTC, CROSS, ETH, BTC_B)
Records = list[tuple[RecordKind, str, Mapping[str, Any]]]


def write(data_dir: Path, records: Records, ts_ns: int = NOON_NS) -> None:
    journal = SqliteJournal(data_dir, "run")
    told = [one.model_dump(mode="json") for one in INSTRUMENTS]
    start = {"run_id": "run", "market": "live", "accounts": MINE, "started_ns": ts_ns, "instruments": told}
    journal.record(RecordKind.RUN, "run", ts_ns, start)
    for kind, key, body in records:
        journal.record(kind, key, ts_ns, body)
    journal.close()


def test_a_chain_between_two_venues_is_found_there(tmp_path: Path) -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.carry(CarryState.IN_TRANSIT)
    write(tmp_path, bench.journal.records)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    found = left.pair
    assert isinstance(found, Chain)
    assert (found.id, found.state, found.pending) == (chain.id, PairState.IN_FLIGHT, set())
    assert found.route == chain.route
    assert found.opportunity.links == chain.opportunity.links
    assert {place: amount for place, amount in found.flows.items() if amount} == {("a", "USDT"): -6000}
    assert found.underway is not None
    assert found.underway.carriage == bench.carriages[0]
    assert (left.name, left.held_words()) == (f"chain {chain.id}", "0.1 BTC between a and b")
    (line,) = left_open(tmp_path)
    assert "in_flight (link 2 of 3: BTC from a to b)" in line


def test_what_left_may_be_told_anew_and_is_taken_off_once(tmp_path: Path) -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    held = bench.carriages[0].amount
    for state, sent in ((CarryState.UNKNOWN, held - D("0.001")), (CarryState.IN_TRANSIT, held - D("0.0004"))):
        bench.executor.on_carry(CarryNews(bench.carriages[0].id, state, D(0), "", bench.clock.now_ns(), sent))
        assert chain.flows["a", "BTC"] == held - sent
    write(tmp_path, bench.journal.records)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    assert isinstance(left.pair, Chain)
    assert left.pair.flows["a", "BTC"] == D("0.0004")
    assert f"{held - D('0.0004'):f} BTC between a and b" in left.held_words()


def test_an_order_that_ended_with_fills_that_the_journal_lacks_is_asked_for_again(tmp_path: Path) -> None:
    bench = Bench()
    bench.open()
    first = bench.last
    bench.end(first, "0.1")  # the venue tells the end before the fill, and the process is killed between the two
    write(tmp_path, bench.journal.records)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    assert left.pair.pending == {first.client_order_id}


def test_what_a_chain_brought_home_counts_for_the_day_and_its_rests_for_nothing(tmp_path: Path) -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.clock.advance_to(NOON_NS)
    bench.carry(CarryState.ARRIVED, "0.09980049")  # a part of it is less than a lot
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    write(tmp_path, bench.journal.records)
    brought = D("0.0998") * 61000 - 6000
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) == brought == -chain.away
    assert realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS + DAY_NS) == 0
    assert left_behind(tmp_path, MINE, INSTRUMENTS).pairs == []


def test_the_ledger_keeps_a_chain_by_its_instruments_and_what_transfers_kept(tmp_path: Path) -> None:
    bench, ledger = Bench(), Ledger()
    chain = bench.open(SENT)
    ledger.open_pair(chain.id, chain.route, 1)
    bench.done(bench.last)
    bench.carry(CarryState.ARRIVED, "0.0998")
    bench.done(bench.last)
    for _, fill in bench.counted:
        assert ledger.on_chain_fill(chain.id, fill)
        assert not ledger.on_chain_fill(chain.id, fill)
    for _ in range(2):  # told twice, booked once
        ledger.on_transfer(chain.id, "t", "BTC", D("0.0002"))
    assert ledger.close_pair(chain.id)
    view = ledger.pair(chain.id)
    assert [leg.instrument.id for leg in view.legs] == ["a:BTC/USDT", "b:BTC/USDT"]
    assert view.transfer_fees == {"BTC": D("0.0002")}
    assert {asset: amount for asset, amount in view.flows.items() if amount} == {"USDT": D("87.8")}
    assert ledger.realised() == {"USDT": D("87.8")}
