"""Order requests, the same over HTTP and over the trade socket: read, checked for form, given to the account.

Source: https://bybit-exchange.github.io/docs/v5/order/create-order (and `amend-order`, `cancel-order` beside it).
"""

import re
from dataclasses import replace
from decimal import Decimal

from bot.domain.order import Side
from exchanges.simulator.bybit.catalogue import Catalogue, Entry
from exchanges.simulator.bybit.errors import ApiError, refused
from exchanges.simulator.bybit.ids import order_id, order_number
from exchanges.simulator.bybit.lineage import Lineages
from exchanges.simulator.bybit.params import Params
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, OrderView, Refusal

_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_KINDS = {"Limit": Kind.LIMIT, "Market": Kind.MARKET}
_LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "FOK": Lifetime.FOK, "PostOnly": Lifetime.POST_ONLY}
_LINK = re.compile(r"[A-Za-z0-9_\-]{1,36}")
MOST_IN_BATCH = {"linear": 20, "spot": 10}


class OrderDesk:
    """Takes one account's order requests."""

    def __init__(self, account: Account, catalogue: Catalogue) -> None:
        self._account = account
        self._catalogue = catalogue
        self.lineages = Lineages()

    def create(self, params: Params, ts_ns: int) -> dict[str, str]:
        """Place an order: its ids, as the acknowledgement names them.

        Raises:
            ApiError: It was refused before it came to the market.
        """
        entry = self.entry(params)
        placed = self._account.place(_new_order(entry, params), ts_ns)
        if isinstance(placed, Refusal):
            raise refused(placed, entry.segment)
        return _ids(entry, placed)

    def cancel(self, params: Params, ts_ns: int) -> dict[str, str]:
        """Cancel an order: its ids.

        Raises:
            ApiError: There is no such open order.
        """
        entry = self.entry(params)
        view = self.raw(entry, params)
        done = self._account.cancel(listing=entry.index, number=view.number, client_id=None, ts_ns=ts_ns)
        if isinstance(done, Refusal):
            raise refused(done, entry.segment)
        return _ids(entry, self.lineages.shown(view))

    def amend(self, params: Params, ts_ns: int) -> dict[str, str]:
        """Give an open order another quantity or price: its ids. What is refused leaves the order in the book.

        Raises:
            ApiError: There is no such open order, nothing is changed, or the new terms are refused.
        """
        entry = self.entry(params)
        quantity, price = params.number("qty"), params.number("price")
        view = self.raw(entry, params)
        if view.state.is_final:
            raise refused(Refusal.ALREADY_FINAL, entry.segment)
        shown = self.lineages.shown(view)
        wanted = quantity if quantity is not None else shown.quantity
        at = price if price is not None else view.request.price
        if (wanted, at) == (shown.quantity, view.request.price):
            raise ApiError(
                170210 if entry.is_spot else 10001,
                "The order remains unchanged as the parameters entered match the existing ones.",
            )
        rest = wanted - shown.filled
        if rest <= 0:
            raise ApiError(110017 if not entry.is_spot else 170124, "The quantity is not above what has been executed.")
        if at == view.request.price and wanted < shown.quantity:
            self._shrink(view, rest, entry, ts_ns)
        else:
            self._replace(view, replace(view.request, quantity=rest, price=at), entry, ts_ns)
        return _ids(entry, shown)

    def _shrink(self, view: OrderView, rest: Decimal, entry: Entry, ts_ns: int) -> None:
        """Less at the same price keeps the place in the queue; more, or another price, begins at its end."""
        quantity = view.filled + rest
        done = self._account.shrink(listing=entry.index, number=view.number, quantity=quantity, ts_ns=ts_ns)
        if isinstance(done, Refusal):
            raise refused(done, entry.segment)

    def _replace(self, view: OrderView, terms: NewOrder, entry: Entry, ts_ns: int) -> None:
        # Before the cancel, which tells its end: of an order that is replaced the customer hears nothing.
        lineage = self.lineages.succeed(view)
        cancelled = self._account.cancel(listing=entry.index, number=view.number, client_id=None, ts_ns=ts_ns)
        if isinstance(cancelled, Refusal):
            self.lineages.stay(view, lineage)
            raise refused(cancelled, entry.segment)
        placed = self._account.place(replace(terms, client_id=lineage.internal_id), ts_ns)
        if not isinstance(placed, Refusal):
            return
        rest = replace(view.request, quantity=view.quantity - view.filled, client_id=lineage.internal_id)
        self._account.place(rest, ts_ns)
        raise refused(placed, entry.segment)

    def cancel_all(self, params: Params, ts_ns: int) -> list[dict[str, str]]:
        """Cancel the open orders of a category, or of one symbol: their ids."""
        category = params.text("category")
        symbol = params.text("symbol", "")
        entries = [self._catalogue.find(category, symbol)] if symbol else self._catalogue.of(category)
        if category == "linear" and not (symbol or params.text("settleCoin", "") or params.text("baseCoin", "")):
            raise ApiError(10001, "params error: symbol, settleCoin or baseCoin is required")
        return [
            _ids(entry, self.lineages.shown(view))
            for entry in entries
            for view in self._account.cancel_all(entry.index, ts_ns)
        ]

    def entry(self, params: Params) -> Entry:
        """The listing that a request names.

        Raises:
            ApiError: None does.
        """
        return self._catalogue.find(params.text("category"), params.text("symbol"))

    def raw(self, entry: Entry, params: Params) -> OrderView:
        """An order that a request names, as the account shows it; of an amended one the newest.

        Raises:
            ApiError: There is none.
        """
        named = params.text("orderId", "")
        link = params.text("orderLinkId", "")
        if not named and not link:
            raise ApiError(10001, "params error: orderId or orderLinkId is required")
        number = order_number(entry.segment, named) if named else None
        if named and number is None:
            raise refused(Refusal.UNKNOWN_ORDER, entry.segment)
        found = self._account.order(listing=entry.index, number=number, client_id=link if number is None else None)
        if isinstance(found, Refusal) or found.request.client_id.startswith("~"):
            raise refused(Refusal.UNKNOWN_ORDER, entry.segment)
        successor = self.lineages.newest(found.number)
        if successor is not None:
            newest = self._account.order(listing=entry.index, number=None, client_id=successor)
            found = found if isinstance(newest, Refusal) else newest
        return found


