"""What an account hears, in Binance's words: futures user stream and spot user data stream."""

from collections.abc import Iterator
from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Desk, Line, wallet_segment
from exchanges.simulator.binance.numbers import fine, milliseconds, money
from exchanges.simulator.binance.order_words import ORDER_TYPES, SIDES, STATUSES, TIMES_IN_FORCE, average_price, status
from exchanges.simulator.core.values import (
    AccountChanged,
    BalanceView,
    Cause,
    OrderState,
    OrderUpdated,
    OrderView,
    PositionView,
)

Event = tuple[str, dict[str, object]]
"""Type and content."""

_REASONS = {
    Cause.FUNDING: "FUNDING_FEE",
    Cause.DEPOSIT: "DEPOSIT",
    Cause.WITHDRAWAL: "WITHDRAW",
    Cause.INSURANCE: "INSURANCE_CLEAR",
}
_MOVES = frozenset({Cause.DEPOSIT, Cause.WITHDRAWAL, Cause.TRANSFER})


def _execution(event: OrderUpdated) -> str:
    return "TRADE" if event.fill is not None else STATUSES[event.order.state]


# USDⓈ-M


def _expiry_reason(order: OrderView) -> str:
    """Binance's number for it: a self-trade, an IOC order that found no more, a market order that did."""
    if order.state is not OrderState.EXPIRED:
        return "0"
    if status(order) == "EXPIRED_IN_MATCH":
        return "1"
    return "9" if ORDER_TYPES[order.request.kind] == "MARKET" else "2"


def linear_order_events(line: Line, event: OrderUpdated) -> Iterator[Event]:
    """`ORDER_TRADE_UPDATE`, and `TRADE_LITE` with a fill."""
    order, fill, printer = event.order, event.fill, line.printer
    kind = ORDER_TYPES[order.request.kind]
    body: dict[str, object] = {
        "s": line.symbol, "c": order.client_id, "S": SIDES[order.request.side], "o": kind,
        "f": TIMES_IN_FORCE[order.request.lifetime], "q": printer.quantity(order.quantity),
        "p": printer.price(order.request.price), "ap": printer.price(average_price(order)), "sp": "0",
        "x": _execution(event), "X": status(order), "i": order.number, "l": "0",
        "z": printer.quantity(order.filled), "L": "0", "T": milliseconds(event.ts_ns), "t": 0, "b": "0", "a": "0",
        "m": False, "R": order.request.reduce_only, "wt": "CONTRACT_PRICE", "ot": kind, "ps": "BOTH", "cp": False,
        "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0,
        "er": _expiry_reason(order),
    }  # fmt: skip
    if fill is not None:
        body |= {
            "l": printer.quantity(fill.quantity), "L": printer.price(fill.price), "N": fill.fee_asset,
            "n": money(fill.fee), "t": fill.trade_id, "m": fill.is_maker, "rp": money(fill.realised),
        }  # fmt: skip
    ms = milliseconds(event.ts_ns)
    yield "ORDER_TRADE_UPDATE", {"e": "ORDER_TRADE_UPDATE", "E": ms, "T": ms, "o": body}
    if fill is not None:
        lite = {name: body[name] for name in ("s", "q", "p", "m", "c", "S", "L", "l", "t", "i")}
        yield "TRADE_LITE", {"e": "TRADE_LITE", "E": ms, "T": ms, **lite}


def linear_account_events(desk: Desk, event: AccountChanged) -> Iterator[Event]:
    """`ACCOUNT_UPDATE`, where the futures wallet or a position changed."""
    balances = [one for one in event.balances if wallet_segment(one.wallet) == Segment.LINEAR.value]
    if not balances and not event.positions:
        return
    change = event.amount if event.cause in _MOVES else Decimal(0)
    reason = _REASONS.get(event.cause, "ORDER")
    if event.cause is Cause.TRANSFER:
        # Binance books a transfer into or out of the futures wallet as a deposit or withdrawal of that wallet.
        reason = "DEPOSIT" if event.amount > 0 else "WITHDRAW"
    ms = milliseconds(event.ts_ns)
    content = {
        "m": reason,
        "B": [
            {"a": one.asset, "wb": money(one.total), "cw": money(one.total), "bc": money(_of(one, event, change))}
            for one in balances
        ],
        "P": [_position(desk, one) for one in event.positions if one.listing in desk.lines],
    }
    yield "ACCOUNT_UPDATE", {"e": "ACCOUNT_UPDATE", "E": ms, "T": ms, "a": content}


