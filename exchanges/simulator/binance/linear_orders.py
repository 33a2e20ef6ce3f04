"""Order entry of USDⓈ-M futures."""

import json
from dataclasses import replace

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.errors import Rejected, no_such_order
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money
from exchanges.simulator.binance.order_words import ORDER_TYPES, SIDES, TIMES_IN_FORCE, average_price, status
from exchanges.simulator.binance.orders import (
    all_of,
    cancel,
    check_digits,
    client_id,
    digits_of,
    find,
    lifetime,
    open_of,
    place,
    positive,
    side,
    trades_of,
)
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.core.values import AccountFill, Kind, Lifetime, NewOrder, OrderState, OrderView

_CONDITIONAL = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
_MOST_IN_A_BATCH = 5
_NO_QUANTITY = Rejected(-4003, "Quantity less than or equal to zero.")
_NO_PRICE = Rejected(-4001, "Price less than 0.")


def new_order(call: Call) -> dict[str, object]:
    """`POST order`. ACK, the default, shows the order as it was taken; RESULT as it ended."""
    line, order, answer = _read(call)
    placed = place(call, line, order)
    if answer == "RESULT":
        return _row(line, placed.order)
    return _row(line, _as_taken(placed.order))


def _as_taken(order: OrderView) -> OrderView:
    zero = order.filled - order.filled
    return replace(order, state=OrderState.NEW, filled=zero, filled_notional=zero, fees=(), updated_ns=order.created_ns)


def test_order(call: Call) -> dict[str, object]:
    """`POST order/test`: checked for form, not placed."""
    _read(call)
    return {}


def _read(call: Call) -> tuple[Line, NewOrder, str]:
    line, sent = call.line(), call.parameters
    of_side = side(sent)
    kind = _type(sent)
    name = client_id(sent, "newClientOrderId", call.segment)
    if sent.text("positionSide", "BOTH") != "BOTH" or call.desk.exchange.setup.is_hedge:
        raise Rejected(-4061, "Order's position side does not match user's setting.")
    answer = sent.only("newOrderRespType", ("ACK", "RESULT"), "ACK")
    quantity = positive(sent, "quantity", _NO_QUANTITY)
    price, life = None, Lifetime.IOC
    if kind is Kind.MARKET:
        for unwanted in ("price", "timeInForce"):
            if sent.has(unwanted):
                raise Rejected(-1106, f"Parameter '{unwanted}' sent when not required.")
    else:
        price, life = positive(sent, "price", _NO_PRICE), lifetime(sent, call.segment)
    price_digits, quantity_digits = digits_of(line)
    check_digits(line, "price", price, price_digits)
    check_digits(line, "quantity", quantity, quantity_digits)
    return line, NewOrder(line.index, of_side, kind, life, quantity, price, name, sent.flag("reduceOnly")), answer


