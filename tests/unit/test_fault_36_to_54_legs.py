"""Faults of orders and legs at the executor, on a virtual clock: time to flat, what is sent, and what is not."""

from decimal import Decimal

import pytest

from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side
from bot.execution.episode import Stage
from bot.execution.pair import Pair, PairState
from bot.execution.reasons import LATE_FILL
from bot.ports import RecordKind
from bot.settings import ExecutionSettings
from tests.unit.executor_bench import MS
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
SETTINGS = ExecutionSettings()
CHEAP_TO_COMPLETE = 30.0
"""Net edge, bps: the missing leg may slip so far before unwinding is cheaper."""
STP = {"reason": "EXPIRED_IN_MATCH", "status": OrderStatus.EXPIRED}


def bench(net_edge_bps: float = CHEAP_TO_COMPLETE) -> Bench:
    return Bench(SETTINGS, net_edge_bps=net_edge_bps, taker_bps=5.0)


def bought_alone(here: Bench) -> tuple[Pair, Order]:
    """The spot leg is filled; the other one's order."""
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    return pair, here.take(Side.SELL, PERP)


def seconds(here: Bench) -> float:
    return here.clock.now_ns() / 1e9


# The missing leg


def test_fault_40_a_leg_that_is_rejected_is_tried_once_more_and_then_the_other_is_unwound() -> None:
    here = bench()
    pair, sell = bought_alone(here)
    here.end(sell, status=OrderStatus.REJECTED)
    again = here.take(Side.SELL, PERP)
    assert (again.type, again.quantity) == (OrderType.LIMIT, D("0.50"))
    here.end(again, status=OrderStatus.REJECTED)
    assert here.answer(Side.SELL, SPOT).type is OrderType.MARKET
    assert (pair.state, pair.imbalance, here.halts) == (PairState.FAILED, 0, [])
    assert seconds(here) < 1.0


def test_fault_40_a_missing_leg_is_completed_while_that_costs_less_than_unwinding() -> None:
    here = bench()
    pair, sell = bought_alone(here)
    here.quote(PERP, 999.9, 1000.9)  # 1 bps below the decision
    here.end(sell)
    first = here.take(Side.SELL, PERP)
    assert first.price == D("999.40"), "the first try goes one cap beyond the quote"
    here.end(first)
    here.wait_for_an_order()
    second = here.take(Side.SELL, PERP)
    assert (second.price, second.quantity) == (D("998.90"), D("0.50")), "the second one two"
    here.fill(second)
    here.end(second, D("0.50"))
    assert (pair.state, pair.imbalance) == (PairState.OPEN, 0)


@pytest.mark.parametrize(("net_edge_bps", "completes"), [(2.0, True), (-30.0, False)])
def test_fault_40_what_costs_less_is_done(net_edge_bps: float, completes: bool) -> None:
    """Unwinding costs 15 bps of spread and two fees of 5: completing at the decided price costs minus the net edge."""
    here = bench(net_edge_bps)
    _, sell = bought_alone(here)
    here.end(sell)
    (order,) = here.inbox
    assert (order.instrument == PERP) is completes


def test_fault_40_nothing_is_completed_once_nothing_new_may_be_opened() -> None:
    here = bench()
    pair, sell = bought_alone(here)
    here.may_open = False
    here.end(sell)
    assert here.answer(Side.SELL, SPOT).type is OrderType.MARKET
    assert pair.state is PairState.FAILED


def test_fault_41_of_a_leg_filled_in_part_the_rest_is_hedged_and_what_is_left_is_unwound() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP, "0.18")
    assert here.answer(Side.SELL, PERP, "0.12").quantity == D("0.32")
    assert here.answer(Side.SELL, PERP, "0").quantity == D("0.20")
    here.wait_for_an_order()
    assert here.answer(Side.SELL, PERP, "0").quantity == D("0.20")
    here.wait_for_an_order()
    assert here.answer(Side.SELL, SPOT).quantity == D("0.20")
    assert (pair.state, pair.buy.held, pair.sell.held) == (PairState.OPEN, D("0.30"), D("-0.30"))
    assert seconds(here) < 1.0


def test_fault_41_less_than_the_venue_takes_is_dust_and_nothing_is_sent_for_it() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT, "0.303")
    here.answer(Side.SELL, PERP, "0.30")
    assert (here.inbox, pair.state, pair.uneven) == ([], PairState.OPEN, None)


