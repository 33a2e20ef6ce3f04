"""Orders and trades of an account as Kraken's rows.

Source: https://docs.kraken.com/exchange/api-reference/account-data/query-orders-info (and its neighbours).
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from exchanges.simulator.core.values import AccountFill, Kind, Lifetime, OrderState, OrderView
from exchanges.simulator.kraken.ids import order_id, trade_id
from exchanges.simulator.kraken.pairs import Pair

Row = dict[str, Any]
_S = 1_000_000_000
_STATES = {OrderState.NEW: "open", OrderState.PARTIALLY_FILLED: "open", OrderState.FILLED: "closed"}


def told(fills: Sequence[AccountFill], *, are_consolidated: bool) -> Sequence[AccountFill]:
    """An account's trades as they are asked for; `consolidate_taker`, which holds unless it is denied, makes one of all
    that an order took at once: at their mean, called like the first of them, and Kraken rounds it to a price's digits.
    """
    if not are_consolidated:
        return fills
    taken: dict[tuple[int, int, int], AccountFill] = {}
    for fill in fills:
        key = (fill.order_number, fill.ts_ns, fill.trade_id if fill.is_maker else -1)
        if (first := taken.get(key)) is None:
            taken[key] = fill
            continue
        quantity = first.quantity + fill.quantity
        mean = (first.price * first.quantity + fill.price * fill.quantity) / quantity
        taken[key] = replace(first, price=mean, quantity=quantity, fee=first.fee + fill.fee)
    return list(taken.values())


def order_row(pair: Pair, view: OrderView, trades: Sequence[AccountFill] | None = None) -> Row:
    """An order; with `trades`, which name those of them that are its own."""
    request = view.request
    average = view.filled_notional / view.filled if view.filled else Decimal(0)
    row: Row = {
        "refid": None,
        "userref": None,
        "status": _STATES.get(view.state, "canceled"),
        "opentm": view.created_ns / _S,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": pair.altname,
            "type": str(request.side),
            "ordertype": "market" if request.kind is Kind.MARKET else "limit",
            "price": "0" if request.price is None else pair.grid.decimal_price(request.price),
            "price2": "0",
            "leverage": "none",
            "order": sentence(pair, view),
            "close": "",
        },
        "vol": pair.grid.decimal_quantity(view.quantity),
        "vol_exec": pair.grid.decimal_quantity(view.filled),
        "cost": f"{view.filled_notional:.5f}",
        "fee": f"{sum((fee for _, fee in view.fees), Decimal(0)):.5f}",
        "price": f"{average:.5f}",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "post,fciq" if request.lifetime is Lifetime.POST_ONLY else "fciq",
    }
    if request.client_id:
        row["cl_ord_id"] = request.client_id
    if view.state.is_final:
        row |= {"closetm": view.updated_ns / _S, "reason": _reason(view)}
    if trades is not None:
        row["trades"] = [trade_id(one.listing, one.trade_id) for one in trades if one.order_number == view.number]
    return row


def trade_row(pair: Pair, fill: AccountFill) -> tuple[str, Row]:
    """A trade, under its id."""
    return trade_id(fill.listing, fill.trade_id), {
        "ordertxid": order_id(fill.order_number),
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": pair.id,
        "time": fill.ts_ns / _S,
        "type": str(fill.side),
        "ordertype": "limit",
        "price": pair.grid.decimal_price(fill.price),
        "cost": f"{fill.price * fill.quantity:f}",
        "fee": f"{fill.fee:f}",
        "vol": pair.grid.decimal_quantity(fill.quantity),
        "margin": "0.00000",
        "misc": "",
        "trade_id": fill.trade_id,
        "maker": fill.is_maker,
    }


def sentence(pair: Pair, view: OrderView) -> str:
    """An order in Kraken's words: `buy 0.5 XBTUSDT @ limit 50000.0`."""
    request = view.request
    where = "market" if request.price is None else f"limit {pair.grid.decimal_price(request.price)}"
    return f"{request.side} {pair.grid.decimal_quantity(view.quantity)} {pair.altname} @ {where}"


def _reason(view: OrderView) -> str | None:
    if view.state is OrderState.FILLED:
        return None
    if view.request.lifetime is Lifetime.POST_ONLY and view.state is OrderState.EXPIRED:
        return "Post only order"
    return "User requested" if view.state is OrderState.CANCELLED else "Out of liquidity"
