"""Binance's words for what an order is and how it is, over HTTP and in events alike."""

from decimal import Decimal

from bot.domain.order import Side
from exchanges.simulator.core.values import Kind, Lifetime, OrderState, OrderView

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
ORDER_TYPES = {Kind.LIMIT: "LIMIT", Kind.MARKET: "MARKET"}
TIMES_IN_FORCE = {Lifetime.GTC: "GTC", Lifetime.IOC: "IOC", Lifetime.FOK: "FOK", Lifetime.POST_ONLY: "GTX"}
STATUSES = {
    OrderState.NEW: "NEW",
    OrderState.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELLED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}


def average_price(order: OrderView) -> Decimal:
    """What its fills came to per unit; 0 before the first."""
    return order.filled_notional / order.filled if order.filled else Decimal(0)