# Orders without an answer


def test_fault_36_an_order_without_an_answer_is_never_sent_again_and_the_other_leg_is_unwound_in_time() -> None:
    here = bench()
    pair, lost = bought_alone(here)
    here.wait(1_999)
    assert here.alarms == []
    here.wait(1)
    assert "uneven by 0.5" in here.alarms[0]
    here.wait(999)
    assert here.inbox == []
    here.wait(1)
    assert here.answer(Side.SELL, SPOT).type is OrderType.MARKET
    assert here.executor.unresolved("b") == 1
    here.wait(6_999)
    assert here.halts == []
    here.wait(1)  # for all that is known the lost one may have been filled
    assert "may be 0.5" in here.halts[0]
    assert lost.client_order_id in here.halts[0]
    here.wait(60_000)
    assert [order.instrument for order in here.sent] == [SPOT, PERP, SPOT]
    here.end(lost, status=OrderStatus.REJECTED)
    assert (pair.state, here.executor.unresolved("b"), len(here.halts)) == (PairState.FAILED, 0, 1)


def test_fault_36_a_patient_order_timeout_does_not_stretch_the_budget() -> None:
    here = Bench(ExecutionSettings(order_timeout_ms=60_000.0), net_edge_bps=CHEAP_TO_COMPLETE, taker_bps=5.0)
    _, lost = bought_alone(here)
    here.wait(2_999)
    assert here.inbox == []
    here.wait(1)
    assert here.take(Side.SELL, SPOT).type is OrderType.MARKET
    assert here.journal.statuses(lost.client_order_id)[-1] == "unknown"


def test_fault_36_both_legs_without_an_answer_halt_in_time_and_open_when_the_truth_comes() -> None:
    here = bench()
    pair = here.open()
    lost = [here.take(Side.BUY, SPOT), here.take(Side.SELL, PERP)]
    here.wait(9_999)
    assert here.halts == []
    here.wait(1)
    assert len(here.halts) == 1
    for order in lost:
        here.fill(order)
        here.end(order, D("0.50"))
    assert (pair.state, len(here.sent), pair.uneven) == (PairState.OPEN, 2, None)


def test_fault_37_an_order_that_never_arrived_is_a_leg_that_was_not_filled() -> None:
    here = bench()
    pair, lost = bought_alone(here)
    here.wait(2_250)
    here.end(lost, status=OrderStatus.REJECTED)  # what the carrier says after asking twice
    here.answer(Side.SELL, PERP)
    assert (pair.state, here.halts, len(pair.episodes)) == (PairState.OPEN, [], 1)
    assert pair.episodes[0].seconds(0) == 2.25
    assert pair.episodes[0].stage is Stage.ALARMED


def test_fault_42_a_leg_that_is_filled_while_the_other_is_unwound_is_netted_by_position() -> None:
    here = bench()
    pair, late = bought_alone(here)
    here.wait(3_000)
    unwinding = here.take(Side.SELL, SPOT)
    here.fill(late)
    here.end(late, D("0.50"))
    assert here.inbox == [], "not twice: the first unwinding is on its way"
    here.fill(unwinding)
    here.end(unwinding, D("0.50"))
    here.wait_for_an_order()
    assert here.answer(Side.BUY, PERP).reduce_only
    assert (pair.state, pair.buy.held, pair.sell.held, here.halts) == (PairState.FAILED, 0, 0, [])


def test_fault_42_what_is_filled_in_part_meanwhile_has_no_second_order_sent_beside_the_unwinding() -> None:
    here = bench()
    pair, late = bought_alone(here)
    here.wait(3_000)
    unwinding = here.take(Side.SELL, SPOT)
    here.fill(late, D("0.20"))
    here.end(late, D("0.20"))
    here.wait(400)
    assert here.inbox == [], "what the first unwinding brings decides"
    assert here.journal.statuses(unwinding.client_order_id) == ["intent", "sent"], (
        "it left with the deadline, not before"
    )
    here.fill(unwinding)
    here.end(unwinding, D("0.50"))
    here.wait_for_an_order()
    assert here.answer(Side.BUY, PERP).quantity == D("0.20")
    assert (pair.state, pair.buy.held, pair.sell.held, here.halts) == (PairState.FAILED, 0, 0, [])


