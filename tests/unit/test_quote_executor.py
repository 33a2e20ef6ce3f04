"""Round trips on a virtual clock, at a venue whose answers each test writes itself."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, Side, TimeInForce
from bot.domain.route import HoldLeg, Liquidity, Opportunity, Route, TradeLeg
from bot.execution.journal_replay import JournalReplay
from bot.execution.pair import Pair, PairState
from bot.execution.pair_record import pair_record
from bot.execution.quote_executor import QuoteExecutor
from bot.execution.reasons import REVERTED
from bot.ports import RecordKind
from tests.unit.executor_bench import MS, D, ExecutorBench
from tests.unit.pair_bench import PERP, SETTINGS, SPOT

REST_S = 5.0


class Record(NamedTuple):
    """One of a journal."""

    kind: RecordKind
    key: str
    body: Mapping[str, Any]


def round_trip(instrument: Instrument, side: Side = Side.BUY) -> Route:
    there, back = (
        TradeLeg(instrument=instrument, side=one, liquidity=Liquidity.MAKER) for one in (side, side.opposite)
    )
    return Route(kind="test", legs=(there, HoldLeg(expected_s=30.0), back))


class Bench(ExecutorBench):
    """An executor, its venue's inbox, and the test's hand on every answer."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.states: list[PairState] = []
        self.wanted: float | None = 1000.4
        for instrument in (SPOT, PERP):
            self.quote(instrument, 1000.0, 1002.0)
        self.executor = QuoteExecutor(
            self.context,
            on_pair=lambda pair: self.states.append(pair.state),
            on_pair_fill=lambda pair, leg, fill: None,
            on_sent=lambda order: None,
            wanted_entry=lambda pair: self.wanted,
            rest_s=lambda pair: REST_S,
        )

    def open(self, instrument: Instrument = PERP, side: Side = Side.BUY, quantity: str = "0.50") -> Pair:
        return self.executor.open(
            Opportunity(
                route=round_trip(instrument, side), ts_ns=self.clock.now_ns(), quantity=D(quantity),
                buy_price=1000.404, sell_price=1001.596, gross_edge_bps=12.0, costs=(), net_edge_bps=8.0,
            )
        )  # fmt: skip

    def pass_s(self, seconds: float) -> None:
        """Time, and the look of each second."""
        for _ in range(round(seconds)):
            self.wait(1_000)
            self.executor.look()

    def fill(self, quantity: str, order: Order | None = None, fee_asset: str = "USDT") -> None:
        order = order or self.inbox[-1]
        assert order.price is not None
        self.executor.on_fill(
            Fill(
                fill_id=f"f{self.clock.now_ns()}-{quantity}-{order.client_order_id}",
                client_order_id=order.client_order_id, instrument=order.instrument, side=order.side,
                price=order.price, quantity=D(quantity), fee=D(0), fee_asset=fee_asset, is_maker=True,
                ts_event_ns=self.clock.now_ns(),
            )
        )  # fmt: skip

    def end(self, status: OrderStatus, filled: str = "0", order: Order | None = None) -> None:
        order = order or self.inbox[-1]
        update = {"status": status, "filled_quantity": D(filled), "ts_final_ns": self.clock.now_ns()}
        self.executor.on_order(order.model_copy(update=update))

    def entered(self, instrument: Instrument = PERP, side: Side = Side.BUY) -> Pair:
        pair = self.open(instrument, side)
        self.fill("0.50")
        self.end(OrderStatus.FILLED, "0.50", self.inbox[0])
        return pair


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_entry_is_post_only_on_the_grid_and_durable_first(bench: Bench) -> None:
    bench.journal.is_slow = True
    bench.open()
    assert bench.inbox == []
    bench.journal.sync()
    (order,) = bench.inbox
    assert (order.time_in_force, order.price, order.quantity) == (TimeInForce.POST_ONLY, D("1000.4"), D("0.5"))
    assert bench.journal.statuses(order.client_order_id) == ["intent", "sent"]


def test_there_and_back_by_resting_orders(bench: Bench) -> None:
    pair = bench.entered()
    entry, out = bench.inbox
    assert (out.side, out.price, out.quantity) == (Side.SELL, D("1001.6"), D("0.5"))
    assert out.time_in_force is TimeInForce.POST_ONLY
    assert out.reduce_only
    bench.fill("0.50")
    bench.end(OrderStatus.FILLED, "0.50")
    assert bench.states == [PairState.OPENING, PairState.OPEN, PairState.CLOSED]
    assert (pair.close_reason, pair.buy.held) == (REVERTED, 0)
    assert not bench.executor.pairs
    assert bench.executor.resting == 0
    assert bench.cancels == []
    assert bench.halts == []
    assert entry.client_order_id != out.client_order_id


