"""An order's trades: Binance tells of many, and of old ones, only where it is asked for them."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import OrderStatus
from exchanges.binance.order_requests import BinanceOrders, fill_of_event
from exchanges.binance.private_schemas import OrderTradeUpdate
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
    orders = BinanceOrders({BTC.feed: rest}, {BTC.id: "BTCUSDT"}, VirtualClock(1_795_000_000_000_000_000))
    fills = asyncio.run(orders.fills(order, report))
    assert len(fills) == trades


PERP = BTC.model_copy(update={"segment": Segment.LINEAR, "symbol": "BTC/USDT:USDT", "settle": "USDT"})
HOUR_MS = 3_600_000
SENT_MS = 1_795_000_000_000


class Futures:
    """Names no times: the last seven days. Its clock is not quite ours."""

    def __init__(self, now_ms: int, *days: int) -> None:
        """One trade each so long after the order was sent."""
        self._now_ms = now_ms
        self._traded_ms = [SENT_MS - 90_000 + 24 * HOUR_MS * one for one in days]

    async def read(self, path: str, kind: Any, values: dict[str, str], lane: Any = None) -> Any:
        assert path == "/v1/userTrades"
        start_ms = int(values.get("startTime", self._now_ms - 168 * HOUR_MS))
        end_ms = int(values.get("endTime", start_ms + 168 * HOUR_MS))
        assert end_ms - start_ms <= 168 * HOUR_MS
        rows = [
            {
                "id": number, "orderId": 7, "price": "50000", "qty": "0.01", "commission": "0", "maker": False,
                "commissionAsset": "USDT", "buyer": True, "time": at_ms,
            }
            for number, at_ms in enumerate(self._traded_ms, 1) if start_ms <= at_ms <= end_ms
        ]  # fmt: skip
        return kind.validate_python(rows)


@pytest.mark.parametrize("days_ago", [0, 6, 8, 80])
def test_the_fills_of_an_order_that_is_weeks_old_are_told(days_ago: int) -> None:
    """A run that begins again after a long time asks for what it left open."""
    now_ms = SENT_MS + days_ago * 24 * HOUR_MS + HOUR_MS
    rest: Any = Futures(now_ms, 0)
    order = an_order("old", PERP, quantity="0.01", ts_sent_ns=SENT_MS * 1_000_000)
    report = OrderReport("old", OrderStatus.FILLED, Decimal("0.01"), "7")
    orders = BinanceOrders({PERP.feed: rest}, {PERP.id: "BTCUSDT"}, VirtualClock(now_ms * 1_000_000))
    assert len(asyncio.run(orders.fills(order, report))) == 1


@pytest.mark.parametrize("traded", [(0, 8), (0, 10, 20), (12,)])
def test_every_fill_of_an_order_that_rested_for_weeks_is_told(traded: tuple[int, ...]) -> None:
    """Some of it was traded in its first week, some lately, some in between."""
    now_ms = SENT_MS + 21 * 24 * HOUR_MS
    rest: Any = Futures(now_ms, *traded)
    quantity = Decimal("0.01") * len(traded)
    order = an_order("old", PERP, quantity=str(quantity), ts_sent_ns=SENT_MS * 1_000_000)
    report = OrderReport("old", OrderStatus.FILLED, quantity, "7")
    orders = BinanceOrders({PERP.feed: rest}, {PERP.id: "BTCUSDT"}, VirtualClock(now_ms * 1_000_000))
    fills = asyncio.run(orders.fills(order, report))
    assert sorted(fill.fill_id for fill in fills) == [str(number) for number in range(1, len(traded) + 1)]


@pytest.mark.parametrize("fee", [{}, {"n": None, "N": None}, {"n": "", "N": None}])
def test_a_fill_without_a_commission_is_told(fee: dict[str, Any]) -> None:
    """What Binance trades away itself may say null for both."""
    event = {
        "s": "BTCUSDT", "c": "autoclose-1", "S": "SELL", "x": "CALCULATED", "X": "FILLED", "i": 7, "l": "0.1",
        "z": "0.1", "L": "50000", "T": SENT_MS, "t": 11, "m": False, **fee,
    }  # fmt: skip
    fill = fill_of_event(PERP, OrderTradeUpdate.model_validate({"o": event}).order)
    assert fill is not None
    assert (fill.quantity, fill.fee, fill.fee_asset, fill.forced) == (Decimal("0.1"), 0, "USDT", "liquidation")
