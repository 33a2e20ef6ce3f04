"""Several venues behind one door."""

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.errors import InvariantError, OrderRejected
from exchanges.routed.actions import RoutedActions

D = Decimal
BTC = Instrument(
    venue="binance", segment=Segment.SPOT, symbol="BTC/USDT", base="BTC", quote="USDT", tick_size=D("0.1"),
    lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D(5),
)  # fmt: skip
ORDER = Order(
    client_order_id="run-1", instrument=BTC, side=Side.BUY, quantity=D("0.1"), type=OrderType.MARKET,
    time_in_force=TimeInForce.IOC, price=None, ts_decision_ns=1,
)  # fmt: skip


class Venue:
    """Takes orders between `start` and `stop`, and calls any other a bug, as the real ones do."""

    def __init__(self) -> None:
        self.is_open = False
        self.taken: list[Order] = []

    async def start(self) -> None:
        self.is_open = True

    async def stop(self) -> None:
        self.is_open = False

    def submit(self, order: Order) -> None:
        if not self.is_open:
            raise InvariantError("given an order while it was not started")
        self.taken.append(order)


def routed(venue: Any) -> RoutedActions:
    return RoutedActions({"binance": venue})


async def test_an_order_after_the_end_is_refused_and_no_bug() -> None:
    """The executor's next try to even a pair may come while the run is being taken apart."""
    venue = Venue()
    actions = routed(venue)
    await actions.start()
    actions.submit(ORDER)
    await actions.stop()
    with pytest.raises(OrderRejected, match="the run is over"):
        actions.submit(ORDER)
    assert venue.taken == [ORDER]


async def test_an_order_before_the_start_stays_a_bug() -> None:
    with pytest.raises(InvariantError):
        routed(Venue()).submit(ORDER)
