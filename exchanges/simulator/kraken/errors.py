"""Kraken's refusals as texts, which are all that it has.

Source: https://support.kraken.com/hc/en-us/articles/360001491786-API-error-messages. How it words a quantity below the
minimum, and a client order id that an open order has already, are as its users report them.
"""

from collections.abc import Mapping

from exchanges.simulator.core.values import Refusal


class ApiError(Exception):
    """A request that Kraken answers with an `error`."""


_TEXTS: Mapping[Refusal, str] = {
    Refusal.UNKNOWN_INSTRUMENT: "EQuery:Unknown asset pair",
    Refusal.NOT_TRADING: "EService:Market in cancel_only mode",
    Refusal.BAD_QUANTITY: "EGeneral:Invalid arguments:volume",
    Refusal.QUANTITY_OFF_GRID: "EGeneral:Invalid arguments:volume",
    Refusal.QUANTITY_TOO_SMALL: "EGeneral:Invalid arguments:volume minimum not met",
    Refusal.QUANTITY_TOO_LARGE: "EGeneral:Invalid arguments:volume",
    Refusal.PRICE_OFF_GRID: "EOrder:Tick size check failed",
    Refusal.PRICE_OUT_OF_RANGE: "EOrder:Invalid price",
    Refusal.NOTIONAL_TOO_SMALL: "EOrder:Cost minimum not met",
    Refusal.INSUFFICIENT_BALANCE: "EOrder:Insufficient funds",
    Refusal.DUPLICATE_CLIENT_ID: "EGeneral:Invalid arguments:cl_ord_id not unique",
    Refusal.UNKNOWN_ORDER: "EOrder:Unknown order",
    Refusal.ALREADY_FINAL: "EOrder:Unknown order",
    Refusal.TOO_MANY_ORDERS: "EOrder:Orders limit exceeded",
}


def refused(refusal: Refusal) -> ApiError:
    """The error of an account's refusal."""
    return ApiError(_TEXTS.get(refusal, f"EOrder:{refusal}"))