def _type(sent: Parameters) -> Kind:
    text = sent.required("type").upper()
    if text in _CONDITIONAL:
        # Conditional orders have an endpoint of their own since 2025-12.
        raise Rejected(-4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints.")
    for kind, name in ORDER_TYPES.items():
        if name == text:
            return kind
    raise Rejected(-1116, "Invalid orderType.")


def batch_orders(call: Call) -> list[dict[str, object]]:
    """`POST batchOrders`: each order's result or its error, in order."""
    try:
        orders = json.loads(call.parameters.required("batchOrders"))
    except (ValueError, RecursionError) as error:
        raise Rejected(-1130, "Data sent for parameter 'batchOrders' is not valid.") from error
    if not isinstance(orders, list) or not all(isinstance(one, dict) for one in orders):
        raise Rejected(-1130, "Data sent for parameter 'batchOrders' is not valid.")
    if not 1 <= len(orders) <= _MOST_IN_A_BATCH:
        raise Rejected(-4082, "Invalid number of batch place orders.")
    return [_one_of_batch(call, one) for one in orders]


def _one_of_batch(call: Call, order: dict[str, object]) -> dict[str, object]:
    values = {str(name): str(value) for name, value in order.items()}
    try:
        return new_order(replace(call, parameters=Parameters(values)))
    except Rejected as error:
        return error.body()


def _row(line: Line, order: OrderView) -> dict[str, object]:
    printer, kind = line.printer, ORDER_TYPES[order.request.kind]
    return {
        "orderId": order.number,
        "symbol": line.symbol,
        "status": status(order),
        "clientOrderId": order.client_id,
        "price": printer.price(order.request.price),
        "avgPrice": printer.price(average_price(order)),
        "origQty": printer.quantity(order.quantity),
        "executedQty": printer.quantity(order.filled),
        "cumQty": printer.quantity(order.filled),
        "cumQuote": f"{order.filled_notional:.5f}",
        "timeInForce": TIMES_IN_FORCE[order.request.lifetime] if kind == "LIMIT" else "GTC",
        "type": kind,
        "reduceOnly": order.request.reduce_only,
        "closePosition": False,
        "side": SIDES[order.request.side],
        "positionSide": "BOTH",
        "stopPrice": printer.price(None),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
    }


def query_order(call: Call) -> dict[str, object]:
    """`GET order`."""
    line = call.line()
    return _row(line, find(call, line))


def query_open_order(call: Call) -> dict[str, object]:
    """`GET openOrder`; -2013 where it is final."""
    line = call.line()
    order = find(call, line)
    if order.state.is_final:
        raise no_such_order()
    return _row(line, order)


def cancel_order(call: Call) -> dict[str, object]:
    """`DELETE order`."""
    line = call.line()
    return _row(line, cancel(call, line))


def cancel_all(call: Call) -> dict[str, object]:
    """`DELETE allOpenOrders` of a symbol."""
    call.account.cancel_all(call.line().index, call.desk.now_ns())
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def open_orders(call: Call) -> list[dict[str, object]]:
    """`GET openOrders`, of one symbol or all."""
    return [_row(line, order) for line, order in open_of(call)]


def all_orders(call: Call) -> list[dict[str, object]]:
    """`GET allOrders` of a symbol: the newest, or those from `orderId` on."""
    return [_row(line, order) for line, order in all_of(call)]


def user_trades(call: Call) -> list[dict[str, object]]:
    """`GET userTrades` of a symbol."""
    line, fills = trades_of(call)
    return [_trade(line, fill) for fill in fills]


def _trade(line: Line, fill: AccountFill) -> dict[str, object]:
    return {
        "buyer": SIDES[fill.side] == "BUY",
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "id": fill.trade_id,
        "maker": fill.is_maker,
        "orderId": fill.order_number,
        "price": line.printer.price(fill.price),
        "qty": line.printer.quantity(fill.quantity),
        "quoteQty": f"{fill.price * fill.quantity:.5f}",
        "realizedPnl": money(fill.realised),
        "side": SIDES[fill.side],
        "positionSide": "BOTH",
        "symbol": line.symbol,
        "time": milliseconds(fill.ts_ns),
    }


def countdown_cancel_all(call: Call) -> dict[str, object]:
    """`POST countdownCancelAll`: cancels the symbol's orders unless asked again in time; 0 stops the countdown."""
    line, account, desk = call.line(), call.account, call.desk
    countdown_ms = call.parameters.integer("countdownTime")
    if countdown_ms is None:
        raise Rejected(-1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed.")
    timers, key = call.gateway.countdowns, (call.api_key, line.index)
    timer = timers.pop(key, None)
    if timer is not None:
        timer.cancel()

    def run_out() -> None:
        timers.pop(key, None)
        account.cancel_all(line.index, desk.now_ns())

    if countdown_ms:
        timers[key] = desk.clock.call_later(countdown_ms / 1000, run_out)
    return {"symbol": line.symbol, "countdownTime": str(countdown_ms)}
