"""Order entry of the spot market."""

from decimal import Decimal

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.errors import Rejected, missing, unknown_order_sent
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money
from exchanges.simulator.binance.order_words import SIDES, status
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
from exchanges.simulator.binance.spot_account import commission_rates
from exchanges.simulator.binance.user_events import spot_time_in_force, spot_type
from exchanges.simulator.core.values import AccountFill, Kind, Lifetime, NewOrder, OrderView

_TYPES = ("LIMIT", "MARKET", "LIMIT_MAKER")
_NO_STP = "EXPIRE_MAKER"


def new_order(call: Call) -> dict[str, object]:
    """`POST order`, in the response type that was asked for."""
    line, order, answer = _read(call)
    placed = place(call, line, order)
    if answer == "ACK":
        return _ack(line, placed.order)
    result = {**_ack(line, placed.order), **_amounts(line, placed.order), "workingTime": _created(placed.order)}
    if answer == "FULL":
        result["fills"] = [_fill(line, fill) for fill in placed.fills]
    return result | {"selfTradePreventionMode": _NO_STP}


def test_order(call: Call) -> dict[str, object]:
    """`POST order/test`: checked for form, not placed; with the rates that it would pay where they are asked for."""
    line, *_ = _read(call)
    if not call.parameters.flag("computeCommissionRates"):
        return {}
    rates = commission_rates(call, line)
    return {
        "standardCommissionForOrder": {name: rates["standardCommission"][name] for name in ("maker", "taker")},
        "specialCommissionForOrder": {name: rates["specialCommission"][name] for name in ("maker", "taker")},
        "taxCommissionForOrder": {name: rates["taxCommission"][name] for name in ("maker", "taker")},
        "discount": rates["discount"],
    }


def _read(call: Call) -> tuple[Line, NewOrder, str]:
    line, sent = call.line(), call.parameters
    of_side = side(sent)
    kind = sent.choice("type", {one: one for one in _TYPES}, Rejected(-1116, "Invalid orderType."))
    name = client_id(sent, "newClientOrderId", call.segment)
    default = "ACK" if kind == "LIMIT_MAKER" else "FULL"
    answer = sent.only("newOrderRespType", ("ACK", "RESULT", "FULL"), default)
    if kind == "MARKET":
        quantity, spend = _market_size(call)
        order = NewOrder(line.index, of_side, Kind.MARKET, Lifetime.IOC, quantity, None, name, quote_quantity=spend)
    else:
        quantity = positive(sent, "quantity", Rejected(-1013, "Invalid quantity."))
        price = positive(sent, "price", Rejected(-1013, "Invalid price."))
        life = Lifetime.POST_ONLY if kind == "LIMIT_MAKER" else lifetime(sent, call.segment)
        if kind == "LIMIT_MAKER":
            _not_sent(call, "timeInForce")
        order = NewOrder(line.index, of_side, Kind.LIMIT, life, quantity, price, name)
    price_digits, quantity_digits = digits_of(line)
    check_digits(line, "price", order.price, price_digits)
    check_digits(line, "quantity", order.quantity, quantity_digits)
    return line, order, answer


def _market_size(call: Call) -> tuple[Decimal | None, Decimal | None]:
    sent = call.parameters
    _not_sent(call, "price", "timeInForce")
    quantity, spend = sent.decimal("quantity"), sent.decimal("quoteOrderQty")
    if quantity is not None and spend is not None:
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    if quantity is None and spend is None:
        raise missing("quantity")
    if not (quantity or spend):
        raise Rejected(-1013, "Invalid quantity.")
    return quantity, spend


def _not_sent(call: Call, *names: str) -> None:
    for name in names:
        if call.parameters.has(name):
            raise Rejected(-1106, f"Parameter '{name}' sent when not required.")


def _created(order: OrderView) -> int:
    return milliseconds(order.created_ns)


def _ack(line: Line, order: OrderView) -> dict[str, object]:
    return {
        "symbol": line.symbol,
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": milliseconds(order.updated_ns),
    }


def _amounts(line: Line, order: OrderView) -> dict[str, object]:
    printer = line.printer
    return {
        "price": printer.price(order.request.price),
        "origQty": printer.quantity(order.quantity),
        "executedQty": printer.quantity(order.filled),
        "origQuoteOrderQty": money(order.request.quote_quantity or Decimal(0)),
        "cummulativeQuoteQty": money(order.filled_notional),
        "status": status(order),
        "timeInForce": spot_time_in_force(order),
        "type": spot_type(order),
        "side": SIDES[order.request.side],
    }


def _fill(line: Line, fill: AccountFill) -> dict[str, object]:
    return {
        "price": line.printer.price(fill.price),
        "qty": line.printer.quantity(fill.quantity),
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def _row(line: Line, order: OrderView) -> dict[str, object]:
    row = _ack(line, order)
    del row["transactTime"]
    return row | _amounts(line, order) | {
        "stopPrice": line.printer.price(None),
        "icebergQty": line.printer.quantity(None),
        "time": _created(order),
        "updateTime": milliseconds(order.updated_ns),
        "isWorking": True,
        "workingTime": _created(order),
        "selfTradePreventionMode": _NO_STP,
    }  # fmt: skip


def query_order(call: Call) -> dict[str, object]:
    """`GET order`."""
    line = call.line()
    return _row(line, find(call, line))


def _cancelled(line: Line, order: OrderView, own_id: str) -> dict[str, object]:
    ack = _ack(line, order) | {"clientOrderId": own_id, "origClientOrderId": order.client_id}
    return ack | _amounts(line, order) | {"selfTradePreventionMode": _NO_STP}


def cancel_order(call: Call) -> dict[str, object]:
    """`DELETE order`: `clientOrderId` is the cancel's own id, `origClientOrderId` the order's."""
    line = call.line()
    order = cancel(call, line)
    own_id = client_id(call.parameters, "newClientOrderId", call.segment) or f"cancel-{order.number}"
    return _cancelled(line, order, own_id)


def cancel_all(call: Call) -> list[dict[str, object]]:
    """`DELETE openOrders`; -2011 where none is open."""
    line = call.line()
    own_ids = {order.number: f"cancel-{order.number}" for order in call.account.open_orders(line.index)}
    call.desk.cancel_ids.update(own_ids)
    try:
        orders = call.account.cancel_all(line.index, call.desk.now_ns())
    finally:
        for number in own_ids:
            call.desk.cancel_ids.pop(number, None)
    if not orders:
        raise unknown_order_sent()
    return [_cancelled(line, order, f"cancel-{order.number}") for order in orders]


def open_orders(call: Call) -> list[dict[str, object]]:
    """`GET openOrders`, of one symbol or all."""
    return [_row(line, order) for line, order in open_of(call)]


def all_orders(call: Call) -> list[dict[str, object]]:
    """`GET allOrders` of a symbol: the newest, or those from `orderId` on."""
    return [_row(line, order) for line, order in all_of(call)]


def my_trades(call: Call) -> list[dict[str, object]]:
    """`GET myTrades` of a symbol."""
    line, fills = trades_of(call)
    return [_trade(line, fill) for fill in fills]


def _trade(line: Line, fill: AccountFill) -> dict[str, object]:
    return {
        "symbol": line.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_number,
        "orderListId": -1,
        "price": line.printer.price(fill.price),
        "qty": line.printer.quantity(fill.quantity),
        "quoteQty": money(fill.price * fill.quantity),
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.ts_ns),
        "isBuyer": SIDES[fill.side] == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }
