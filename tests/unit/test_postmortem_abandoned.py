"""Pairs that a person had the bot forget, in the report: named, and part of no figure."""

import json
from decimal import Decimal

import pytest

from bot.engine.accounts.abandoned import abandon
from bot.engine.accounts.left_behind import left_behind
from bot.ports import RecordKind
from bot.ports.transfers import CarryState
from bot.storage.journal import SqliteJournal
from postmortem.render import render_table
from tests.unit.chain_bench import SENT
from tests.unit.chain_bench import Bench as ChainBench
from tests.unit.test_chains_left import INSTRUMENTS, MINE, NOON_NS, write
from tests.unit.test_postmortem_report import PERP, SPOT, Book, report_of, winner

MARKS = {SPOT.id: 100.2, PERP.id: 100.7}
KNOWN = {"was": "open", "held": "+2 ETH on binance:ETH/USDT, +0 ETH on bybit:ETH/USDT:USDT", "orders": ["r1-1.2"]}


def left_and_abandoned(data_dir, legs=("open_buy", "open_sell"), known=KNOWN):
    """Opened by r1, beside one that won; forgotten by r2, which counted no profit."""
    with Book(data_dir) as first:
        winner(first, "r1-0")
        first.pair("r1-1", "opening")
        for leg in legs:
            first.fill("r1-1", leg, "100" if leg == "open_buy" else "101", "2", "0.1", expected="100")
        first.pair("r1-1", "open")
        first.end(pnl={"USDT": "1.229"}, marks=MARKS)
    with Book(data_dir, "r2", started_ns=3_000) as second:
        told = {} if known is None else {"abandoned": known}
        second.pair("r1-1", "failed", ts_close_ns=3_001, reason="abandoned", more=told)
        second.end(finished_ns=4_000, pnl={}, marks=MARKS)


# The last one, a lone spot leg, holds no derivative position: by its fills alone it would be realised.
@pytest.mark.parametrize("legs", [("open_buy", "open_sell"), ("open_sell",), ("open_buy",)])
def test_an_abandoned_pair_is_neither_open_nor_a_profit(tmp_path, legs):
    left_and_abandoned(tmp_path, legs)
    report = report_of(tmp_path)
    (market,) = report.markets
    assert (market.realised, market.wins, market.open_pairs) == (1, 1, ())
    assert market.profit == {"USDT": Decimal("1.229")}
    (money,) = market.money
    assert (money.pairs, money.open_pairs, money.unrealised) == (1, 0, 0)
    assert (market.attempts, market.missed, market.closes) == (2, 0, {"abandoned": 1, "edge_gone": 1})
    assert [run.differs_from_run for run in market.runs] == [{}, {}]
    (line,) = market.abandoned
    assert (line.pair, line.abandoned_by, line.ts_abandoned_ns) == ("r1-1", "r2", 3_001)
    assert (line.was, line.held, line.orders) == ("open", KNOWN["held"], ("r1-1.2",))
    text = render_table(report)
    assert "still open" not in text
    assert "won 1 of 1 (100%), abandoned 1" in text


def test_what_a_person_reads_of_it(tmp_path):
    left_and_abandoned(tmp_path, ("open_buy",))
    text = " ".join(render_table(report_of(tmp_path), 200).split())
    assert "abandoned r1-1, opened 1970-01-01 00:00:00Z: forgotten 1970-01-01 00:00:00Z at the start of run r2" in text
    assert f"By the journal it was open, and held {KNOWN['held']}; orders without a known end: r1-1.2." in text
    assert "Its cash until then: 2.00000000 ETH, -200.10000000 USDT; in no figure above" in text


def test_a_journal_of_an_older_version_tells_it_by_its_fills(tmp_path):
    left_and_abandoned(tmp_path, known=None)
    report = report_of(tmp_path)
    (line,) = report.markets[0].abandoned
    assert (line.was, line.held, line.orders) == (None, f"+2 on {SPOT.id}, -2 on {PERP.id}", ())
    assert "By the journal it held +2 on" in " ".join(render_table(report).split())
    assert json.loads(report.model_dump_json())["markets"][0]["abandoned"][0]["by_asset"]["ETH"] == "2"


def test_one_without_a_fill_is_not_missed_either(tmp_path):
    left_and_abandoned(tmp_path, legs=())
    (market,) = report_of(tmp_path).markets
    assert (market.attempts, market.missed, len(market.abandoned)) == (1, 0, 1)
    assert market.routes[0].missed == 0


@pytest.mark.parametrize("is_old", [False, True])
def test_a_chain_between_two_venues_is_told_where_it_was(tmp_path, is_old):
    bench = ChainBench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.carry(CarryState.IN_TRANSIT)
    write(tmp_path, bench.journal.records)
    (left,) = left_behind(tmp_path, MINE, INSTRUMENTS).pairs
    record, _ = abandon(left, NOON_NS + 1)
    if is_old:
        del record["abandoned"]
    journal = SqliteJournal(tmp_path, "second")
    start = {"run_id": "second", "strategy": "arbitrage", "market": "live", "real_money": False, "started_ns": NOON_NS}
    journal.record(RecordKind.RUN, "second", NOON_NS, start)
    journal.record(RecordKind.PAIR, chain.id, NOON_NS + 1, record)
    journal.close()
    (market,) = report_of(tmp_path).markets
    (line,) = market.abandoned
    assert (line.pair, line.abandoned_by, market.profit, market.open_pairs) == (chain.id, "second", {}, ())
    assert line.held == ("0.1 BTC" if is_old else "0.1 BTC between a and b")
