"""What is done while the disk takes a pair's intents, and that nothing leaves by it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.order import Order, Side
from bot.errors import InvariantError, OrderRejected
from bot.execution.pair import PairState
from bot.ports import ReadyOrder, RecordKind
from modes.waking_journal import WakingJournal
from tests.unit.executor_bench import MemoryJournal
from tests.unit.pair_bench import Bench


class BusyJournal(MemoryJournal):
    """A disk that the test holds."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = True


class Preparing(Bench):
    """A venue that can prepare orders."""

    def __init__(self, wrap: Callable[[Any], Any] = lambda journal: journal) -> None:
        self.prepared: list[Order] = []
        self.steps: list[str] = []
        self.refuse: dict[Side, Exception] = {}
        """What `launch` of an order of this side raises."""
        self.leaves: dict[Side, bool] = {}
        """Which sides are prepared so far that they leave by themselves, and whether they still may by then."""
        self.disk = BusyJournal()
        super().__init__(journal=self.disk, wrap=wrap)

    def prepare(self, order: Order) -> ReadyOrder | None:
        self.prepared.append(order)
        return ReadyOrder(lambda: self.leave(order), self.follow) if order.side in self.leaves else None

    def leave(self, order: Order) -> bool:
        if self.leaves[order.side]:
            self.steps.append(f"leave {order.side}")
        return self.leaves[order.side]

    def launch(self, order: Order) -> Callable[[Order], None]:
        if order.side in self.refuse:
            raise self.refuse[order.side]
        self.steps.append(f"launch {order.side}")
        return self.follow

    def follow(self, order: Order) -> None:
        self.steps.append(f"follow {order.side} {order.status}")
        self.submit(order)


def names(orders: Sequence[Order]) -> list[str]:
    return [order.client_order_id for order in orders]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_both_orders_are_prepared_before_they_may_leave_and_leave_only_then(is_wrapped: bool) -> None:
    bench = Preparing()
    if is_wrapped:
        bench = Preparing(lambda journal: WakingJournal(journal, lambda: None, bench.clock))
    bench.open()
    assert len(bench.prepared) == 2
    assert bench.inbox == []
    bench.journal.sync()
    assert names(bench.inbox) == names(bench.prepared)


def test_nothing_is_prepared_where_the_journal_has_no_thread_and_orders_have_left() -> None:
    bench = Preparing()
    bench.disk.is_slow = False
    bench.open()
    assert len(bench.inbox) == 2
    assert bench.prepared == []


def test_nothing_is_prepared_where_no_intent_becomes_durable() -> None:
    bench = Preparing()
    bench.disk.is_broken = True
    bench.open()
    assert bench.inbox == bench.prepared == []


@pytest.mark.parametrize("why", ["halted", "edge", "disk"])
def test_what_was_prepared_never_leaves_where_it_is_refused_then(why: str) -> None:
    bench = Preparing()
    bench.leaves = {Side.BUY: True}
    pair = bench.open()
    if why == "halted":
        bench.may_open = False
    elif why == "edge":
        bench.executor.why_not_now = lambda pair: "edge"
    if why == "disk":
        bench.executor.journal_failed("disk full")
    else:
        bench.journal.sync()
    assert len(bench.prepared) == 2
    assert bench.inbox == bench.steps == []
    assert pair.state is PairState.MISSED


def test_both_are_written_before_anything_else_is_done_for_either() -> None:
    bench = Preparing()
    bench.open()
    bench.journal.sync()
    assert bench.steps == ["launch buy", "launch sell", "follow buy sent", "follow sell sent"]
    assert [order.ts_sent_ns for order in bench.inbox] == [bench.clock.now_ns()] * 2


def test_what_is_ready_leaves_by_itself_and_what_may_not_any_more_by_the_other_way() -> None:
    bench = Preparing()
    bench.leaves = {Side.BUY: True, Side.SELL: False}
    bench.open()
    bench.journal.sync()
    assert bench.steps == ["leave buy", "launch sell", "follow buy sent", "follow sell sent"]
    assert names(bench.inbox) == names(bench.prepared)


def test_one_that_is_refused_unwritten_does_not_leave_the_other_unfollowed() -> None:
    bench = Preparing()
    bench.refuse = {Side.SELL: OrderRejected("", "the run is over")}
    bench.open()
    bench.journal.sync()
    assert bench.steps == ["launch buy", "follow buy sent"]
    statuses = [bench.journal.statuses(order.client_order_id) for order in bench.prepared]
    assert statuses == [["intent", "sent"], ["intent", "sent", "rejected"]]


def test_what_was_written_is_followed_even_if_the_other_breaks() -> None:
    bench = Preparing()
    bench.refuse = {Side.SELL: InvariantError("nobody listens")}
    bench.open()
    with pytest.raises(InvariantError):
        bench.journal.sync()
    assert bench.steps == ["launch buy", "follow buy sent"]
    assert names(bench.inbox) == names(bench.prepared[:1])


def test_each_is_followed_by_itself() -> None:
    bench = Preparing()
    follow, broken = bench.follow, InvariantError("not started")

    def breaks_on_a_buy(order: Order) -> None:
        follow(order)
        if order.side is Side.BUY:
            raise broken

    bench.follow = breaks_on_a_buy  # type: ignore[method-assign]
    bench.open()
    with pytest.raises(InvariantError):
        bench.journal.sync()
    assert bench.steps == ["launch buy", "launch sell", "follow buy sent", "follow sell sent"]
    assert [bench.journal.statuses(order.client_order_id) for order in bench.prepared] == [["intent", "sent"]] * 2


def test_that_orders_have_left_is_told_after_both() -> None:
    bench = Bench()
    told: list[tuple[str, int]] = []
    record = bench.journal.record

    def noted(kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        if kind is RecordKind.ORDER:
            told.append((f"{key} {body()['status']}", len(bench.inbox)))
        record(kind, key, ts_ns, body)

    bench.journal.record = noted  # type: ignore[method-assign]
    bench.open()
    buy, sell = names(bench.inbox)
    assert told == [(f"{buy} intent", 0), (f"{sell} intent", 0), (f"{buy} sent", 2), (f"{sell} sent", 2)]


@pytest.mark.parametrize("answer", ["filled", "expired", "rejected"])
def test_a_venue_that_answers_within_submit_is_told_of_after_the_sending(answer: str) -> None:
    bench = Bench()
    taken = bench.submit

    def answers_at_once(order: Order) -> None:
        taken(order)
        if answer == "rejected":
            raise OrderRejected(order.client_order_id, "not asked")
        filled = order.quantity if answer == "filled" else Decimal(0)
        if filled:
            bench.fill(order)
        bench.end(order, filled)

    bench.submit = answers_at_once  # type: ignore[method-assign]
    bench.open()
    assert len(bench.inbox) == 2
    for order in bench.inbox:
        assert bench.journal.statuses(order.client_order_id) == ["intent", "sent", answer]
