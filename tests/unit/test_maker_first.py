"""Pairs with post-only legs on a virtual clock: every fill is hedged at once, and nothing rests for nothing."""

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.domain.route import HoldLeg, Liquidity, Opportunity, Route, TradeLeg
from bot.execution.maker_executor import MakerExecutor
from bot.execution.pair import Pair, PairState
from bot.settings import ExecutionSettings
from tests.unit.executor_bench import MS, D, ExecutorBench
from tests.unit.pair_bench import PERP, SPOT

MAKER, TAKER = Liquidity.MAKER, Liquidity.TAKER
ZERO = D(0)


class Bench(ExecutorBench):
    """An executor whose bought leg, or both, rest; and the test's hand on every answer."""

    def __init__(self, buy: Liquidity = MAKER, sell: Liquidity = TAKER, net_edge_bps: float = 30.0) -> None:
        super().__init__(ExecutionSettings(), taker_bps=5.0)
        self.is_wanted = True
        self.net_edge_bps = net_edge_bps
        self.liquidity = (buy, sell)
        self.quote(SPOT, 999.0, 1001.0)
        self.quote(PERP, 1002.0, 1003.0)
        self.executor = MakerExecutor(
            self.context,
            on_pair=lambda pair: None,
            on_pair_fill=lambda pair, leg, fill: None,
            on_sent=lambda order: None,
        )
        self.executor.is_wanted = lambda pair: self.is_wanted
        self.executor.leaves_patiently = lambda reason: reason == "edge_gone"
        self.executor.on_alarm = lambda pair, text: self.alarms.append(text)

    def open(self, quantity: str = "0.50") -> Pair:
        buy, sell = (
            TradeLeg(instrument=one, side=side, liquidity=liquidity)
            for one, side, liquidity in zip((SPOT, PERP), (Side.BUY, Side.SELL), self.liquidity, strict=True)
        )
        back = [leg.model_copy(update={"side": leg.side.opposite}) for leg in (buy, sell)]
        sell_price = 1003.0 if self.liquidity[1] is MAKER else 1002.0
        return self.executor.open(
            Opportunity(
                route=Route(kind="test", legs=(buy, sell, HoldLeg(expected_s=60.0), *back)),
                ts_ns=self.clock.now_ns(), quantity=D(quantity), buy_price=999.0, sell_price=sell_price,
                gross_edge_bps=30.0, costs=(), net_edge_bps=self.net_edge_bps,
            )
        )  # fmt: skip

    # What the venue does

    def the(self, instrument: Instrument) -> Order:
        """The newest order on an instrument."""
        return [order for order in self.inbox if order.instrument == instrument][-1]

    def fill(self, order: Order, quantity: str) -> None:
        number = sum(kind == "fill" for kind, _, _ in self.journal.records)
        self.executor.on_fill(
            Fill(
                fill_id=f"{order.client_order_id}.{number}", client_order_id=order.client_order_id,
                instrument=order.instrument, side=order.side, price=order.price or D(1000), quantity=D(quantity),
                fee=ZERO, fee_asset="USDT", is_maker=order.time_in_force.rests, ts_event_ns=self.clock.now_ns(),
            )
        )  # fmt: skip

    def end(self, order: Order, filled: str = "0", status: OrderStatus | None = None) -> None:
        status = status or (OrderStatus.FILLED if D(filled) == order.quantity else OrderStatus.EXPIRED)
        self.executor.on_order(order.model_copy(update={"status": status, "filled_quantity": D(filled)}))

    def done(self, order: Order) -> Order:
        """Fill the order whole and end it."""
        self.fill(order, str(order.quantity))
        self.end(order, str(order.quantity))
        return order

    def taken_back(self, order: Order, filled: str = "0") -> None:
        assert order.client_order_id in self.cancels
        self.end(order, filled, OrderStatus.CANCELLED)


def test_the_maker_leg_rests_alone_at_its_own_side_and_its_fill_is_hedged_at_once() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    assert (rest.instrument, rest.time_in_force, rest.price) == (SPOT, TimeInForce.POST_ONLY, D("999.00"))
    here.wait(10_000)
    assert (len(here.inbox), here.alarms) == (1, [])
    here.fill(rest, "0.50")
    hedge = here.the(PERP)
    assert (hedge.time_in_force, hedge.type, hedge.quantity) == (TimeInForce.IOC, OrderType.LIMIT, D("0.50"))
    assert hedge.price == D("1001.50")  # one cap below the bid
    here.end(rest, "0.50")
    here.done(hedge)
    assert (pair.state, pair.imbalance, here.halts) == (PairState.OPEN, 0, [])


