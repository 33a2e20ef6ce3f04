"""`/v5/order`, `/v5/execution` and `/v5/position`.

Source: https://bybit-exchange.github.io/docs/v5/order/create-order (and its neighbours).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from exchanges.simulator.bybit.catalogue import Entry
from exchanges.simulator.bybit.errors import ApiError, refused
from exchanges.simulator.bybit.ids import order_id
from exchanges.simulator.bybit.order_rows import funding_row
from exchanges.simulator.bybit.orders import MOST_IN_BATCH
from exchanges.simulator.bybit.params import Params, page
from exchanges.simulator.bybit.protection import PRODUCTS
from exchanges.simulator.bybit.requests import Call, Endpoint, span
from exchanges.simulator.bybit.rest_market import entries_of
from exchanges.simulator.bybit.wire import Row
from exchanges.simulator.core.values import AccountChanged, Cause, OrderView, Refusal

_RECENT = 500
_MS = 1_000_000


def create(call: Call) -> dict[str, str]:
    """Take an order; its result comes on the private topics."""
    return call.own.desk.create(call.params, call.now_ns)


def amend(call: Call) -> dict[str, str]:
    """Change an open order."""
    return call.own.desk.amend(call.params, call.now_ns)


def cancel(call: Call) -> dict[str, str]:
    """Cancel an open order."""
    return call.own.desk.cancel(call.params, call.now_ns)


def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel open orders."""
    return {"list": call.own.desk.cancel_all(call.params, call.now_ns), "success": "1"}


def create_batch(call: Call) -> dict[str, Any]:
    """Several orders; each has a code of its own in `retExtInfo`."""
    return _batch(call, lambda params: call.own.desk.create(params, call.now_ns), {"createAt": str(call.now_ms)})


def amend_batch(call: Call) -> dict[str, Any]:
    """Several changes."""
    return _batch(call, lambda params: call.own.desk.amend(params, call.now_ns), {})


def cancel_batch(call: Call) -> dict[str, Any]:
    """Several cancels."""
    return _batch(call, lambda params: call.own.desk.cancel(params, call.now_ns), {})


def batch_size(params: Params) -> int:
    """How many requests a batch counts for.

    Raises:
        ApiError: It is no batch, or too long.
    """
    category = params.choice("category", MOST_IN_BATCH)
    return len(params.rows("request", MOST_IN_BATCH[category]))


def _batch(call: Call, one: Callable[[Params], dict[str, str]], extra: dict[str, str]) -> dict[str, Any]:
    category = call.params.choice("category", MOST_IN_BATCH)
    results, codes = [], []
    for row in call.params.rows("request", MOST_IN_BATCH[category]):
        own = row.within(category)
        ids, code = {"orderId": "", "orderLinkId": ""}, {"code": 0, "msg": "OK"}
        try:
            ids = one(own)
        except ApiError as error:
            code = {"code": error.code, "msg": error.message}
        named = {"category": category, "symbol": own.shown("symbol")}
        results.append({**named, **ids, **(extra if code["code"] == 0 else dict.fromkeys(extra, ""))})
        codes.append(code)
    call.ext["list"] = codes
    return {"list": results}


def _entries(call: Call, *, names_needed: bool) -> list[Entry]:
    category, symbol = call.params.text("category"), call.params.text("symbol", "")
    if symbol:
        return [call.venue.catalogue.find(category, symbol)]
    settle, base = call.params.text("settleCoin", ""), call.params.text("baseCoin", "")
    if category == "linear" and names_needed and not (settle or base):
        raise ApiError(10001, "params error: symbol, settleCoin or baseCoin is required")
    return [
        entry
        for entry in entries_of(call, category)
        if (not settle or entry.instrument.settle == settle) and (not base or entry.instrument.base == base)
    ]