def test_fault_36_an_unwinding_without_an_answer_is_given_up_half_a_second_after_the_deadline() -> None:
    here = bench()
    _, late = bought_alone(here)
    here.wait(3_000)
    unwinding = here.take(Side.SELL, SPOT)
    here.end(late)
    here.wait(499)
    assert here.journal.statuses(unwinding.client_order_id)[-1] == "sent"
    here.wait(1)
    assert here.journal.statuses(unwinding.client_order_id)[-1] == "unknown"
    assert here.take(Side.SELL, PERP).type is OrderType.MARKET, "the other leg is hedged instead"


def test_fault_42_an_unwinding_that_brings_nothing_leaves_the_pair_that_was_wanted() -> None:
    here = bench()
    pair, late = bought_alone(here)
    here.wait(3_000)
    unwinding = here.take(Side.SELL, SPOT)
    here.fill(late)
    here.end(late, D("0.50"))
    here.end(unwinding)
    assert (pair.state, pair.imbalance, here.inbox) == (PairState.OPEN, 0, [])


def test_fault_42_an_unwinding_without_an_answer_is_not_doubled() -> None:
    here = bench(net_edge_bps=-30.0)
    pair, sell = bought_alone(here)
    here.end(sell)
    unwinding = here.take(Side.SELL, SPOT)
    here.wait(9_000)
    completing = [order for order in here.inbox if order.instrument == SPOT]
    assert completing == []
    here.fill(unwinding)
    here.end(unwinding, D("0.50"))
    for order in list(here.inbox):  # the other leg was hedged instead, since this one was not to be touched
        here.inbox.remove(order)
        here.fill(order)
        here.end(order, order.quantity)
    here.wait(200)
    while here.inbox:
        order = here.inbox.pop(0)
        here.fill(order)
        here.end(order, order.quantity)
    assert (pair.buy.held, pair.sell.held, pair.state) == (0, 0, PairState.FAILED)


@pytest.mark.parametrize("state", [PairState.MISSED, PairState.CLOSED])
def test_fault_38_an_order_that_was_said_not_to_exist_and_is_filled_after_all_is_evened_again(state: PairState) -> None:
    here = bench()
    pair = here.open()
    lost = here.take(Side.SELL, PERP)
    here.answer(Side.BUY, SPOT, "0" if state is PairState.MISSED else None)
    here.end(lost, status=OrderStatus.REJECTED)
    if state is PairState.CLOSED:
        here.answer(Side.SELL, PERP)
        here.executor.close(pair, "edge_gone")
        here.answer(Side.SELL, SPOT)
        here.answer(Side.BUY, PERP)
    assert pair.state is state
    here.fill(lost, number=7)
    assert "after its final state" in here.alarms[-1]
    assert here.answer(Side.BUY, PERP).quantity == D("0.50")
    assert (pair.state, pair.sell.held, dict(here.executor.pairs)) == (PairState.CLOSED, 0, {})
    assert pair.close_reason == (LATE_FILL if state is PairState.MISSED else "edge_gone")
    assert here.halts == []


def test_fault_38_a_late_fill_of_an_open_pair_is_traded_away() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    sell = here.take(Side.SELL, PERP)
    here.end(sell, status=OrderStatus.REJECTED)
    here.answer(Side.SELL, PERP)
    assert pair.state is PairState.OPEN
    here.fill(sell, number=9)
    assert here.answer(Side.BUY, PERP).quantity == D("0.50")
    assert (pair.state, pair.imbalance, here.halts) == (PairState.OPEN, 0, [])


def test_fault_43_what_is_filled_while_it_is_cancelled_is_counted_and_evened() -> None:
    """-2011 says that there is nothing to cancel: the final state, which is asked for, tells of the fill."""
    here = bench(net_edge_bps=-30.0)
    pair, sell = bought_alone(here)
    here.fill(sell, D("0.20"))
    here.end(sell, D("0.20"), OrderStatus.CANCELLED)
    assert here.answer(Side.SELL, SPOT).quantity == D("0.30")
    assert (pair.state, pair.imbalance) == (PairState.OPEN, 0)