def _of(balance: BalanceView, event: AccountChanged, change: Decimal) -> Decimal:
    return change if balance.asset == event.asset else Decimal(0)


def _position(desk: Desk, position: PositionView) -> dict[str, object]:
    line = desk.lines[position.listing]
    return {
        "s": line.symbol, "pa": line.printer.quantity(position.quantity), "ep": fine(position.entry_price),
        "bep": fine(position.break_even),
        "cr": money(position.realised), "up": money(position.unrealised), "mt": "cross", "iw": "0", "ps": "BOTH",
        "ma": line.instrument.settle or line.instrument.quote,
    }  # fmt: skip


# Spot


def spot_order_event(line: Line, event: OrderUpdated, cancel_id: str | None) -> Event:
    """`executionReport`; on a cancel, `c` is the cancel's own id and `C` the order's."""
    order, fill, printer = event.order, event.fill, line.printer
    ms = milliseconds(event.ts_ns)
    body: dict[str, object] = {
        "e": "executionReport", "E": ms, "s": line.symbol, "c": cancel_id or order.client_id,
        "S": SIDES[order.request.side], "o": spot_type(order), "f": spot_time_in_force(order),
        "q": printer.quantity(order.quantity), "p": printer.price(order.request.price), "P": printer.price(None),
        "F": printer.quantity(None), "g": -1, "C": order.client_id if cancel_id else "",
        "x": "TRADE_PREVENTION" if status(order) == "EXPIRED_IN_MATCH" else _execution(event),
        "X": status(order), "r": "NONE", "i": order.number, "l": printer.quantity(None),
        "z": printer.quantity(order.filled), "L": printer.price(None), "n": "0", "N": None, "T": ms, "t": -1,
        "I": order.number * 2, "w": not order.state.is_final, "m": False, "M": False,
        "O": milliseconds(order.created_ns), "Z": money(order.filled_notional), "Y": money(Decimal(0)),
        "Q": money(order.request.quote_quantity or Decimal(0)), "W": milliseconds(order.created_ns),
        "V": "EXPIRE_MAKER",
    }  # fmt: skip
    if fill is not None:
        body |= {
            "l": printer.quantity(fill.quantity), "L": printer.price(fill.price), "n": money(fill.fee),
            "N": fill.fee_asset, "t": fill.trade_id, "m": fill.is_maker, "M": True,
            "Y": money(fill.price * fill.quantity),
        }  # fmt: skip
    return "executionReport", body


def spot_type(order: OrderView) -> str:
    """LIMIT, MARKET or LIMIT_MAKER."""
    return "LIMIT_MAKER" if TIMES_IN_FORCE[order.request.lifetime] == "GTX" else ORDER_TYPES[order.request.kind]


def spot_time_in_force(order: OrderView) -> str:
    """Spot has no GTX: a post-only order is a LIMIT_MAKER that is GTC; a market order reads GTC as well."""
    text = TIMES_IN_FORCE[order.request.lifetime]
    return "GTC" if text == "GTX" or ORDER_TYPES[order.request.kind] == "MARKET" else text


def spot_account_events(event: AccountChanged) -> Iterator[Event]:
    """`outboundAccountPosition`; before it `balanceUpdate` where money came or went."""
    balances = [one for one in event.balances if wallet_segment(one.wallet) == Segment.SPOT.value]
    if not balances:
        return
    ms = milliseconds(event.ts_ns)
    if event.cause in _MOVES and event.asset:
        yield "balanceUpdate", {"e": "balanceUpdate", "E": ms, "a": event.asset, "d": money(event.amount), "T": ms}
    rows = [{"a": one.asset, "f": money(one.total - one.locked), "l": money(one.locked)} for one in balances]
    yield "outboundAccountPosition", {"e": "outboundAccountPosition", "E": ms, "u": ms, "B": rows}