def test_an_exit_beyond_one_order_rests_in_parts(bench: Bench) -> None:
    pair = bench.open()
    pair.buy.instrument = PERP.model_copy(update={"max_quantity": D("0.30")})  # its venue takes less by now
    bench.fill("0.50")
    bench.end(OrderStatus.FILLED, "0.50", bench.inbox[0])
    bench.fill("0.25")
    bench.end(OrderStatus.FILLED, "0.25")
    bench.pass_s(1)
    assert [order.quantity for order in bench.inbox] == [D("0.50"), D("0.25"), D("0.25")]
    bench.fill("0.25")
    bench.end(OrderStatus.FILLED, "0.25")
    assert (pair.state, pair.buy.held, bench.halts) == (PairState.CLOSED, 0, [])


def test_a_short_goes_out_by_a_buy(bench: Bench) -> None:
    pair = bench.entered(side=Side.SELL)
    entry, out = bench.inbox
    assert (entry.side, entry.price, out.side, out.price) == (Side.SELL, D("1001.6"), Side.BUY, D("1000.4"))
    record = pair_record(pair)()
    assert record["expected"]["buy_price"] == "1000.404"
    assert D(record["expected"]["sell_price"]) == D("1001.6")
    assert record["held"] == {"buy": "0", "sell": "-0.50"}


def test_an_entry_stays_while_it_is_wanted_at_its_price(bench: Bench) -> None:
    bench.open()
    bench.pass_s(30)
    assert bench.cancels == []
    bench.wanted = 1000.2
    bench.pass_s(1)
    assert bench.cancels == [bench.inbox[0].client_order_id]
    bench.end(OrderStatus.CANCELLED)
    assert bench.states[-1] is PairState.MISSED


def test_an_entry_rests_its_time_even_if_the_price_moves(bench: Bench) -> None:
    bench.open()
    bench.wanted = None
    bench.pass_s(REST_S - 1)
    assert bench.cancels == []
    bench.pass_s(1)
    assert len(bench.cancels) == 1
    bench.pass_s(2)
    assert len(bench.cancels) == 1


@pytest.mark.parametrize("why", ["no quote", "no permission"])
def test_an_entry_is_taken_back_when_it_may_not_rest(bench: Bench, why: str) -> None:
    bench.open()
    if why == "no quote":
        bench.quotes[PERP.id] = None
    else:
        bench.may_open = False
    bench.pass_s(1)
    assert len(bench.cancels) == 1


def test_while_nothing_may_be_opened_entries_go_and_exits_stay(bench: Bench) -> None:
    bench.entered(PERP)
    bench.open(SPOT)
    bench.may_open = False
    bench.executor.take_back_entries()
    assert bench.cancels == [bench.inbox[-1].client_order_id]
    bench.pass_s(10)
    assert len(bench.cancels) == 1


def test_a_part_that_can_be_sold_again_ends_the_waiting(bench: Bench) -> None:
    bench.open()
    bench.fill("0.10")
    assert len(bench.cancels) == 1
    assert len(bench.inbox) == 1  # the exit waits for the end of the entry
    bench.fill("0.05")
    bench.end(OrderStatus.CANCELLED, "0.15")
    assert bench.inbox[-1].quantity == D("0.15")


def test_a_part_too_small_to_be_sold_waits_for_more_and_is_dust_in_the_end(bench: Bench) -> None:
    bench.open(SPOT)
    bench.fill("0.004", fee_asset="ETH")  # 4 USDT, and 5 is the least that the venue takes
    assert bench.cancels == []
    bench.wanted = None
    bench.pass_s(REST_S)
    bench.end(OrderStatus.CANCELLED, "0.004")
    assert bench.states[-1] is PairState.FAILED
    assert len(bench.inbox) == 1


def test_leaving_takes_the_exit_back_first_and_goes_by_ioc(bench: Bench) -> None:
    pair = bench.entered()
    bench.executor.close(pair, "loss_stop")
    assert bench.cancels == [bench.inbox[1].client_order_id]
    assert len(bench.inbox) == 2
    bench.executor.close(pair, "max_holding")
    bench.fill("0.20")
    bench.end(OrderStatus.CANCELLED, "0.20")
    assert pair.state is PairState.CLOSING
    out = bench.inbox[-1]
    assert (out.time_in_force, out.quantity, out.side) == (TimeInForce.IOC, D("0.3"), Side.SELL)
    bench.fill("0.30")
    bench.end(OrderStatus.FILLED, "0.30")
    assert (pair.state, pair.close_reason) == (PairState.CLOSED, "loss_stop")


def test_an_exit_that_is_filled_before_its_cancel_comes_is_the_end(bench: Bench) -> None:
    pair = bench.entered()
    bench.executor.close(pair, "max_holding")
    bench.fill("0.50")
    bench.end(OrderStatus.FILLED, "0.50")
    assert (pair.state, pair.close_reason, len(bench.inbox)) == (PairState.CLOSED, "max_holding", 2)


def test_an_exit_that_the_venue_would_not_have_is_tried_again_at_the_next_look(bench: Bench) -> None:
    bench.entered()
    bench.end(OrderStatus.REJECTED)
    assert len(bench.inbox) == 2
    bench.quote(PERP, 1003.0, 1004.0)
    bench.pass_s(1)
    assert bench.inbox[-1].price == D("1003.01")  # beyond the bid: better than planned, and it takes nothing