def test_fault_54_an_order_that_met_one_of_our_own_is_not_filled() -> None:
    here = bench()
    pair, sell = bought_alone(here)
    here.executor.on_order(sell.model_copy(update=STP))
    here.answer(Side.SELL, PERP)
    assert (pair.state, pair.imbalance, here.halts) == (PairState.OPEN, 0, [])


# Sizes, fees, dust


@pytest.mark.parametrize(
    ("quantity", "name"), [("0.015", "size b:ETH"), ("0.004", "size a:ETH"), ("0.515", "size b:ETH"), ("0.51", "")]
)
def test_fault_46_a_size_that_one_side_cannot_take_is_refused_by_name_before_the_first_leg(
    quantity: str, name: str
) -> None:
    here = bench()
    pair = here.open(quantity)
    if name:
        assert str(pair.close_reason).startswith(name)
        assert (pair.state, here.sent, pair.orders) == (PairState.MISSED, [], {})
    else:
        assert len(here.sent) == 2


def round_trip(here: Bench, fee: str) -> Pair:
    pair = here.open()
    here.answer(Side.BUY, SPOT, fee=fee)
    here.answer(Side.SELL, PERP)
    here.executor.close(pair, "edge_gone")
    here.answer(Side.SELL, SPOT)
    here.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    return pair


def test_fault_46_remainders_are_kept_and_the_next_pair_takes_them_along() -> None:
    here = bench()
    for _ in range(4):
        round_trip(here, fee="0.00025")  # 0.49975 held, 0.499 sold, and each time 0.00075 more
        assert abs(sum(here.executor.dust.amounts.values(), D(0))) < D("0.001")
    sold = [fill.quantity for fill in here.counted if fill.instrument == SPOT and fill.side is Side.SELL]
    assert sold == [D("0.499"), D("0.500"), D("0.500"), D("0.500")]
    assert sum(sold) == 4 * D("0.49975")
    assert here.executor.dust.amounts == {}
    told = [body["quantity"] for kind, key, body in here.journal.records if kind is RecordKind.DUST and key == SPOT.id]
    assert told[:2] == ["0.00075", "0.00000"]


def test_fault_46_dust_that_is_not_in_the_wallet_is_left_where_it_is() -> None:
    here = bench()
    here.executor.dust.restore({SPOT.id: D("0.0009")}, [SPOT, PERP])
    pair = here.open()
    here.answer(Side.BUY, SPOT, fee="0.0005")
    here.answer(Side.SELL, PERP)
    here.executor.close(pair, "edge_gone")
    wanted = here.take(Side.SELL, SPOT)
    assert wanted.quantity == D("0.500")
    here.answer(Side.BUY, PERP)
    here.end(wanted, status=OrderStatus.REJECTED)
    here.wait_for_an_order()
    assert here.answer(Side.SELL, SPOT).quantity == D("0.499")
    assert pair.state is PairState.CLOSED
    assert here.executor.dust.amounts == {SPOT.id: D("0.0014")}
    again = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP)
    here.executor.close(again, "edge_gone")
    assert here.take(Side.SELL, SPOT).quantity == D("0.500"), "it is not offered again"


def test_fault_47_a_fee_taken_in_base_is_hedged_by_what_was_received() -> None:
    here = bench(net_edge_bps=-30.0)
    pair = here.open()
    here.answer(Side.BUY, SPOT, fee="0.02")  # a fee of 4 %: 0.48 received
    here.answer(Side.SELL, PERP)
    assert here.answer(Side.BUY, PERP).quantity == D("0.02")
    assert (pair.state, pair.imbalance) == (PairState.OPEN, 0)


# The venue trades our position


def forced(here: Bench, quantity: str, why: str = "liquidation") -> Fill:
    return Fill(
        fill_id="77", client_order_id="autoclose-1", instrument=PERP, side=Side.BUY, price=D(1200),
        quantity=D(quantity), fee=D(1), fee_asset="USDT", is_maker=False, ts_event_ns=here.clock.now_ns(), forced=why,
    )  # fmt: skip


