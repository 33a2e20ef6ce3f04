"""Bybit's refusals: code and message, as the API documents them.

Source: https://bybit-exchange.github.io/docs/v5/error.
"""

from collections.abc import Mapping

from bot.domain.instrument import Segment
from exchanges.simulator.core.values import Refusal


class ApiError(Exception):
    """A request that Bybit answers with a `retCode` other than 0."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_Answer = tuple[int, str]

_COMMON: Mapping[Refusal, _Answer] = {
    Refusal.WITHDRAWAL_SUSPENDED: (131097, "Withdrawal of this currency has been closed"),
    Refusal.UNKNOWN_NETWORK: (131002, "Parameter error: chain"),
    Refusal.BAD_ADDRESS: (131093, "The withdrawal address is not in the whitelist"),
    Refusal.AMOUNT_TOO_SMALL: (131096, "Withdraw amount does not satisfy the lower limit or upper limit"),
    Refusal.NOT_CHANGED: (110043, "leverage not modified"),
}
_LINEAR: Mapping[Refusal, _Answer] = {
    Refusal.UNKNOWN_INSTRUMENT: (10001, "params error: symbol invalid"),
    Refusal.NOT_TRADING: (110074, "This contract is not live"),
    Refusal.BAD_QUANTITY: (10001, "params error: Qty invalid"),
    Refusal.QUANTITY_OFF_GRID: (10001, "params error: Qty invalid"),
    Refusal.QUANTITY_TOO_SMALL: (110017, "orderQty will be truncated to zero."),
    Refusal.QUANTITY_TOO_LARGE: (10001, "The number of contracts exceeds maximum limit allowed: too large"),
    Refusal.PRICE_OFF_GRID: (10001, "params error: Price invalid"),
    Refusal.PRICE_OUT_OF_RANGE: (110003, "Order price exceeds the allowable range."),
    Refusal.NOTIONAL_TOO_SMALL: (110094, "Order does not meet minimum order value"),
    Refusal.INSUFFICIENT_BALANCE: (110007, "ab not enough for new order"),
    Refusal.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
    Refusal.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    Refusal.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    Refusal.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
    Refusal.ALREADY_FINAL: (110001, "order not exists or too late to cancel"),
    Refusal.TOO_MANY_ORDERS: (110020, "You have more than 500 active orders"),
}
_SPOT: Mapping[Refusal, _Answer] = {
    Refusal.UNKNOWN_INSTRUMENT: (170121, "Invalid symbol."),
    Refusal.NOT_TRADING: (170344, "Symbol is not supported on Spot Trading"),
    Refusal.BAD_QUANTITY: (170130, "Data sent for parameter 'qty' is not valid."),
    Refusal.QUANTITY_OFF_GRID: (170137, "Order volume decimal too long."),
    Refusal.QUANTITY_TOO_SMALL: (170136, "Order quantity exceeded lower limit."),
    Refusal.QUANTITY_TOO_LARGE: (170135, "Order quantity exceeded upper limit."),
    Refusal.PRICE_OFF_GRID: (170134, "Order price decimal too long."),
    Refusal.PRICE_OUT_OF_RANGE: (170193, "Buy order price cannot be higher than the allowed range."),
    Refusal.NOTIONAL_TOO_SMALL: (170140, "Order value exceeded lower limit."),
    Refusal.NOTIONAL_TOO_LARGE: (170124, "Order amount too large."),
    Refusal.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    Refusal.INSUFFICIENT_MARGIN: (170131, "Insufficient balance."),
    Refusal.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId"),
    Refusal.UNKNOWN_ORDER: (170213, "Order does not exist."),
    Refusal.ALREADY_FINAL: (170213, "Order does not exist."),
    Refusal.TOO_MANY_ORDERS: (170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders."),
}


def refused(refusal: Refusal, segment: Segment) -> ApiError:
    """The error of an account's refusal; spot has codes of its own."""
    own = _SPOT if segment is Segment.SPOT else _LINEAR
    return ApiError(*(own.get(refusal) or _COMMON.get(refusal) or _LINEAR.get(refusal) or _unnamed(refusal)))


_TRANSFERS: Mapping[Refusal, _Answer] = {
    Refusal.INSUFFICIENT_BALANCE: (131212, "Insufficient balance"),
    Refusal.INSUFFICIENT_MARGIN: (131212, "Insufficient balance"),
    Refusal.BAD_QUANTITY: (131002, "Parameter error: amount"),
    Refusal.QUANTITY_OFF_GRID: (131002, "Parameter error: amount"),
    Refusal.UNKNOWN_INSTRUMENT: (131002, "Parameter error: coin"),
}


def transfer_refused(refusal: Refusal) -> ApiError:
    """The error of a refused withdrawal, transfer or deposit address."""
    return ApiError(*(_TRANSFERS.get(refusal) or _COMMON.get(refusal) or _unnamed(refusal)))


def _unnamed(refusal: Refusal) -> _Answer:
    return 10001, f"params error: {refusal}"
