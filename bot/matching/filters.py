"""What a venue refuses before it looks at any price or wallet: the order's form and the instrument's grid."""

from decimal import Decimal

from bot.domain.instrument import Segment
from bot.domain.order import Order, OrderType, TimeInForce
from bot.errors import AboveMaximum, BelowMinimum, OrderRejected
from bot.matching.cash import exact


@exact
def check_form(order: Order, *, rests: bool = False) -> None:
    """Let an order pass that is well formed and on the grid.

    Args:
        order: As it was sent.
        rests: Whether it was sent to wait: then it must be post-only, and otherwise IOC.

    Raises:
        BelowMinimum: If the quantity is below the instrument's minimum.
        AboveMaximum: If it is above what the instrument takes in one order of its type.
        OrderRejected: If it has another lifetime (GTC would take and then rest), a number is not positive and finite,
            a price is missing or too much, or a number is off the grid.
    """
    lifetime = TimeInForce.POST_ONLY if rests else TimeInForce.IOC
    if order.time_in_force is not lifetime:
        raise _refusal(order, f"{order.time_in_force} orders are not taken here, send {lifetime}")
    _check_number(order, "quantity", order.quantity, order.instrument.lot_size)
    if (order.type is OrderType.LIMIT) is (order.price is None):
        raise _refusal(order, f"a {order.type} order with price {order.price}")
    if order.price is not None:
        _check_number(order, "price", order.price, order.instrument.tick_size)
    minimum = order.instrument.min_quantity
    if order.quantity < minimum:
        raise BelowMinimum(order.client_order_id, f"quantity {order.quantity} is below the minimum {minimum}")
    for maximum in (order.instrument.max_quantity, _market_maximum(order)):
        if maximum is not None and order.quantity > maximum:
            raise AboveMaximum(order.client_order_id, f"quantity {order.quantity} is above the maximum {maximum}")


@exact
def check_notional(order: Order, price: Decimal) -> None:
    """Let an order pass that is large enough at `price`; reducing a derivative may be as small as it likes.

    Raises:
        BelowMinimum: If its notional in quote units is below the instrument's minimum.
        AboveMaximum: If a limit order's is above the most that the instrument takes in one.
    """
    instrument = order.instrument
    notional = order.quantity * instrument.contract_multiplier
    if instrument.segment is not Segment.INVERSE:
        notional *= price
    most = instrument.max_notional
    if most is not None and order.price is not None and notional > most:
        raise AboveMaximum(order.client_order_id, f"notional {notional} {instrument.quote} is above the maximum {most}")
    if order.reduce_only and instrument.segment is not Segment.SPOT:
        return
    if notional < instrument.min_notional:
        raise BelowMinimum(
            order.client_order_id,
            f"notional {notional} {instrument.quote} is below the minimum {instrument.min_notional}",
        )


def _market_maximum(order: Order) -> Decimal | None:
    return order.instrument.max_market_quantity if order.type is OrderType.MARKET else None


def _check_number(order: Order, name: str, number: Decimal, step: Decimal) -> None:
    if not number.is_finite() or number <= 0:
        raise _refusal(order, f"{name} {number} is not a positive number")
    if number % step:
        raise _refusal(order, f"{name} {number} is not a multiple of {step}")


def _refusal(order: Order, message: str) -> OrderRejected:
    return OrderRejected(order.client_order_id, message)