def test_every_part_is_hedged_while_the_rest_waits() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    for part in ("0.20", "0.10", "0.20"):
        here.fill(rest, part)
        assert here.the(PERP).quantity == D(part)
        here.done(here.the(PERP))
        assert pair.imbalance == 0
    here.end(rest, "0.50")
    assert (pair.state, here.cancels) == (PairState.OPEN, [])


def test_parts_that_come_while_a_hedge_is_on_its_way_go_with_the_next_one() -> None:
    here = Bench()
    here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.10")
    first = here.the(PERP)
    here.fill(rest, "0.20")
    here.fill(rest, "0.10")
    assert len(here.inbox) == 2
    here.done(first)
    assert here.the(PERP).quantity == D("0.30")


def test_parts_too_small_for_the_other_venue_wait_for_more_and_no_longer_than_the_budget() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.006")  # 6 USDT: spot takes it back, and the perpetual wants 20
    assert len(here.inbox) == 1
    here.fill(rest, "0.020")
    assert here.the(PERP).quantity == D("0.02")
    here.done(here.the(PERP))
    here.wait(2_999)
    assert here.cancels == []
    here.wait(1)
    here.taken_back(rest, "0.026")
    here.wait(200)
    assert here.the(SPOT).type is OrderType.MARKET
    assert here.done(here.the(SPOT)).quantity == D("0.006")
    assert (pair.state, pair.buy.held, pair.sell.held, here.halts) == (PairState.OPEN, D("0.02"), D("-0.02"), [])


def test_a_hedge_that_fails_takes_the_maker_back_and_unwinds_what_it_brought() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.30")
    here.end(here.the(PERP), status=OrderStatus.REJECTED)
    here.wait(200)
    here.end(here.the(PERP), status=OrderStatus.REJECTED)
    here.wait(200)
    here.fill(rest, "0.10")  # on the way of the cancel
    here.taken_back(rest, "0.40")
    here.wait(200)
    assert here.done(here.the(SPOT)).quantity == D("0.40")
    assert (pair.state, pair.imbalance, here.halts) == (PairState.FAILED, 0, [])
    assert here.clock.now_ns() < 1_000 * MS


def test_a_maker_that_cannot_be_taken_back_does_not_keep_the_other_leg_from_hedging_by_force() -> None:
    here = Bench(net_edge_bps=-100.0)  # completing never pays: it would unwind
    pair = here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.30")
    assert here.cancels == [rest.client_order_id]
    here.wait(3_000)
    hedge = here.the(PERP)
    assert (hedge.type, hedge.quantity) == (OrderType.MARKET, D("0.30"))
    here.done(hedge)
    assert pair.imbalance == 0
    here.wait(10_000)
    assert len(here.halts) == 1, "it may have been filled further"


def test_a_hedge_without_an_answer_takes_the_maker_back_in_time() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.30")
    lost = here.the(PERP)
    here.wait(2_999)
    assert here.cancels == []
    here.wait(1)
    here.taken_back(rest, "0.30")
    here.wait(200)
    assert here.done(here.the(SPOT)).quantity == D("0.30")
    here.end(lost, status=OrderStatus.REJECTED)
    assert (pair.state, pair.imbalance, here.halts) == (PairState.FAILED, 0, [])


def test_where_both_rest_the_first_that_is_filled_has_the_other_taken() -> None:
    here = Bench(MAKER, MAKER)
    pair = here.open()
    buy, sell = here.inbox
    assert {order.time_in_force for order in here.inbox} == {TimeInForce.POST_ONLY}
    assert (buy.price, sell.price) == (D("999.00"), D("1003.00"))
    here.fill(buy, "0.50")
    here.end(buy, "0.50")
    assert here.cancels == [sell.client_order_id]
    here.taken_back(sell)
    here.done(here.the(PERP))
    assert (pair.state, pair.imbalance) == (PairState.OPEN, 0)


