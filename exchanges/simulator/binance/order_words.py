"""Binance's words for what an order is and how it is, over HTTP and in events alike."""

from decimal import Decimal

from bot.domain.order import Side
from exchanges.simulator.core.values import SELF_TRADE, Kind, Lifetime, OrderState, OrderView

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


def status(order: OrderView) -> str:
    """How an order is: one that gave way to another of its owner's has a word of its own."""
    is_own = order.state is OrderState.EXPIRED and order.reason == SELF_TRADE
    return "EXPIRED_IN_MATCH" if is_own else STATUSES[order.state]


def average_price(order: OrderView) -> Decimal:
    """What its fills came to per unit; 0 before the first."""
    return order.filled_notional / order.filled if order.filled else Decimal(0)
