"""Order entry as far as spot and futures share it: reading an order's parameters, placing and finding it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from bot.domain.instrument import Segment
from bot.domain.order import Side
from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.errors import Rejected, illegal, missing, no_such_order, refused, unknown_order_sent
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.order_words import SIDES
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.core.values import (
    AccountEvent,
    AccountFill,
    Kind,
    Lifetime,
    NewOrder,
    OrderUpdated,
    OrderView,
    Refusal,
)

Row = TypeVar("Row")

_BY_SIDE = {text: side for side, text in SIDES.items()}
_SPOT_LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "FOK": Lifetime.FOK}
_LINEAR_LIFETIMES = {**_SPOT_LIFETIMES, "GTX": Lifetime.POST_ONLY}
_IDS = {
    Segment.SPOT: (re.compile(r"[a-zA-Z0-9_-]{1,36}"), "^[a-zA-Z0-9-_]{1,36}$"),
    Segment.LINEAR: (re.compile(r"[.A-Z:/a-z0-9_-]{1,36}"), "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"),
}
_SPOT_DIGITS = 8
_HOUR_MS = 3_600_000
_TOO_LONG = {
    Segment.SPOT: (24 * _HOUR_MS, Rejected(-1127, "More than 24 hours between startTime and endTime.")),
    Segment.LINEAR: (168 * _HOUR_MS, Rejected(-4165, "Maximum time interval is 7 days.")),
}
"""Between two times of a question about orders or trades."""


def side(parameters: Parameters) -> Side:
    """`side`; -1117 for another word."""
    return parameters.choice("side", _BY_SIDE, Rejected(-1117, "Invalid side."))


def client_id(parameters: Parameters, name: str, segment: Segment) -> str:
    """A client's id; empty where none was sent."""
    value = parameters.text(name)
    pattern, legal = _IDS[segment]
    if value and not pattern.fullmatch(value):
        raise illegal(name, legal)
    return value


def positive(parameters: Parameters, name: str, zero: Rejected) -> Decimal:
    """A mandatory number above zero; `zero` where it is not."""
    value = parameters.decimal(name)
    if value is None:
        raise missing(name)
    if not value:
        raise zero
    return value


def lifetime(parameters: Parameters, segment: Segment) -> Lifetime:
    """`timeInForce`; -1115 for another word."""
    table = _SPOT_LIFETIMES if segment is Segment.SPOT else _LINEAR_LIFETIMES
    return parameters.choice("timeInForce", table, Rejected(-1115, "Invalid timeInForce."))


def check_digits(line: Line, name: str, value: Decimal | None, digits: int) -> None:
    """-1111 where a number has more digits than the asset has."""
    exponent = value.normalize().as_tuple().exponent if value is not None else 0
    if not isinstance(exponent, int) or -exponent <= digits:
        return
    if line.is_spot:
        raise Rejected(-1111, f"Parameter '{name}' has too much precision.")
    raise Rejected(-1111, "Precision is over the maximum defined for this asset.")


def digits_of(line: Line) -> tuple[int, int]:
    """How many digits prices and quantities may have at most."""
    if line.is_spot:
        return _SPOT_DIGITS, _SPOT_DIGITS
    return line.listing.price_digits, line.listing.quantity_digits


@dataclass(slots=True)
class Placed:
    """An order that was taken, and what it traded at once."""

    order: OrderView
    fills: list[AccountFill]


def place(call: Call, line: Line, order: NewOrder) -> Placed:
    """Hand an order in; its count goes up where it is taken.

    Raises:
        Rejected: With the segment's code where the account refuses it, or where orders come too fast.
    """
    meter = call.desk.order_meter(call.api_key, call.segment)
    now_ns = call.desk.now_ns()
    meter.check(now_ns)
    fills: list[AccountFill] = []

    def hear(event: AccountEvent) -> None:
        if isinstance(event, OrderUpdated) and event.fill is not None:
            fills.append(event.fill)

    stop = call.account.listen(hear)
    try:
        view = call.account.place(order, now_ns)
    finally:
        stop()
    if isinstance(view, Refusal):
        raise order_refusal(call, line, order, view)
    meter.add(now_ns)
    # A fill of an older order of ours that the market reached meanwhile is not this order's.
    return Placed(view, [fill for fill in fills if fill.order_number == view.number])


_WORDS = {Side.BUY: (-4016, "higher", Decimal("1.05")), Side.SELL: (-4024, "lower", Decimal("0.95"))}
"""PERCENT_PRICE of USDⓈ-M: code, word, multiple of the mark."""


