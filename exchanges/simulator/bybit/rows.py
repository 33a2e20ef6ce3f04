"""Orders, executions, positions and wallets as Bybit's rows, the same over HTTP and on the private topics.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order (and `execution`, `position`, `wallet`).
"""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Any

from bot.domain.order import Side
from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.ids import order_id, trade_id
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountFill,
    BalanceView,
    Kind,
    Lifetime,
    OrderState,
    OrderView,
    PositionView,
    Refusal,
)

Row = dict[str, Any]

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
_RISK_LIMIT = "2000000"
_WIDE = Context(prec=80)
_FINEST = Decimal("1e-18")


def order_row(entry: Entry, view: OrderView, closed: Decimal = _ZERO) -> Row:
    """An order; `closed` is the profit that its fills booked. Contracts have `tpslMode`, spot has not."""
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
        "createType": "CreateByUser",
        "extraFees": "",
        "feeRateV2": "",
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


def position_row(entry: Entry, view: PositionView, seq: int, *, on_topic: bool) -> Row:
    """A position; the topic calls the entry price `entryPrice`, HTTP `avgPrice`."""
    size = abs(view.quantity)
    entry_price = plain(round(view.entry_price, 8)) if size else "0"
    liquidation = view.liquidation_price
    return {
        "category": entry.category,
        "symbol": entry.symbol,
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": _RISK_LIMIT,
        "side": "" if not size else "Buy" if view.quantity > 0 else "Sell",
        "size": entry.grid.decimal_quantity(size) if size else "0",
        "entryPrice" if on_topic else "avgPrice": entry_price,
        "leverage": str(view.leverage),
        "positionValue": plain(size * view.entry_price),
        "positionBalance": plain(view.initial_margin),
        "markPrice": entry.grid.decimal_price(view.mark),
        "positionIM": plain(round(view.initial_margin, 8)),
        "positionMM": plain(round(view.maintenance_margin, 8)),
        "positionIMByMp": plain(round(view.initial_margin, 8)),
        "positionMMByMp": plain(round(view.maintenance_margin, 8)),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": plain(round(view.unrealised, 8)) if size or on_topic else "",
        "curRealisedPnl": plain(round(view.result, 8)),
        "cumRealisedPnl": plain(round(view.result_ever, 8)),
        "sessionAvgPrice": "",
        "createdTime": str(view.updated_ns // _MS),
        "updatedTime": str(view.updated_ns // _MS),
        "tpslMode": "Full",
        "liqPrice": entry.grid.decimal_price(liquidation) if liquidation is not None and size else "",
        "bustPrice": "",
        "positionStatus": "Normal",
        "adlRankIndicator": 2 if size else 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "mmrSysUpdateTime": "",
        "seq": seq,
        "isReduceOnly": False,
        "delta": "",
        "gamma": "",
        "vega": "",
        "theta": "",
    }


def _whole(amount: Decimal) -> str:
    """All digits of an amount, up to 18 decimals: fees have more than eight, and balances must add up."""
    return plain(amount.quantize(_FINEST, context=_WIDE))


def coin_row(
    balance: BalanceView,
    price: Decimal,
    positions: Sequence[PositionView],
    spot_locked: Decimal,
    *,
    is_collateral: bool,
) -> Row:
    """One coin of the unified wallet; `positions` are those that settle in it."""
    booked = sum((one.result_ever for one in positions), _ZERO)
    unrealised = sum((one.unrealised for one in positions), _ZERO)
    margin = sum((one.initial_margin for one in positions), _ZERO)
    maintenance = sum((one.maintenance_margin for one in positions), _ZERO)
    equity = balance.total + unrealised
    for_orders = max(_ZERO, balance.locked - margin - spot_locked)
    return {
        "coin": balance.asset,
        "equity": _whole(equity),
        "usdValue": plain(round(equity * price, 8)),
        "walletBalance": _whole(balance.total),
        "free": "",
        "availableToWithdraw": _whole(max(_ZERO, balance.total - balance.locked)),
        "availableToBorrow": "",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(round(for_orders, 8)),
        "totalPositionIM": plain(round(margin, 8)),
        "totalPositionMM": plain(round(maintenance, 8)),
        "unrealisedPnl": plain(round(unrealised, 8)),
        "cumRealisedPnl": _whole(booked),
        "bonus": "0",
        "collateralSwitch": is_collateral,
        "marginCollateral": is_collateral,
        "locked": _whole(spot_locked),
        "spotHedgingQty": "0",
    }


def wallet_row(coins: Iterable[Row]) -> Row:
    """The unified account: its coins and their sums in USD; margin figures count what is collateral, and no more."""
    rows = list(coins)
    worth = [
        (row, Decimal(row["usdValue"]) / Decimal(row["equity"]) if Decimal(row["equity"]) else _ZERO) for row in rows
    ]
    collateral = [one for one in worth if one[0]["marginCollateral"]]

    def total(name: str, counted: list[tuple[Row, Decimal]]) -> Decimal:
        return sum((Decimal(row[name]) * price for row, price in counted), _ZERO)

    equity, maintenance = total("equity", collateral), total("totalPositionMM", collateral)
    initial = total("totalPositionIM", collateral) + total("totalOrderIM", collateral)
    free = equity - initial - total("locked", collateral)
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": plain(round(initial / equity, 4)) if equity else "0",
        "accountMMRate": plain(round(maintenance / equity, 4)) if equity else "0",
        "accountIMRateByMp": plain(round(initial / equity, 4)) if equity else "0",
        "accountMMRateByMp": plain(round(maintenance / equity, 4)) if equity else "0",
        "totalEquity": plain(round(total("equity", worth), 8)),
        "totalWalletBalance": _whole(total("walletBalance", worth)),
        "totalMarginBalance": plain(round(equity, 8)),
        "totalAvailableBalance": plain(round(free, 8)),
        "totalPerpUPL": plain(round(total("unrealisedPnl", worth), 8)),
        "totalInitialMargin": plain(round(initial, 8)),
        "totalMaintenanceMargin": plain(round(maintenance, 8)),
        "totalInitialMarginByMp": plain(round(initial, 8)),
        "totalMaintenanceMarginByMp": plain(round(maintenance, 8)),
        "coin": rows,
    }
