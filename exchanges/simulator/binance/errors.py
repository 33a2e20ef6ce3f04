"""What Binance answers when it refuses: code, message and HTTP status, by segment.

Messages are Binance's own (spot and USDⓈ-M error pages of 2026, wallet codes as ccxt lists them): clients match them.
"""

from collections.abc import Mapping

from bot.domain.instrument import Segment
from exchanges.simulator.core.values import Refusal


class Rejected(Exception):
    """A request that is answered by an error; nothing happened."""

    def __init__(self, code: int, message: str, *, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        """As it stands in a response: `{"code", "msg"}`."""
        return {"code": self.code, "msg": self.message}


def missing(name: str) -> Rejected:
    """-1102: a mandatory parameter is not there."""
    return Rejected(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> Rejected:
    """-1100: a parameter with characters that it must not have."""
    return Rejected(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def bad_key() -> Rejected:
    """-2014: no key, or one that cannot be a key."""
    return Rejected(-2014, "API-key format invalid.", status=401)


def unknown_key() -> Rejected:
    """-2015: a key that nobody has."""
    return Rejected(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def bad_symbol() -> Rejected:
    """-1121."""
    return Rejected(-1121, "Invalid symbol.")


def no_such_order() -> Rejected:
    """-2013: what a query for an unknown order is told."""
    return Rejected(-2013, "Order does not exist.")


def unknown_order_sent() -> Rejected:
    """-2011: what a cancel of an unknown order is told."""
    return Rejected(-2011, "Unknown order sent.")


_Table = Mapping[Refusal, tuple[int, str]]
_BALANCE = (-2010, "Account has insufficient balance for requested action.")
_LOT = (-1013, "Filter failure: LOT_SIZE")

_SPOT: _Table = {
    Refusal.UNKNOWN_INSTRUMENT: (-1121, "Invalid symbol."),
    Refusal.NOT_TRADING: (-1013, "Market is closed."),
    Refusal.BAD_QUANTITY: (-1013, "Invalid quantity."),
    Refusal.QUANTITY_OFF_GRID: _LOT,
    Refusal.QUANTITY_TOO_SMALL: _LOT,
    Refusal.QUANTITY_TOO_LARGE: _LOT,
    Refusal.PRICE_OFF_GRID: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.PRICE_OUT_OF_RANGE: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Refusal.NOTIONAL_TOO_SMALL: (-1013, "Filter failure: NOTIONAL"),
    Refusal.NOTIONAL_TOO_LARGE: (-1013, "Filter failure: NOTIONAL"),
    Refusal.INSUFFICIENT_BALANCE: _BALANCE,
    Refusal.INSUFFICIENT_MARGIN: _BALANCE,
    Refusal.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Refusal.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.ALREADY_FINAL: (-2011, "Unknown order sent."),
    Refusal.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
}

_LINEAR: _Table = {
    Refusal.UNKNOWN_INSTRUMENT: (-1121, "Invalid symbol."),
    Refusal.NOT_TRADING: (-4108, "This contract is under delivery or delivered or closed."),
    Refusal.BAD_QUANTITY: (-4003, "Quantity less than or equal to zero."),
    Refusal.QUANTITY_OFF_GRID: (-4023, "Qty not increased by step size."),
    Refusal.QUANTITY_TOO_SMALL: (-4004, "Quantity less than min quantity."),
    Refusal.QUANTITY_TOO_LARGE: (-4005, "Quantity greater than max quantity."),
    Refusal.PRICE_OFF_GRID: (-4014, "Price not increased by tick size."),
    Refusal.PRICE_OUT_OF_RANGE: (-4016, "Price is higher or lower than mark price multiplier cap."),
    Refusal.NOTIONAL_TOO_SMALL: (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    Refusal.INSUFFICIENT_BALANCE: (-2019, "Margin is insufficient."),
    Refusal.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    Refusal.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Refusal.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    Refusal.NOT_FILLABLE: (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    Refusal.DUPLICATE_CLIENT_ID: (-4116, "clientOrderId is duplicated"),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.ALREADY_FINAL: (-2011, "Unknown order sent."),
    Refusal.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    Refusal.NOT_CHANGED: (-4046, "No need to change margin type."),
}

_WALLET: _Table = {
    Refusal.UNKNOWN_INSTRUMENT: (-4018, "We don't have this asset."),
    Refusal.BAD_QUANTITY: (-1100, "Illegal characters found in a parameter."),
    Refusal.QUANTITY_OFF_GRID: (-4021, "Asset withdrawal must be an integer multiple of 0.00000001."),
    Refusal.QUANTITY_TOO_SMALL: (-4022, "Not less than the minimum pick-up quantity."),
    Refusal.AMOUNT_TOO_SMALL: (-4022, "Not less than the minimum pick-up quantity."),
    Refusal.INSUFFICIENT_BALANCE: (-4026, "You have insufficient balance."),
    Refusal.INSUFFICIENT_MARGIN: (-4026, "You have insufficient balance."),
    Refusal.WITHDRAWAL_SUSPENDED: (-4019, "Current asset is not open for withdrawal."),
    Refusal.UNKNOWN_NETWORK: (-4018, "We don't have this asset."),
    Refusal.BAD_ADDRESS: (-4007, "Address validation is not passed."),
    Refusal.DUPLICATE_CLIENT_ID: (-4104, "The withdrawOrderId is duplicated."),
}


def refused(refusal: Refusal, segment: Segment | None) -> Rejected:
    """The error of a segment's order entry, or of the wallet where `segment` is None."""
    table = _WALLET if segment is None else _SPOT if segment is Segment.SPOT else _LINEAR
    code, message = table.get(refusal, (-2010 if segment is Segment.SPOT else -1013, f"Filter failure: {refusal}"))
    return Rejected(code, message)