def order_refusal(call: Call, line: Line, order: NewOrder, why: Refusal) -> Rejected:
    """The segment's error; messages that name a number name the instrument's own."""
    error = refused(why, line.instrument.segment)
    if why is Refusal.NOTIONAL_TOO_SMALL and not line.is_spot:
        least = f"{line.instrument.min_notional.normalize():f}"
        return Rejected(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")
    if why is Refusal.QUANTITY_TOO_LARGE and line.is_spot and order.kind is Kind.MARKET:
        return Rejected(-1013, "Filter failure: MARKET_LOT_SIZE")
    if why is Refusal.PRICE_OUT_OF_RANGE and not line.is_spot:
        code, word, multiple = _WORDS[order.side]
        bound = line.printer.price(call.desk.mark(line) * multiple)
        return Rejected(code, f"Limit price can't be {word} than {bound}.")
    return error


def named(call: Call) -> tuple[int | None, str | None]:
    """`orderId` and `origClientOrderId`; one of them is mandatory."""
    number = call.parameters.integer("orderId")
    name = client_id(call.parameters, "origClientOrderId", call.segment) or None
    if number is None and name is None:
        raise Rejected(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return number, name


def find(call: Call, line: Line) -> OrderView:
    """The order that a query names; -2013 where there is none."""
    number, name = named(call)
    view = call.account.order(listing=line.index, number=number, client_id=name)
    if isinstance(view, Refusal):
        raise no_such_order()
    return view


def cancel(call: Call, line: Line) -> OrderView:
    """Cancel the order that the request names; -2011 where there is none open."""
    number, name = named(call)
    known = call.account.order(listing=line.index, number=number, client_id=name)
    if isinstance(known, Refusal):
        raise unknown_order_sent()
    call.desk.cancel_ids[known.number] = own_cancel_id(call, known)
    try:
        view = call.account.cancel(listing=line.index, number=known.number, client_id=None, ts_ns=call.desk.now_ns())
    finally:
        del call.desk.cancel_ids[known.number]
    if isinstance(view, Refusal):
        raise unknown_order_sent()
    return view


def own_cancel_id(call: Call, order: OrderView) -> str:
    """The id of a spot cancel itself: the client's, or one made up from the order."""
    name = "newClientOrderId" if call.segment is Segment.SPOT else "cancelOrigClientOrderId"
    given = client_id(call.parameters, name, call.segment)
    return given or f"cancel-{order.number}"


def open_of(call: Call) -> list[tuple[Line, OrderView]]:
    """The open orders of one symbol or all."""
    return [(line, order) for line in call.lines() for order in call.account.open_orders(line.index)]


def all_of(call: Call) -> list[tuple[Line, OrderView]]:
    """The newest orders of a symbol, or those from `orderId` or `startTime` on."""
    within = span_filter(call)
    line, limit = call.line(), call.parameters.limit(500, 1000)
    least = call.parameters.integer("orderId", 0)
    assert least is not None
    orders = [
        (line, order) for order in call.account.orders(line.index) if order.number >= least and within(order.created_ns)
    ]
    return page(call, orders, limit, "orderId")


def trades_of(call: Call) -> tuple[Line, list[AccountFill]]:
    """A page of the trades of a symbol, oldest first: the newest, or those from `fromId` or `startTime` on."""
    within, line, limit = span_filter(call), call.line(), call.parameters.limit(500, 1000)
    number, least = call.parameters.integer("orderId"), call.parameters.integer("fromId", 0)
    assert least is not None
    timed = call.parameters.has("startTime") or call.parameters.has("endTime")
    if timed and (call.parameters.has("fromId") or (line.is_spot and number is not None)):
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    fills = [
        fill
        for fill in call.account.fills(line.index)
        if number in (None, fill.order_number) and fill.trade_id >= least and within(fill.ts_ns)
    ]
    return line, page(call, fills, limit, "fromId")


def page(call: Call, rows: list[Row], limit: int, start: str) -> list[Row]:
    """As many rows as are told at once: from where `startTime` or `start` lets them begin, else the newest."""
    begins = call.parameters.has("startTime") or call.parameters.has(start)
    return rows[:limit] if begins else rows[-limit:]


def span_filter(call: Call) -> Callable[[int], bool]:
    """The same as `time_filter`, for a question that may not reach over any length of time.

    One that names no times, and nothing else to begin from, reaches back so far on USDⓈ-M, and without end on spot.

    Raises:
        Rejected: The segment's code where it reaches too far.
    """
    start, end = call.parameters.integer("startTime"), call.parameters.integer("endTime")
    longest_ms, too_long = _TOO_LONG[call.segment]
    if start is not None and end is not None and end - start > longest_ms:
        raise too_long
    if call.segment is Segment.LINEAR and start is None and end is None and not call.parameters.has("fromId"):
        since_ns = call.desk.now_ns() - longest_ms * 1_000_000
        return lambda ts_ns: ts_ns >= since_ns
    return time_filter(call)


def time_filter(call: Call) -> Callable[[int], bool]:
    """Whether a time (ns) lies within `startTime` and `endTime`, where they were sent."""
    start, end = call.parameters.integer("startTime"), call.parameters.integer("endTime")
    if start is None and end is None:
        return lambda _: True
    first_ms, last_ms = start or 0, end if end is not None else 2**63
    return lambda ts_ns: first_ms <= ts_ns // 1_000_000 <= last_ms
