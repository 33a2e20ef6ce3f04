"""Two closing pairs hold one perpetual by less than its venue takes, one long and one short: both end unordered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.order import Fill, OrderStatus, Side
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.left_behind import left_behind, write_missing
from bot.execution.journal_replay import JournalReplay, replay_ledger
from bot.execution.pair import Pair, PairState
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from bot.storage.schema import encode
from tests.unit import pair_bench
from tests.unit.pair_bench import OTHER, SPOT, Bench
from tests.unit.test_postmortem_report import Book, report_of
from tests.unit.test_shadow_desk import Bench as ShadowBench

D = Decimal
PERP = pair_bench.PERP.model_copy(update={"min_notional": D(50)})
MINE = {"a": "key-a", "b": "key-b", "c": "key-c"}
KNOWN = {one.id: one for one in (SPOT, PERP, OTHER)}


@dataclass
class Kept:
    kind: RecordKind
    key: str
    body: Mapping[str, Any]


def two_pairs() -> tuple[Bench, Pair, Pair]:
    """One pair is short of half a coin of PERP, the other long."""
    bench = Bench()
    pairs = []
    for buy, sell in ((SPOT, PERP), (PERP, OTHER)):
        pairs.append(bench.open("0.50", buy=buy, sell=sell))
        bench.answer(Side.BUY, buy)
        bench.answer(Side.SELL, sell)
    return bench, pairs[0], pairs[1]


def two_rests(short: str = "0.01", long: str = "0.01") -> tuple[Bench, Pair, Pair]:
    """One pair is short, the other long by so much of PERP; all else of both is gone, and no venue takes either."""
    bench, *pairs = two_pairs()
    for pair, rest in zip(pairs, (short, long), strict=True):
        bench.executor.close(pair, "edge_gone")
        for order in list(bench.inbox):
            bench.inbox.remove(order)
            filled = order.quantity - (D(rest) if order.instrument == PERP else 0)
            if filled:
                bench.fill(order, filled)
            bench.end(order, filled)
    return bench, pairs[0], pairs[1]


def kept(bench: Bench) -> list[Kept]:
    return [Kept(kind, key, json.loads(encode(body))) for kind, key, body in bench.journal.records]


def flows(fills: list[Fill]) -> Decimal:
    return sum((-fill.side.sign * fill.quantity * fill.price - fill.fee for fill in fills), D(0))


def test_rests_that_no_venue_takes_are_matched_at_the_middle_of_the_quote_and_both_pairs_end() -> None:
    bench, short, long = two_rests()
    assert bench.inbox == []
    assert (short.state, long.state) == (PairState.CLOSED, PairState.CLOSED)
    assert not bench.executor.pairs
    of_orders = [fill for fill in bench.counted if fill.client_order_id != "netted"]
    matched = [fill for fill in bench.counted if fill.client_order_id == "netted"]
    assert [(fill.side, fill.quantity, fill.price, fill.fee) for fill in matched] == [
        (Side.SELL, D("0.01"), D("1000.5"), D(0)),
        (Side.BUY, D("0.01"), D("1000.5"), D(0)),
    ]
    ledger = replay_ledger(kept(bench), KNOWN)
    assert all(pair.is_closed for pair in ledger.pairs())
    assert ledger.realised() == {"USDT": flows(of_orders)}, "what orders did, and nothing else, is in the wallets"


@pytest.mark.parametrize(("short", "long"), [("0.02", "0.01"), ("0.01", "0.02")])
def test_of_a_larger_rest_the_difference_goes_by_an_order_that_reduces(short: str, long: str) -> None:
    bench, *pairs = two_rests(short, long)
    if not bench.inbox:
        bench.wait_for_an_order()
    (order,) = bench.inbox
    assert (order.quantity, order.reduce_only, order.side) == (
        D("0.01"),
        True,
        Side.BUY if short > long else Side.SELL,
    )
    bench.answer(order.side, PERP)
    assert [pair.state for pair in pairs] == [PairState.CLOSED, PairState.CLOSED]


def test_without_a_quote_there_is_no_price_and_both_wait_for_one() -> None:
    bench, short, long = two_rests("0.01", "0.06")
    bench.wait_for_an_order()
    order = bench.take(Side.SELL, PERP)
    bench.quotes[PERP.id] = None
    bench.fill(order, D("0.05"))
    bench.end(order, D("0.05"))
    bench.wait(60_000)
    assert bench.inbox == []
    assert (short.state, long.state) == (PairState.CLOSING, PairState.CLOSING)
    bench.quote(PERP, 900.0, 901.0)
    bench.wait(10_000)
    assert (short.state, long.state) == (PairState.CLOSED, PairState.CLOSED)
    assert bench.counted[-1].price == D("900.5")


def test_a_pair_that_is_left_alone_is_matched_with_nobody() -> None:
    bench, short, long = two_rests("0.01", "0.06")
    short.is_frozen = True
    bench.wait_for_an_order()
    order = bench.take(Side.SELL, PERP)
    bench.fill(order, D("0.05"))
    bench.end(order, D("0.05"))
    bench.wait(60_000)
    assert (short.state, long.state) == (PairState.CLOSING, PairState.CLOSING)
    bench.executor.thaw()
    assert (short.state, long.state) == (PairState.CLOSED, PairState.CLOSED)


def test_a_rest_that_only_an_open_pair_holds_the_other_way_round_is_told_of_once_and_goes_with_it() -> None:
    """The venue takes no order for it, and no pair may be closed for its sake."""
    bench, short, long = two_pairs()
    bench.executor.close(short, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP, "0.49")
    bench.wait(600_000)
    assert (short.state, long.state, bench.inbox) == (PairState.CLOSING, PairState.OPEN, [])
    what = "it holds -0.01 ETH on b:ETH/USDT:USDT, which run-2 holds the other way round"
    assert bench.alarms == [f"pair run-1 cannot be closed before others: {what}"]
    bench.executor.close(long, "edge_gone")
    bench.answer(Side.BUY, OTHER)
    bench.answer(Side.SELL, PERP, "0.49")
    bench.wait(10_000)
    assert (short.state, long.state) == (PairState.CLOSED, PairState.CLOSED)
    assert len(bench.alarms) == 1


def test_less_than_a_lot_is_matched_too() -> None:
    """The venue has made its lots larger: no order closes either, and the account holds nothing."""
    before, *pairs = two_rests("0.20", "0.20")
    coarse = PERP.model_copy(update={"lot_size": D("0.3"), "min_quantity": D("0.3")})
    replay = JournalReplay({**KNOWN, PERP.id: coarse})
    for one in kept(before):
        replay.take(one)
    bench = Bench()
    for left in replay.left():
        bench.executor.adopt(left.pair)
        for order in list(left.pair.waiting()):
            bench.end(order, status=OrderStatus.EXPIRED)
    bench.wait(10_000)
    assert not bench.executor.pairs
    assert len(pairs) == len(bench.states) == 2


def test_the_post_mortem_explains_both_pairs_whole(tmp_path: Path) -> None:
    bench, _, _ = two_rests()
    with Book(tmp_path) as book:
        for one in kept(bench):
            book.record(one.kind, 2_000, one.body, one.key)
        book.end()
    report = report_of(tmp_path)
    (market,) = report.markets
    of_orders = [fill for fill in bench.counted if fill.client_order_id != "netted"]
    assert market.profit == {"USDT": flows(of_orders)}
    assert (market.open_pairs, report.residual) == ((), 0)


def test_killed_after_any_record_a_start_finds_both_sides_of_it_or_none(tmp_path: Path) -> None:
    bench, _, _ = two_rests()
    told = kept(bench)
    matched = [at for at, one in enumerate(told) if one.body.get("client_order_id") == "netted"]
    assert len(matched) == 2
    missing = []
    for last in range(matched[0], len(told) + 1):
        data_dir = tmp_path / str(last)
        write(data_dir, "run", told[:last])
        found = left_behind(data_dir, MINE, tuple(KNOWN.values()))
        held = sum((leg.held for one in found.pairs for leg in one.pair.legs if leg.instrument == PERP), D(0))
        assert held == 0, "as at the venue"
        missing.append(len(found.missing_parts))
        journal = write(data_dir, "second", [], is_open=True)
        write_missing(journal, found)
        journal.close()
        assert left_behind(data_dir, MINE, tuple(KNOWN.values())).missing_parts == []
    assert sum(missing) == 1, "between the two records alone"


def test_killed_twice_the_third_start_counts_what_both_pairs_came_to(tmp_path: Path) -> None:
    """The second run was killed when it had written their ends, and not yet the fill that was missing."""
    bench, _, _ = two_rests()
    told = kept(bench)
    first = next(at for at, one in enumerate(told) if one.body.get("client_order_id") == "netted")
    write(tmp_path, "run", told[: first + 1])
    second = Bench()
    for left in left_behind(tmp_path, MINE, tuple(KNOWN.values())).pairs:
        second.executor.adopt(left.pair)
    assert not second.executor.pairs
    write(tmp_path, "second", kept(second))
    found = left_behind(tmp_path, MINE, tuple(KNOWN.values()))
    assert (found.pairs, len(found.missing_parts)) == ([], 1)
    realised = realised_today(tmp_path, MINE, tuple(KNOWN.values()), 1, missing=found.missing_parts)
    assert realised == flows([fill for fill in bench.counted if fill.client_order_id != "netted"])
    shadow = ShadowBench(tmp_path / "paper").shadow
    shadow._data_dir, shadow._instruments, shadow._clock = tmp_path, list(KNOWN.values()), VirtualClock(1)
    shadow._side = replace(shadow._side, accounts=MINE)
    shadow.look_back()
    assert shadow._realised == realised


def write(data_dir: Path, run_id: str, records: list[Kept], *, is_open: bool = False) -> SqliteJournal:
    journal = SqliteJournal(data_dir, run_id)
    instruments = [one.model_dump(mode="json") for one in KNOWN.values()]
    start = {"run_id": run_id, "market": "live", "accounts": MINE, "started_ns": 1, "instruments": instruments}
    journal.record(RecordKind.RUN, run_id, 1, start)
    for one in records:
        journal.record(one.kind, one.key, 1, one.body)
    if not is_open:
        journal.close()
    return journal