def test_where_both_rest_and_both_are_filled_before_the_cancel_comes_nothing_else_is_sent() -> None:
    here = Bench(MAKER, MAKER)
    pair = here.open()
    buy, sell = here.inbox
    here.fill(buy, "0.50")
    here.fill(sell, "0.50")
    here.end(buy, "0.50")
    here.end(sell, "0.50")
    assert (pair.state, pair.imbalance, len(here.inbox)) == (PairState.OPEN, 0, 2)


@pytest.mark.parametrize("why", ["not wanted", "nothing may be opened", "too long"])
def test_an_entry_that_nobody_came_for_is_taken_back(why: str) -> None:
    here = Bench()
    pair = here.open()
    here.wait(19_999)
    here.executor.look()
    assert here.cancels == []
    here.is_wanted, here.may_open = why != "not wanted", why != "nothing may be opened"
    here.wait(1 if why == "too long" else 0)
    here.executor.look()
    here.taken_back(here.inbox[0])
    assert (pair.state, here.executor.resting) == (PairState.MISSED, 0)


def test_what_was_filled_before_it_was_taken_back_is_kept_and_hedged() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    here.fill(rest, "0.20")
    here.executor.take_back(pair)
    here.done(here.the(PERP))
    here.taken_back(rest, "0.20")
    assert (pair.state, pair.buy.held, pair.sell.held) == (PairState.OPEN, D("0.20"), D("-0.20"))


def test_one_that_would_take_is_refused_by_the_venue_and_missed() -> None:
    here = Bench()
    pair = here.open()
    here.end(here.inbox[0], status=OrderStatus.REJECTED)
    assert (pair.state, here.halts, here.executor.resting) == (PairState.MISSED, [], 0)


def opened(buy: Liquidity = MAKER) -> tuple[Bench, Pair]:
    here = Bench(buy)
    pair = here.open()
    here.done(here.the(SPOT))
    here.done(here.the(PERP))
    assert pair.state is PairState.OPEN
    return here, pair


def test_a_patient_leaving_rests_first_and_hedges_what_goes() -> None:
    here, pair = opened()
    here.executor.close(pair, "edge_gone")
    rest = here.the(SPOT)
    assert (rest.side, rest.time_in_force, rest.price) == (Side.SELL, TimeInForce.POST_ONLY, D("1001.00"))
    here.fill(rest, "0.20")
    hedge = here.the(PERP)
    assert (hedge.side, hedge.quantity, hedge.time_in_force) == (Side.BUY, D("0.20"), TimeInForce.IOC)
    here.done(hedge)
    here.wait(20_000)
    here.executor.look()
    here.taken_back(rest, "0.20")
    assert [(order.quantity, order.time_in_force) for order in here.inbox[-2:]] == [(D("0.30"), TimeInForce.IOC)] * 2
    for order in here.inbox[-2:]:
        here.done(order)
    assert (pair.state, pair.buy.held, pair.sell.held, here.halts) == (PairState.CLOSED, 0, 0, [])


def test_where_both_rest_to_leave_the_first_that_is_filled_has_the_other_taken() -> None:
    here = Bench(MAKER, MAKER)
    pair = here.open()
    for order in list(here.inbox):
        here.done(order)
    here.executor.close(pair, "edge_gone")
    sold, bought = here.inbox[-2:]
    assert {order.time_in_force for order in (sold, bought)} == {TimeInForce.POST_ONLY}
    here.fill(sold, "0.50")
    here.end(sold, "0.50")
    here.taken_back(bought)
    assert (here.the(PERP).side, here.the(PERP).time_in_force) == (Side.BUY, TimeInForce.IOC)
    here.done(here.the(PERP))
    assert (pair.state, pair.buy.held, pair.sell.held, here.halts) == (PairState.CLOSED, 0, 0, [])


@pytest.mark.parametrize("meanwhile", ["no quote", "flatten", "the run ends"])
def test_a_patient_leaving_that_had_to_wait_for_an_order_rests_only_where_it_still_may(meanwhile: str) -> None:
    here, pair = opened()
    here.fill(here.inbox[0], "0.10")  # after its final state: what is too much is sold
    evening = here.the(SPOT)
    here.executor.close(pair, "edge_gone")
    if meanwhile == "no quote":
        here.quotes[SPOT.id] = None
    elif meanwhile == "flatten":
        here.executor.flatten()
    else:
        here.executor.withdraw()
    here.done(evening)
    here.quote(SPOT, 999.0, 1001.0)
    here.wait(1_000)
    assert [order.time_in_force for order in here.inbox[-2:]] == [TimeInForce.IOC] * 2
    assert (here.executor.resting, pair.imbalance) == (0, 0)


