"""Orders and executions as Bybit's rows, the same over HTTP and on the private topics.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order (and `execution`).
"""

from decimal import Decimal

from bot.domain.order import Side
from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.ids import order_id, trade_id
from exchanges.simulator.bybit.wire import Row
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountFill,
    Kind,
    Lifetime,
    OrderState,
    OrderView,
    Refusal,
)

_MS = 1_000_000
_ZERO = Decimal(0)
_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_LIFETIMES = {Lifetime.GTC: "GTC", Lifetime.IOC: "IOC", Lifetime.FOK: "FOK", Lifetime.POST_ONLY: "PostOnly"}
_STATES = {
    OrderState.NEW: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELLED: "Cancelled",
    OrderState.EXPIRED: "Cancelled",
    OrderState.REJECTED: "Rejected",
}


def order_row(entry: Entry, view: OrderView, closed: Decimal = _ZERO) -> Row:
    """An order; `closed` is the profit that its fills booked. Contracts have `tpslMode` and `createType`."""
    request, is_spot = view.request, entry.is_spot
    is_market = request.kind is Kind.MARKET
    average = view.filled_notional / view.filled if view.filled else None
    left = _ZERO if view.state.is_final else view.quantity - view.filled
    in_quote = request.quote_quantity is not None
    quantity = request.quote_quantity if request.quote_quantity is not None else view.quantity
    price = request.price or _ZERO
    row: Row = {
        "category": entry.category,
        "symbol": entry.symbol,
        "orderId": order_id(entry.segment, view.number),
        "orderLinkId": request.client_id,
        "blockTradeId": "",
        "side": _SIDES[request.side],
        "positionIdx": 0,
        "orderStatus": status(entry, view),
        "createType": "CreateByUser",
        "cancelType": _cancel_type(view),
        "rejectReason": reject_reason(view),
        "timeInForce": "IOC" if is_market else _LIFETIMES[request.lifetime],
        "isLeverage": "0" if is_spot else "",
        "price": entry.grid.decimal_price(price) if price else "0",
        "qty": plain(quantity) if in_quote else entry.grid.decimal_quantity(quantity),
        "avgPrice": plain(round(average, 10)) if average is not None else ("0.0" if is_spot else ""),
        "leavesQty": entry.grid.decimal_quantity(left),
        "leavesValue": plain(left * price),
        "cumExecQty": entry.grid.decimal_quantity(view.filled),
        "cumExecValue": plain(view.filled_notional),
        "cumExecFee": plain(sum((fee for _, fee in view.fees), _ZERO)),
        "cumFeeDetail": {asset: plain(fee) for asset, fee in view.fees},
        "closedPnl": plain(closed),
        "feeCurrency": view.fees[0][0] if is_spot and view.fees else "",
        "orderType": "Market" if is_market else "Limit",
        "stopOrderType": "",
        "orderIv": "",
        "marketUnit": ("quoteCoin" if in_quote else "baseCoin") if is_spot and is_market else "",
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "lastPriceOnCreated": "",
        "closeOnTrigger": False,
        "reduceOnly": request.reduce_only,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "",
        "createdTime": str(view.created_ns // _MS),
        "updatedTime": str(view.updated_ns // _MS),
    }
    if not is_spot:
        row["tpslMode"] = ""  # ccxt tells contracts from spot by this key
    else:
        del row["createType"]
    return row


def status(entry: Entry, view: OrderView) -> str:
    """`orderStatus`: only spot tells a cancelled rest from a cancelled whole."""
    if entry.is_spot and view.filled and view.state in (OrderState.CANCELLED, OrderState.EXPIRED):
        return "PartiallyFilledCanceled"
    return _STATES[view.state]


def reject_reason(view: OrderView) -> str:
    """Why an order ended other than by being filled."""
    if view.state is OrderState.CANCELLED:
        return "EC_PerCancelRequest"
    if view.state is OrderState.REJECTED:
        return "EC_Others"
    if view.state is not OrderState.EXPIRED:
        return "EC_NoError"
    if view.reason == Refusal.WOULD_TAKE or view.request.lifetime is Lifetime.POST_ONLY:
        return "EC_PostOnlyWillTakeLiquidity"
    return "EC_NoImmediateQtyToFill" if not view.filled else "EC_CancelForNoFullFill"


def _cancel_type(view: OrderView) -> str:
    return "CancelByUser" if view.state is OrderState.CANCELLED else "UNKNOWN"


def execution_row(
    entry: Entry, fill: AccountFill, view: OrderView | None, left: Decimal, mark: Decimal, seq: int
) -> Row:
    """One fill; `left` is what its order had left after it."""
    request = view.request if view is not None else None
    value = fill.price * fill.quantity
    closed = fill.quantity if fill.realised else _ZERO
    return {
        "category": entry.category,
        "symbol": entry.symbol,
        "isLeverage": "0" if entry.is_spot else "",
        "closedSize": entry.grid.decimal_quantity(closed) if not entry.is_spot else "",
        "execFee": plain(fill.fee),
        "execId": trade_id(entry.segment, entry.index, fill.trade_id),
        "execPrice": entry.grid.decimal_price(fill.price),
        "execQty": entry.grid.decimal_quantity(fill.quantity),
        "execType": "Trade",
        "execValue": plain(value),
        "execPnl": plain(fill.realised),
        "feeRate": plain(_rate(fill, value)),
        "feeCurrency": fill.fee_asset,
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": entry.grid.decimal_price(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": entry.grid.decimal_quantity(left),
        "orderId": order_id(entry.segment, view.number if view is not None else fill.order_number),
        "orderLinkId": request.client_id if request is not None else "",
        "orderPrice": entry.grid.decimal_price(request.price) if request is not None and request.price else "0",
        "orderQty": entry.grid.decimal_quantity(view.quantity) if view is not None else "",
        "orderType": "Market" if request is not None and request.kind is Kind.MARKET else "Limit",
        "stopOrderType": "UNKNOWN",
        "side": _SIDES[fill.side],
        "execTime": str(fill.ts_ns // _MS),
        "isMaker": fill.is_maker,
        "seq": seq,
        "extraFees": "",
        "feeRateV2": "",
        **({} if entry.is_spot else {"createType": "CreateByUser"}),
    }


def _rate(fill: AccountFill, value: Decimal) -> Decimal:
    # A fee in the base asset is a share of the quantity, any other one of the value.
    whole = value if fill.fee_asset.startswith("USD") else fill.quantity
    return round(fill.fee / whole, 8) if whole else _ZERO


def funding_row(entry: Entry, event: AccountChanged, seq: int) -> Row:
    """A settlement as an execution; `execFee` is positive where funding was paid."""
    # A mark price is finer than the grid that orders must keep to.
    mark = plain(event.mark)
    fill = AccountFill(
        order_number=0,
        listing=entry.index,
        side=Side.BUY if event.quantity > 0 else Side.SELL,
        trade_id=event.ts_ns // _MS,
        price=event.mark,
        quantity=abs(event.quantity),
        fee=-event.amount,
        fee_asset=event.asset,
        is_maker=False,
        realised=_ZERO,
        ts_ns=event.ts_ns,
    )
    return execution_row(entry, fill, None, _ZERO, event.mark, seq) | {
        "execType": "Funding",
        "execPrice": mark,
        "markPrice": mark,
        "feeRate": plain(event.rate),
        "createType": "",
    }


_FAST = ("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side")


def fast_row(row: Row) -> Row:
    """The short form of an execution."""
    return {name: row[name] for name in (*_FAST, "execTime", "seq")}
