"""Fault 37: an order that its venue does not know by name is looked for among open orders and own trades."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.ports import OrderFound
from bot.ports.account import KnownFill
from exchanges.common.account.streamed_actions import StreamedActions
from tests.unit.risk_rig import A

D = Decimal
SENT_NS = 1_000_000_000_000
ORDER = Order(
    client_order_id="ours", instrument=A, side=Side.BUY, type=OrderType.LIMIT, price=D(100), quantity=D(1),
    time_in_force=TimeInForce.IOC, ts_decision_ns=SENT_NS, ts_sent_ns=SENT_NS,
)  # fmt: skip


class Questions:
    """What a venue tells of an account, asked for its lists."""

    def __init__(self, open_orders: Sequence[str] = (), trades: Sequence[str] = ()) -> None:
        self._open = open_orders
        self._trades = trades

    async def open_orders(self) -> Sequence[OrderFound]:
        return [OrderFound(name, A, OrderStatus.SENT, D(0)) for name in self._open]

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        assert A in instruments
        assert since_ns < SENT_NS, "a venue's clock may be behind ours"
        fills = [
            Fill(
                fill_id=str(number), client_order_id=name, instrument=A, side=Side.BUY, price=D(100), quantity=D(1),
                fee=D(0), fee_asset="USDT", is_maker=False, ts_event_ns=SENT_NS,
            )
            for number, name in enumerate(self._trades)
        ]  # fmt: skip
        return [fill for fill in fills if not known(A.id, fill.fill_id)]


@pytest.mark.parametrize(
    ("questions", "leaves"),
    [
        (Questions(), False),
        (Questions(open_orders=["theirs"], trades=["theirs"]), False),
        (Questions(open_orders=["theirs", "ours"]), True),
        (Questions(trades=["theirs", "ours"]), True),
    ],
)
async def test_fault_37_open_orders_and_own_trades_both_have_a_say(questions: Questions, leaves: bool) -> None:
    actions: Any = SimpleNamespace(questions=questions)
    assert await StreamedActions._leaves_trace(actions, ORDER) is leaves
