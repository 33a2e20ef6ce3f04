"""Order requests of one account: read, checked for form, given to the account; and orders and trades as rows.

Source: https://docs.kraken.com/exchange/api-reference/trading/add-order (and its neighbours).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.domain.order import Side
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.values import AccountFill, Kind, Lifetime, NewOrder, OrderState, OrderView, Refusal
from exchanges.simulator.kraken.errors import ApiError, refused
from exchanges.simulator.kraken.ids import number_in, order_id, trade_id
from exchanges.simulator.kraken.pairs import Pair, Pairs

Values = Mapping[str, str]
Row = dict[str, Any]
_S = 1_000_000_000
_NAME = re.compile(r"[ -~]{1,18}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS = {"limit": Kind.LIMIT, "market": Kind.MARKET}
_LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "": Lifetime.GTC}
_STATES = {OrderState.NEW: "open", OrderState.PARTIALLY_FILLED: "open", OrderState.FILLED: "closed"}


class KrakenDesk:
    """Takes one account's orders."""

    def __init__(self, account: Account, pairs: Pairs) -> None:
        self._account = account
        self._pairs = pairs

    def add(self, values: Values, now_ns: int) -> Row:
        """Place an order.

        Raises:
            ApiError: It was refused.
        """
        pair = self._pair(values)
        if "deadline" in values and _time_ns(values["deadline"]) <= now_ns:
            raise ApiError("EService:Deadline elapsed")
        order = _new_order(pair, values)
        placed = self._account.place(order, now_ns)
        if isinstance(placed, Refusal):
            raise refused(placed)
        return {"txid": [order_id(placed.number)], "descr": {"order": _sentence(pair, placed)}}

    def cancel(self, values: Values, now_ns: int) -> Row:
        """Cancel an order, by either id.

        Raises:
            ApiError: There is no such open order.
        """
        for pair, view in self._all():
            if not view.state.is_final and _is_named(view, values):
                done = self._account.cancel(listing=pair.index, number=view.number, client_id=None, ts_ns=now_ns)
                if isinstance(done, Refusal):
                    raise refused(done)
                return {"count": 1}
        raise refused(Refusal.UNKNOWN_ORDER)

    def open_orders(self, values: Values) -> dict[str, Row]:
        """Those that are not final."""
        return self._rows(values, is_final=False)

    def closed_orders(self, values: Values) -> dict[str, Row]:
        """Those that are."""
        return self._rows(values, is_final=True)

    def query(self, values: Values) -> dict[str, Row]:
        """Orders by id; one that is not there is left out."""
        wanted = [number_in(one) for one in values.get("txid", "").split(",")]
        rows = {order_id(view.number): (pair, view) for pair, view in self._all() if view.number in wanted}
        return {name: self._row(pair, view, trades="trades" in values) for name, (pair, view) in rows.items()}

    def trades(self, values: Values) -> tuple[dict[str, Row], int]:
        """The newest fifty from `ofs` on, and how many there are."""
        since_ns = _number(values.get("start") or "0") * _S
        found = [fill for fill in reversed(self._account.fills(None)) if fill.ts_ns > since_ns]
        at = int(values.get("ofs") or 0)
        return dict(self._trade(fill) for fill in found[at : at + 50]), len(found)

    def query_trades(self, values: Values) -> dict[str, Row]:
        """Trades by id."""
        wanted = set(values.get("txid", "").split(","))
        rows = dict(self._trade(fill) for fill in self._account.fills(None))
        return {name: row for name, row in rows.items() if name in wanted}

    def cancel_all(self, now_ns: int) -> int:
        """Cancel everything; how many there were."""
        return len(self._account.cancel_all(None, now_ns))

    def _pair(self, values: Values) -> Pair:
        pair = self._pairs.named(values.get("pair", ""))
        if pair is None:
            raise refused(Refusal.UNKNOWN_INSTRUMENT)
        return pair

    def _all(self) -> Sequence[tuple[Pair, OrderView]]:
        return [(pair, view) for pair in self._pairs.all for view in self._account.orders(pair.index)]

    def _rows(self, values: Values, *, is_final: bool) -> dict[str, Row]:
        name = values.get("cl_ord_id")
        return {
            order_id(view.number): self._row(pair, view, trades=False)
            for pair, view in self._all()
            if view.state.is_final is is_final and name in (None, view.request.client_id)
        }

    def _row(self, pair: Pair, view: OrderView, *, trades: bool) -> Row:
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
                "pair": pair.id,
                "type": str(request.side),
                "ordertype": "market" if request.kind is Kind.MARKET else "limit",
                "price": "0" if request.price is None else pair.grid.decimal_price(request.price),
                "price2": "0",
                "leverage": "none",
                "order": _sentence(pair, view),
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
        if trades:
            row["trades"] = [
                trade_id(fill.listing, fill.trade_id)
                for fill in self._account.fills(pair.index)
                if fill.order_number == view.number
            ]
        return row

    def _trade(self, fill: AccountFill) -> tuple[str, Row]:
        pair = self._pairs.at(fill.listing)
        assert pair is not None, "an account trades what its venue lists"
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


def _new_order(pair: Pair, values: Values) -> NewOrder:
    kind, lifetime = _KINDS.get(values.get("ordertype", "")), _LIFETIMES.get(values.get("timeinforce", ""))
    flags, name = values.get("oflags", "").split(","), values.get("cl_ord_id", "")
    if kind is None or lifetime is None or values.get("type") not in ("buy", "sell"):
        raise ApiError("EGeneral:Invalid arguments:ordertype")
    if name and not _NAME.fullmatch(name):
        raise ApiError("EGeneral:Invalid arguments:cl_ord_id")
    return NewOrder(
        listing=pair.index,
        side=Side(values["type"]),
        kind=kind,
        lifetime=Lifetime.IOC if kind is Kind.MARKET else Lifetime.POST_ONLY if "post" in flags else lifetime,
        quantity=_number(values.get("volume", "")),
        price=_number(values.get("price", "")) if kind is Kind.LIMIT else None,
        client_id=name,
    )


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ApiError("EGeneral:Invalid arguments:volume") from None
    if not number.is_finite() or number < 0:
        raise ApiError("EGeneral:Invalid arguments:volume")
    return number


def _time_ns(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000) * 1_000_000
    except ValueError:
        raise ApiError("EGeneral:Invalid arguments:deadline") from None


def _is_named(view: OrderView, values: Values) -> bool:
    if "cl_ord_id" in values:
        return view.request.client_id == values["cl_ord_id"]
    return view.number == number_in(values.get("txid", ""))


def _sentence(pair: Pair, view: OrderView) -> str:
    request = view.request
    where = "market" if request.price is None else f"limit {pair.grid.decimal_price(request.price)}"
    return f"{request.side} {pair.grid.decimal_quantity(view.quantity)} {pair.id} @ {where}"


def _reason(view: OrderView) -> str | None:
    if view.state is OrderState.FILLED:
        return None
    if view.request.lifetime is Lifetime.POST_ONLY and view.state is OrderState.EXPIRED:
        return "Post only order"
    return "User requested" if view.state is OrderState.CANCELLED else "Out of liquidity"
