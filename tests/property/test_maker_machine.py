"""The engine's state machine once more, with post-only legs: what rests is hedged, and nothing is lost either."""

import os

from hypothesis import settings

from bot.domain.order import Order
from bot.risk.gate import TradingState
from tests.property.test_engine_machine import MS, Trading


class TradingWithMakers(Trading):
    """Routes whose legs rest, besides those that take."""

    makers = True
    last_ms = 60_000


def test_post_only_pairs_are_opened_hedged_and_closed_in_such_markets() -> None:
    machine = TradingWithMakers()
    machine.start(False, "0.5", 5.0)
    for step in range(60):
        machine.clock.advance_to(machine.clock.now_ns() + 40 * MS)
        sold_down = step % 20 > 14  # somebody sells down to where orders wait
        machine.show(0, 998.5 if sold_down else 999.5, 999.4 if sold_down else 1000.5, 5.0, 5.0)
        for slot in (1, 2):
            machine.show(slot, 1000.55, 1000.65, 5.0, 5.0)
        machine.end_batch()
    waited = [order for order in machine.order_list if order.time_in_force.rests]
    filled = {fill for fill in machine.journal.orders if "filled" in machine.journal.orders[fill]}
    machine.teardown()
    assert any(order.client_order_id in filled for order in waited), "somebody came"
    assert _hedged(machine.order_list, waited)
    assert machine.desk.gate.state is TradingState.REDUCING, "nobody had to halt it"


def _hedged(orders: list[Order], waited: list[Order]) -> bool:
    """Whether some order was taken on the other side of one that rested, in the same pair."""
    pairs = {order.client_order_id.rpartition("-")[0] for order in waited}
    return any(not order.time_in_force.rests and order.client_order_id.rpartition("-")[0] in pairs for order in orders)


TradingWithMakers.TestCase.settings = settings(
    max_examples=int(os.environ.get("CRYPTO_PIPE_EXAMPLES", "15")), stateful_step_count=40, deadline=None,
    print_blob=True,
)  # fmt: skip
TestTradingWithMakers = TradingWithMakers.TestCase
