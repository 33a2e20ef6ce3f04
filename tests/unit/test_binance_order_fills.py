"""An order that met many others: Binance tells of all its trades only where it is asked for that many."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import OrderStatus
from exchanges.binance.order_requests import BinanceOrders
from exchanges.common.account.order_desk import OrderReport
from tests.integration.actions_rig import an_order

BTC = Instrument(
    venue="binance", segment=Segment.SPOT, symbol="BTC/USDT", base="BTC", quote="USDT", tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)  # fmt: skip


class Rest:
    """An account with so many trades of one order."""

    def __init__(self, trades: int) -> None:
        self.rows = [
            {
                "id": number, "orderId": 7, "price": "50000", "qty": "0.00001", "commission": "0", "isMaker": False,
                "commissionAsset": "USDT", "isBuyer": True, "time": 1_795_000_000_000 + number,
            }
            for number in range(trades)
        ]  # fmt: skip

    async def read(self, path: str, kind: Any, values: dict[str, str], lane: Any = None) -> Any:
        assert values["orderId"] == "7"
        return kind.validate_python(self.rows[: int(values.get("limit", "500"))])


@pytest.mark.parametrize("trades", [1, 500, 501, 1000])
def test_every_fill_of_an_order_is_told(trades: int) -> None:
    rest: Any = Rest(trades)
    order = an_order("much", BTC, quantity="0.01")
    report = OrderReport("much", OrderStatus.FILLED, Decimal("0.01"), "7")
    fills = asyncio.run(BinanceOrders({BTC.feed: rest}, {BTC.id: "BTCUSDT"}).fills(order, report))
    assert len(fills) == trades