@pytest.mark.parametrize("why", ["liquidation", "adl"])
@pytest.mark.parametrize("taken", ["0.50", "0.20"])
def test_fault_50_51_what_the_venue_takes_away_closes_the_other_leg_at_once(why: str, taken: str) -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP)
    assert here.executor.on_forced(forced(here, taken, why))
    assert f"({why})" in here.alarms[0]
    assert here.answer(Side.SELL, SPOT).quantity == D(taken)
    if taken == "0.20":  # even again: then what is left of both
        here.answer(Side.SELL, SPOT)
        here.answer(Side.BUY, PERP)
    assert (pair.state, pair.close_reason, pair.imbalance) == (PairState.CLOSED, why, 0)
    assert seconds(here) < 10.0


def test_fault_50_a_position_of_two_pairs_is_taken_from_both() -> None:
    here = bench()
    pairs = []
    for _ in range(2):
        pairs.append(here.open())
        here.answer(Side.BUY, SPOT)
        here.answer(Side.SELL, PERP)
    assert here.executor.on_forced(forced(here, "0.70"))
    assert [pair.sell.held for pair in pairs] == [D(0), D("-0.30")]
    assert sum(fill.fee for fill in here.counted) == 1
    assert len({fill.fill_id for fill in here.counted}) == len(here.counted)


def test_fault_50_the_parts_of_a_fee_that_divides_into_no_decimals_sum_to_it() -> None:
    here = bench()
    for _ in range(3):
        here.open()
        here.answer(Side.BUY, SPOT)
        here.answer(Side.SELL, PERP)
    assert here.executor.on_forced(forced(here, "1.50"))
    fees = [fill.fee for fill in here.counted if fill.forced]
    assert len(fees) == 3
    assert sum(fees) == 1


def test_fault_50_a_position_of_no_pair_is_nobodys() -> None:
    assert not bench().executor.on_forced(forced(bench(), "0.50"))


# The budget


def test_the_budget_of_being_uneven_is_kept_to_the_millisecond() -> None:
    here = bench()
    pair, _ = bought_alone(here)
    stages = []
    for at_ms in (1_999, 1, 999, 1, 6_999, 1):
        here.wait(at_ms)
        (found,) = here.executor.unhedged()
        stages.append((found.stage, round(found.seconds, 3), found.quantity))
    assert stages == [
        (Stage.CALM, 1.999, D("0.50")), (Stage.ALARMED, 2.0, D("0.50")), (Stage.ALARMED, 2.999, D("0.50")),
        (Stage.ACTING, 3.0, D("0.50")), (Stage.ACTING, 9.999, D("0.50")), (Stage.HALTED, 10.0, D("0.50")),
    ]  # fmt: skip
    assert pair.uneven is not None


def test_what_getting_even_cost_stands_in_the_journal() -> None:
    here = bench(net_edge_bps=-30.0)
    pair, sell = bought_alone(here)
    here.wait(500)
    here.end(sell)
    unwinding = here.take(Side.SELL, SPOT)
    here.wait(100)
    here.fill(unwinding, fee="0.25")  # at 1000, bought at 1001.50
    here.end(unwinding, D("0.50"))
    assert pair.state is PairState.FAILED
    (told,) = here.journal.records[-1][2]["unhedged"]
    assert (told["seconds"], D(told["quantity"]), told["stage"]) == (0.6, D("0.50"), "calm")
    assert D(told["loss"]) == D("1.50") * D("0.50") + D("0.25")
    assert told["loss_bps"] == pytest.approx(1.00 / 500 * 1e4)


def test_two_legs_that_are_told_of_one_after_the_other_are_no_episode() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP)
    assert (pair.episodes, here.executor.unhedged()) == ([], [])


def test_closing_that_leaves_one_leg_goes_to_the_market_in_time() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP)
    here.executor.close(pair, "edge_gone")
    here.answer(Side.SELL, SPOT)
    kinds = []
    while seconds(here) < 3.0:
        if here.inbox:
            kinds.append(here.answer(Side.BUY, PERP, "0").type)
        here.wait(50)
    here.wait_for_an_order()
    assert set(kinds) == {OrderType.LIMIT}
    assert here.answer(Side.BUY, PERP).type is OrderType.MARKET
    assert (pair.state, here.halts) == (PairState.CLOSED, [])
    assert seconds(here) < 3.3


def test_a_missing_leg_is_not_sent_to_a_venue_that_takes_no_new_risk() -> None:
    """It may have banned us since the pair was approved: what is ahead is unwound at the other venue at once."""
    here = bench()
    here.executor.is_shut = lambda venue: venue == "b"
    pair, sell = bought_alone(here)
    here.end(sell)
    unwinding = here.take(Side.SELL, SPOT)
    assert here.inbox == []
    here.fill(unwinding)
    here.end(unwinding, unwinding.quantity)
    assert pair.state is PairState.FAILED


