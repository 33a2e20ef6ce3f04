"""How a chain's orders leave: prepared while the disk works, never after the run, and none lost without a word."""

from collections.abc import Callable

from bot.domain.order import Order, OrderStatus
from bot.ports import ReadyOrder, RecordKind
from tests.unit.chain_bench import SETTINGS, Bench
from tests.unit.executor_bench import MemoryJournal


class BusyJournal(MemoryJournal):
    """One that writes in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = True


class PreparingBench(Bench):
    """Venues that can spell an order before it may be sent."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        super().__init__(journal=BusyJournal())

    def prepare(self, order: Order) -> ReadyOrder | None:
        self.steps.append(f"prepare {order.instrument.symbol}")
        return None

    def launch(self, order: Order) -> Callable[[Order], None]:
        return self.submit

    def submit(self, order: Order) -> None:
        self.steps.append(f"submit {order.instrument.symbol}")
        super().submit(order)


def test_a_links_order_is_prepared_while_the_disk_takes_its_intent_and_sent_when_it_has() -> None:
    bench = PreparingBench()
    bench.open()
    assert bench.steps == ["prepare BTC/USDT"]
    bench.journal.sync()
    assert bench.steps == ["prepare BTC/USDT", "submit BTC/USDT"]
    bench.done(bench.last)
    assert bench.steps[2:] == ["prepare ETH/BTC"]


def test_nothing_of_a_chain_is_sent_after_the_run_has_ended() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    chain = bench.open()
    bench.executor.stop()
    bench.journal.sync()  # a journal that is closed writes what waited first
    assert bench.inbox == []
    assert [order.status for order in chain.waiting()] == [OrderStatus.INTENT]


def test_fault_37_an_order_that_the_budget_gives_up_is_named_too() -> None:
    bench = Bench(SETTINGS.model_copy(update={"order_timeout_ms": 9000.0}))
    bench.open()
    bench.done(bench.last)
    late = bench.last
    bench.wait(3_100)  # the budget says act before the order's own time is up
    assert any(f"order {late.client_order_id}" in text and "unknown" in text for text in bench.alarms)


def test_that_an_order_was_sent_is_written_down_before_what_the_venue_tells_of_it() -> None:
    bench = Bench()
    bench.open()
    order = bench.last
    bench.done(order)
    told = [body["status"] for kind, key, body in bench.journal.records
            if kind is RecordKind.ORDER and key == order.client_order_id]  # fmt: skip
    assert told == ["intent", "sent", "filled"]