@pytest.mark.parametrize("reason", ["loss_stop", "max_holding", "flatten"])
def test_an_urgent_leaving_takes(reason: str) -> None:
    here, pair = opened()
    here.executor.close(pair, reason)
    assert [order.time_in_force for order in here.inbox[-2:]] == [TimeInForce.IOC] * 2


def test_flatten_takes_back_what_rests() -> None:
    here = Bench()
    pair = here.open()
    (rest,) = here.inbox
    assert here.executor.flatten() == 1
    here.taken_back(rest)
    assert pair.state is PairState.MISSED


def test_at_the_end_of_a_run_nothing_rests() -> None:
    here = Bench(MAKER, MAKER)
    told: list[bool] = []
    here.executor.on_withdrawn = lambda: told.append(True)
    here.open()
    here.executor.withdraw()
    for order in list(here.inbox):
        assert told == []
        here.taken_back(order)
    assert told == [True]


def test_the_end_of_a_run_waits_for_the_hedge_of_what_was_filled_meanwhile() -> None:
    here = Bench()
    told: list[bool] = []
    here.executor.on_withdrawn = lambda: told.append(True)
    pair = here.open()
    (rest,) = here.inbox
    here.executor.withdraw()
    here.fill(rest, "0.50")
    here.end(rest, "0.50")
    assert (told, here.executor.unsettled) == ([], 1)
    here.done(here.the(PERP))
    assert (told[-1:], pair.state) == ([True], PairState.OPEN)


def test_the_end_of_a_run_waits_until_no_pair_stands_on_one_leg() -> None:
    """Both legs take, and one is refused in the moment in which the run ends: it is unwound, and not left to the next
    start."""
    here = Bench(TAKER, TAKER)
    told: list[bool] = []
    here.executor.on_withdrawn = lambda: told.append(True)
    pair = here.open()
    buy, sell = here.inbox
    here.executor.withdraw()
    here.done(buy)
    here.end(sell, status=OrderStatus.REJECTED)
    while pair.imbalance:
        assert told == []
        while here.inbox[-1] in (buy, sell):
            here.wait(50)
            assert told == []
        buy = here.done(here.inbox[-1])
    assert (told[-1:], here.executor.unsettled) == ([True], 0)


def test_an_entry_taken_back_before_its_intent_was_durable_never_leaves() -> None:
    here = Bench(MAKER, MAKER)
    here.journal.is_slow = True
    pair = here.open()
    here.executor.take_back_entries()
    here.journal.sync()
    assert (here.inbox, here.cancels, pair.state) == ([], [], PairState.MISSED)


@pytest.mark.parametrize("when", ["it rests", "before a restart"])
def test_a_pair_that_the_venue_took_from_while_it_was_opened_is_closed_once_it_is_even(when: str) -> None:
    here = Bench()
    pair = here.open()
    rest = here.the(SPOT)
    here.fill(rest, "0.30")
    here.done(here.the(PERP))
    taken = Fill(
        fill_id="taken", client_order_id="autoclose-1", instrument=PERP, side=Side.BUY, price=D(1003),
        quantity=D("0.10"), fee=ZERO, fee_asset="USDT", is_maker=False, ts_event_ns=0, forced="liquidation",
    )  # fmt: skip
    if when == "it rests":
        here.executor.on_forced(taken)
        here.taken_back(rest, "0.30")
    else:
        here.end(rest, "0.30", OrderStatus.CANCELLED)
        pair.state, pair.close_reason = PairState.OPENING, "liquidation"  # as a start finds it
        assert pair.count(taken)
        later = Bench()
        later.executor.adopt(pair)
        here = later
    here.done(here.the(SPOT))
    assert pair.state is PairState.CLOSING
    for order in here.inbox[-2:]:
        here.done(order)
    assert (pair.state, pair.close_reason, pair.buy.held, pair.sell.held) == (PairState.CLOSED, "liquidation", 0, 0)
