"""Pairs beside what else goes on: a journal that fails and comes back, a run that has ended, pairs on one position."""

import pytest

from bot.domain.order import OrderStatus, Side
from bot.execution.pair import Pair, PairState
from tests.unit.executor_bench import D
from tests.unit.pair_bench import NOTHING, OTHER, PERP, SPOT, Bench, opened


def test_what_was_withheld_when_the_journal_failed_does_not_leave_when_it_is_durable_after_all() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    pair = bench.open()
    bench.executor.journal_failed("full")
    bench.journal.sync()
    assert bench.inbox == []
    assert pair.state is PairState.MISSED


def test_what_was_sent_when_the_journal_failed_is_not_sent_again_when_it_is_durable_after_all() -> None:
    """A venue's desk refuses the second for its name, and the pair would take the live one for rejected."""
    bench, pair = opened()
    bench.journal.is_slow = True
    bench.executor.close(pair, "edge_gone")
    assert bench.inbox == []
    bench.executor.journal_failed("full")
    sent = list(bench.inbox)
    assert {one.instrument.id for one in sent} == {SPOT.id, PERP.id}
    bench.journal.sync()
    assert bench.inbox == sent


def test_after_the_end_of_a_run_nothing_leaves_though_no_intent_can_be_durable() -> None:
    bench = Bench()
    pair = bench.open()
    buy, sell = bench.take(Side.BUY, SPOT), bench.take(Side.SELL, PERP)
    bench.executor.stop()
    bench.journal.is_broken = True
    bench.end(sell)
    bench.fill(buy)
    bench.end(buy, buy.quantity)
    assert bench.inbox == [], "nobody follows it any more"
    assert not pair.pending, "nor is it written down: the next start would ask a venue for it"


def test_after_the_end_of_a_run_what_waited_for_the_journal_does_not_leave_when_it_fails() -> None:
    bench, pair = opened()
    bench.journal.is_slow = True
    bench.executor.close(pair, "edge_gone")
    bench.executor.stop()
    bench.executor.journal_failed("full")
    bench.journal.sync()
    assert bench.inbox == []


def ahead_beside_another() -> tuple[Bench, Pair]:
    """One pair is filled unevenly by less than the venue's minimum, while another's orders are on their way there."""
    bench = Bench()
    pair = bench.open(buy=PERP, sell=OTHER)
    buy, sell = bench.take(Side.BUY, PERP), bench.take(Side.SELL, OTHER)
    bench.open(buy=PERP, sell=OTHER)
    bench.fill(buy)
    bench.end(buy, buy.quantity)
    bench.fill(sell, D("0.49"))
    bench.end(sell, D("0.49"))
    assert (pair.state, pair.imbalance) == (PairState.OPEN, D("0.01"))
    bench.wait(1000)
    assert len(bench.inbox) == 2, "whether the position will shrink by it, nobody knows yet"
    return bench, pair


@pytest.mark.parametrize("others_are_filled", [True, False])
def test_what_a_leg_is_ahead_by_little_goes_once_the_orders_of_the_pair_beside_have_ended(
    others_are_filled: bool,
) -> None:
    bench, pair = ahead_beside_another()
    for side, instrument in ((Side.BUY, PERP), (Side.SELL, OTHER)):
        bench.answer(side, instrument, None if others_are_filled else "0")
    bench.wait_for_an_order()
    order = bench.answer(Side.SELL, PERP)
    assert (order.quantity, order.reduce_only) == (D("0.01"), True)
    assert (pair.state, pair.imbalance) == (PairState.OPEN, NOTHING)
    bench.wait(60_000)
    assert bench.inbox == []
    assert bench.halts == []


def test_a_pair_that_waits_for_the_pair_beside_is_closed_at_once() -> None:
    bench, pair = ahead_beside_another()
    for order in list(bench.inbox):
        bench.end(order, status=OrderStatus.EXPIRED)
    bench.inbox.clear()
    bench.executor.close(pair, "edge_gone")
    assert [(one.side, one.quantity) for one in bench.inbox] == [(Side.SELL, D("0.01"))], "the difference goes first"


def test_what_a_leg_is_ahead_by_little_goes_once_no_other_pair_holds_it_the_other_way_round() -> None:
    bench, beside = opened()
    pair = bench.open(buy=PERP, sell=OTHER)
    bench.answer(Side.BUY, PERP)
    bench.answer(Side.SELL, OTHER, "0.49")
    assert (pair.state, pair.imbalance) == (PairState.OPEN, D("0.01"))
    bench.wait(60_000)
    assert bench.inbox == [], "the account is flat there: its venue takes so little of no position"
    bench.executor.close(beside, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    bench.wait_for_an_order()
    order = bench.answer(Side.SELL, PERP)
    assert (order.quantity, order.reduce_only) == (D("0.01"), True)
    assert (pair.state, pair.imbalance, bench.halts) == (PairState.OPEN, NOTHING, [])