# Flatten, adopt


def test_flatten_closes_what_is_open_and_what_is_being_opened() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    assert here.executor.flatten("another") == 0
    assert here.executor.flatten() == 1
    here.answer(Side.SELL, PERP)
    here.answer(Side.SELL, SPOT)
    here.answer(Side.BUY, PERP)
    assert (pair.state, pair.close_reason) == (PairState.CLOSED, "flatten")


def adopted(pair: Pair, *pending: Order) -> Bench:
    """A new run, with the pair as an earlier one left it."""
    here = bench()
    pair.pending = {order.client_order_id for order in pending}
    pair.uneven, pair.retry = None, None
    here.executor.adopt(pair)
    return here


def test_a_pair_that_an_earlier_run_left_uneven_is_unwound() -> None:
    pair, sell = bought_alone(bench())
    here = adopted(pair, sell)
    assert here.executor.unresolved("b") == 1
    unwinding = here.take(Side.SELL, SPOT)
    assert unwinding.client_order_id not in {"run-1-1", "run-1-2"}
    here.fill(unwinding)
    here.end(unwinding, D("0.50"))
    assert here.halts == []
    here.wait(10_000)
    assert len(here.halts) == 1, "what became of the other leg is not known yet"
    here.fill(sell)
    here.end(sell, D("0.50"))
    here.wait_for_an_order()
    here.answer(Side.BUY, PERP)
    assert (pair.state, pair.imbalance) == (PairState.FAILED, 0)


def test_a_pair_that_an_earlier_run_left_open_goes_on_and_one_that_was_closing_is_closed() -> None:
    before = bench()
    pair = before.open()
    before.answer(Side.BUY, SPOT)
    before.answer(Side.SELL, PERP)
    here = adopted(pair)
    here.wait(60_000)
    assert (pair.state, here.sent, here.halts) == (PairState.OPEN, [], [])
    here.executor.close(pair, "edge_gone")
    here.answer(Side.SELL, SPOT)
    later = adopted(pair, here.take(Side.BUY, PERP))
    assert later.inbox == []
    (lost,) = pair.pending
    later.fill(pair.orders[lost][0])
    later.end(pair.orders[lost][0], D("0.50"))
    assert (pair.state, MS) == (PairState.CLOSED, 1_000_000)


def test_a_price_of_many_digits_leaves_with_no_more_than_the_venue_counts() -> None:
    here = bench()
    here.quote(PERP, 999.12345678, 1000.987654321)
    _, sell = bought_alone(here)
    here.end(sell)
    again = here.take(Side.SELL, PERP)
    assert again.price is not None
    assert len(f"{again.price:f}".partition(".")[2]) == 2
    assert again.price % PERP.tick_size == 0
    assert len(f"{again.quantity:f}".partition(".")[2]) == 2


def test_when_the_run_has_ended_no_timer_sends_or_says_anything() -> None:
    """What a pair holds is named, and stays: the journal is closed, and the venues are not listened to."""
    here = bench()
    pair, sell = bought_alone(here)
    here.end(sell)
    here.answer(Side.SELL, PERP, "0")
    here.quotes.clear()
    here.quotes.update({SPOT.id: None, PERP.id: None})
    sent, told = len(here.sent), len(here.journal.records)
    here.executor.stop()
    here.wait(60_000)
    assert (len(here.sent), len(here.journal.records), here.halts, here.alarms) == (sent, told, [], [])
    assert pair.uneven is not None


def test_an_intent_that_becomes_durable_after_the_end_of_the_run_is_not_sent() -> None:
    here = bench()
    pair = here.open()
    here.answer(Side.BUY, SPOT)
    here.answer(Side.SELL, PERP)
    here.journal.is_slow = True
    here.executor.close(pair, "edge_gone")
    told = len(here.journal.records)
    here.executor.stop()
    here.journal.sync()
    assert here.inbox == []
    assert len(here.journal.records) == told
    assert {order.status for order, _, _ in pair.orders.values()} == {OrderStatus.FILLED, OrderStatus.INTENT}