def _ids(entry: Entry, view: OrderView) -> dict[str, str]:
    return {"orderId": order_id(entry.segment, view.number), "orderLinkId": view.request.client_id}


def _new_order(entry: Entry, params: Params) -> NewOrder:
    side = _SIDES[params.choice("side", _SIDES)]
    kind = _KINDS[params.choice("orderType", _KINDS)]
    default = "IOC" if kind is Kind.MARKET else "GTC"
    lifetime = _LIFETIMES[params.choice("timeInForce", _LIFETIMES, default)]
    quantity = _quantity(entry, params)
    price = _price(entry, params) if kind is Kind.LIMIT else None
    in_quote = entry.is_spot and kind is Kind.MARKET and _unit(params, side) == "quoteCoin"
    _refuse_unsimulated(params)
    return NewOrder(
        listing=entry.index,
        side=side,
        kind=kind,
        lifetime=Lifetime.IOC if kind is Kind.MARKET else lifetime,
        quantity=None if in_quote else quantity,
        price=price,
        client_id=_link(params),
        reduce_only=params.flag("reduceOnly") and not entry.is_spot,
        quote_quantity=quantity if in_quote else None,
    )


def _unit(params: Params, side: Side) -> str:
    # A spot market buy says what to spend, unless told otherwise.
    default = "quoteCoin" if side is Side.BUY else "baseCoin"
    return params.choice("marketUnit", ("baseCoin", "quoteCoin"), default)


def _quantity(entry: Entry, params: Params) -> Decimal:
    quantity = params.number("qty")
    if quantity is None or quantity <= 0:
        raise refused(Refusal.BAD_QUANTITY, entry.segment)
    return quantity


def _price(entry: Entry, params: Params) -> Decimal:
    price = params.number("price")
    if price is None or price <= 0:
        raise (
            refused(Refusal.PRICE_OFF_GRID, entry.segment)
            if price is not None
            else ApiError(10001, "params error: price is required")
        )
    return price


def _link(params: Params) -> str:
    link = params.text("orderLinkId", "")
    if link and not _LINK.fullmatch(link):
        raise ApiError(10001, "params error: orderLinkId is invalid")
    return link


def _refuse_unsimulated(params: Params) -> None:
    if params.integer("positionIdx", 0, most=2):
        raise ApiError(10001, "position idx not match position mode")
    if params.text("orderFilter", "Order") != "Order" or params.text("triggerPrice", ""):
        raise ApiError(10001, "params error: conditional orders are not simulated")
    if params.text("isLeverage", "0") not in ("0", "False", "false"):
        raise ApiError(170036, "Spot margin trading is not enabled for the user.")
