"""Orders that an exchange places for a customer: liquidation and auto-deleveraging."""

from exchanges.simulator.core.values import Kind, OrderView

ADL_CLIENT_ID = "adl_autoclose"


def liquidation_client_id(number: int) -> str:
    """The client id of the liquidation order of that number, as Binance names them."""
    return f"autoclose-{number}"


def is_liquidation(order: OrderView) -> bool:
    """Whether the exchange placed it to liquidate; a customer can take the name, but not know the number."""
    return order.client_id == liquidation_client_id(order.number)


def is_deleveraging(order: OrderView) -> bool:
    """Whether the exchange placed it to deleverage."""
    request = order.request
    return order.client_id == ADL_CLIENT_ID and request.kind is Kind.MARKET and request.reduce_only