def test_an_entry_is_never_placed_where_it_would_take(bench: Bench) -> None:
    bench.quote(PERP, 999.0, 1000.2)
    bench.open()
    assert bench.inbox[0].price == D("1000.19")


def test_an_entry_taken_back_before_it_was_sent_never_is(bench: Bench) -> None:
    bench.journal.is_slow = True
    bench.open()
    bench.executor.take_back_entries()
    bench.journal.sync()
    assert bench.inbox == []
    assert bench.cancels == []
    assert bench.states[-1] is PairState.MISSED


def test_a_cancel_without_an_answer_is_an_unknown_outcome(bench: Bench) -> None:
    bench.open()
    bench.clock.advance_to(60_000 * MS)
    assert bench.halts == []  # it rests: silence is what it should do
    bench.executor.take_back_entries()
    bench.clock.advance_to(69_900 * MS)
    assert (bench.journal.statuses("run-1-1")[-1], bench.halts) == ("unknown", [])
    bench.clock.advance_to(70_000 * MS)
    assert "the outcome of run-1-1 is unknown" in bench.halts[0]


def test_at_the_end_of_a_run_nothing_rests_and_no_exit_is_placed_again(bench: Bench) -> None:
    told: list[bool] = []
    bench.executor.on_withdrawn = lambda: told.append(True)
    pair = bench.entered()
    bench.executor.withdraw()
    assert told == []
    bench.end(OrderStatus.CANCELLED)
    assert told == [True]
    bench.pass_s(3)
    assert len(bench.inbox) == 2
    assert pair.state is PairState.OPEN
    assert bench.executor.resting == 0


def test_the_end_of_a_run_waits_for_what_leaves_in_place_of_an_exit_that_rested(bench: Bench) -> None:
    told: list[bool] = []
    bench.executor.on_withdrawn = lambda: told.append(True)
    pair = bench.entered()
    bench.executor.close(pair, "loss_stop")
    bench.executor.withdraw()
    bench.end(OrderStatus.CANCELLED)
    assert pair.state is PairState.CLOSING
    assert bench.inbox[-1].time_in_force is TimeInForce.IOC
    assert bench.executor.unsettled == 1
    assert told == [], "it is on its way, and its fills are this run's"
    bench.fill("0.50")
    bench.end(OrderStatus.FILLED, "0.50")
    assert pair.state is PairState.CLOSED
    assert told


def test_withdrawing_with_nothing_at_rest_is_told_at_once(bench: Bench) -> None:
    told: list[bool] = []
    bench.executor.on_withdrawn = lambda: told.append(True)
    bench.executor.withdraw()
    assert told == [True]


def test_a_fill_told_twice_counts_once(bench: Bench) -> None:
    pair = bench.open()
    bench.fill("0.10")
    bench.fill("0.10")
    assert pair.buy.held == D("0.10")
    assert len(bench.cancels) == 1
    assert sum(kind is RecordKind.FILL for kind, _, _ in bench.journal.records) == 1


@pytest.mark.parametrize("taken", ["0.20", "0.50"])
def test_what_rests_is_taken_back_when_the_venue_takes_the_position_away(bench: Bench, taken: str) -> None:
    pair = bench.entered()
    out = bench.inbox[-1]
    bench.executor.on_forced(
        Fill(
            fill_id="adl", client_order_id="adl_autoclose", instrument=PERP, side=Side.SELL, price=D(1000),
            quantity=D(taken), fee=D(0), fee_asset="USDT", is_maker=False, ts_event_ns=bench.clock.now_ns(),
            forced="adl",
        )
    )  # fmt: skip
    assert bench.cancels == [out.client_order_id]
    bench.end(OrderStatus.CANCELLED, order=out)
    if taken == "0.20":
        last = bench.inbox[-1]
        assert (last.side, last.quantity, last.reduce_only) == (Side.SELL, D("0.30"), True)
        assert not last.time_in_force.rests
        bench.fill("0.30")
        bench.end(OrderStatus.FILLED, "0.30")
    assert (pair.state, pair.close_reason, pair.buy.held) == (PairState.CLOSED, "adl", 0)


def test_beside_an_exit_of_an_unknown_end_that_an_earlier_run_left_none_is_placed(bench: Bench) -> None:
    replay = JournalReplay()
    bench.entered()
    for kind, key, body in bench.journal.records:
        replay.take(Record(kind, key, body))
    (left,) = replay.left()
    exit_id = bench.inbox[-1].client_order_id
    assert isinstance(left.pair, Pair)
    assert left.pair.pending == {exit_id}
    later = Bench()
    later.executor.adopt(left.pair)
    later.pass_s(3)
    assert later.inbox == []
    later.end(OrderStatus.CANCELLED, order=left.pair.orders[exit_id][0])
    later.pass_s(1)
    assert [(order.side, order.quantity) for order in later.inbox] == [(Side.SELL, D("0.50"))]