def realtime(call: Call) -> dict[str, Any]:
    """Open orders; one order that is named also if it is closed; with `openOnly=1` the newest closed ones."""
    if _is_named(call.params):
        return _named(call)
    is_closed = call.params.integer("openOnly", 0, most=2) == 1
    entries = _entries(call, names_needed=True)
    return _listed(call, _orders(call, entries, is_closed=is_closed)[:_RECENT])


def history(call: Call) -> dict[str, Any]:
    """Closed orders, newest first; one that is open is not told, named or not."""
    if _is_named(call.params):
        return _named(call, lambda view: view.state.is_final)
    entries = _entries(call, names_needed=False)
    start, end = call.params.integer("startTime", 0), call.params.integer("endTime", 2**53)
    pairs = _orders(call, entries, is_closed=True)
    return _listed(call, [one for one in pairs if start <= one[1].created_ns // _MS <= end])


def _is_named(params: Params) -> bool:
    return bool(params.text("orderId", "") or params.text("orderLinkId", ""))


def _orders(call: Call, entries: list[Entry], *, is_closed: bool) -> list[tuple[Entry, OrderView]]:
    account = call.own.account
    found = [
        (entry, view)
        for entry in entries
        for view in (account.orders(entry.index) if is_closed else account.open_orders(entry.index))
        if view.state.is_final is is_closed and not call.own.is_replaced(view)
    ]
    return sorted(found, key=lambda one: -one[1].number)


def _listed(call: Call, pairs: list[tuple[Entry, OrderView]]) -> dict[str, Any]:
    shown, cursor = page(pairs, call.params, default=20, most=50)
    rows = [call.own.order_row(entry, view) for entry, view in shown]
    return {"list": rows, "nextPageCursor": cursor, "category": call.params.text("category")}


def _named(call: Call, told: Callable[[OrderView], bool] = lambda view: True) -> dict[str, Any]:
    category, symbol = call.params.text("category"), call.params.text("symbol", "")
    catalogue = call.venue.catalogue
    entries = [catalogue.find(category, symbol)] if symbol else catalogue.of(category)
    rows = [call.own.order_row(entry, view) for entry in entries for view in _view(call, entry) if told(view)]
    return {"list": rows, "nextPageCursor": "", "category": category}


def _view(call: Call, entry: Entry) -> list[OrderView]:
    try:
        return [call.own.desk.raw(entry, call.params)]
    except ApiError as error:
        if error.code != refused(Refusal.UNKNOWN_ORDER, entry.segment).code:
            raise
        return []


def executions(call: Call) -> dict[str, Any]:
    """Fills and funding settlements, newest first."""
    entries = _entries(call, names_needed=False)
    order, link = call.params.text("orderId", ""), call.params.text("orderLinkId", "")
    if link and not order:
        named = [(entry, view) for entry in entries for view in _view(call, entry)]
        order = next((order_id(one.segment, call.own.shown(view).number) for one, view in named), "none")
    start, end = (0, 2**53) if order else span(call)
    kind = call.params.text("execType", "")
    # Rows are dear and there may be thousands of fills: only those of the page are made.
    found: list[tuple[int, Callable[[], Row]]] = []
    if kind in ("", "Trade"):
        found += [
            (one[1].ts_ns, partial(call.own.execution_row, *one))
            for entry in entries
            for one in call.own.executions(entry)
            if not order or order_id(entry.segment, call.own.public_number(one[1])) == order
        ]
    if kind in ("", "Funding") and not order:
        found += _fundings(call, entries)
    found = [one for one in found if start <= one[0] // _MS <= end]
    found.sort(key=lambda one: -one[0])
    shown, cursor = page(found, call.params, default=50, most=100)
    rows = [make() for _, make in shown]
    return {"nextPageCursor": cursor, "category": call.params.text("category"), "list": rows}


def _fundings(call: Call, entries: list[Entry]) -> list[tuple[int, Callable[[], Row]]]:
    wanted = {entry.index: entry for entry in entries}
    return [
        (event.ts_ns, partial(funding_row, wanted[event.listing], event, call.venue.hub.live(event.listing).mirror.seq))
        for event in call.own.account.income()
        if isinstance(event, AccountChanged) and event.cause is Cause.FUNDING and event.listing in wanted
    ]


def positions(call: Call) -> dict[str, Any]:
    """The position of one contract, flat or not; or all that are not flat."""
    if call.params.text("category") == "spot":
        raise ApiError(10001, "params error: Category is invalid")
    entries = _entries(call, names_needed=True)
    known = {view.listing: view for view in call.own.account.positions()}
    if call.params.text("symbol", ""):
        views = [known.get(entry.index) or call.own.flat(entry) for entry in entries]
    else:
        views = [known[entry.index] for entry in entries if entry.index in known and known[entry.index].quantity]
    found = call.own.position_rows(views, on_topic=False)
    if call.venue.exchange.setup.is_hedge:
        found = [{**row, "positionIdx": side} for row in found for side in (1, 2)]
    rows, cursor = page(found, call.params, default=20, most=200)
    return {"list": rows, "nextPageCursor": cursor, "category": call.params.text("category")}


def set_leverage(call: Call) -> dict[str, Any]:
    """Set the leverage of a contract, the same for both sides."""
    entry = call.own.desk.entry(call.params)
    buy, sell = call.params.number("buyLeverage"), call.params.number("sellLeverage")
    if entry.is_spot or buy is None or buy != sell:
        raise ApiError(10001, "params error: buyLeverage must equal sellLeverage in one-way mode")
    if buy != int(buy) or buy < 1:
        raise ApiError(10001, "params error: leverage invalid")
    refusal = call.own.account.set_leverage(entry.index, int(buy))
    if refusal is Refusal.NOT_CHANGED:
        raise refused(refusal, entry.segment)
    if refusal is not None:
        raise ApiError(110013, "cannot set leverage due to risk limit level")
    return {}


def switch_mode(call: Call) -> dict[str, Any]:
    """One-way mode is what everybody has."""
    if call.params.text("category") != "linear":
        raise ApiError(10001, "params error: Category is invalid")
    if call.params.integer("mode", 0, most=3) == 0:
        raise ApiError(110025, "Position mode is not modified")
    raise ApiError(10001, "params error: hedge mode is not simulated")


def protect(call: Call) -> dict[str, Any]:
    """Cancel the orders of a product when its sockets stay away for so many seconds."""
    product = call.params.choice("product", PRODUCTS, "OPTIONS")
    seconds = call.params.integer("timeWindow", 0, least=3, most=300)
    call.venue.protection.set_window(call.own, PRODUCTS[product], seconds)
    call.message = "success"
    return {}


ENDPOINTS = (
    Endpoint("POST", "/v5/order/create", create, "order.{}"),
    Endpoint("POST", "/v5/order/amend", amend, "amend.{}"),
    Endpoint("POST", "/v5/order/cancel", cancel, "cancel.{}"),
    Endpoint("POST", "/v5/order/cancel-all", cancel_all, "cancel-all.{}"),
    Endpoint("POST", "/v5/order/create-batch", create_batch, "order.{}"),
    Endpoint("POST", "/v5/order/amend-batch", amend_batch, "amend.{}"),
    Endpoint("POST", "/v5/order/cancel-batch", cancel_batch, "cancel.{}"),
    Endpoint("GET", "/v5/order/realtime", realtime, "read"),
    Endpoint("GET", "/v5/order/history", history, "read"),
    Endpoint("POST", "/v5/order/disconnected-cancel-all", protect, "account"),
    Endpoint("GET", "/v5/execution/list", executions, "read"),
    Endpoint("GET", "/v5/position/list", positions, "read"),
    Endpoint("POST", "/v5/position/set-leverage", set_leverage, "position"),
    Endpoint("POST", "/v5/position/switch-mode", switch_mode, "position"),
)
