"""Order requests of one account: read, checked for form, given to the account.

Source: https://docs.kraken.com/exchange/api-reference/trading/add-order (and its neighbours).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from bot.domain.order import Side
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.values import AccountFill, Kind, Lifetime, NewOrder, OrderView, Refusal
from exchanges.simulator.kraken.errors import ApiError, refused
from exchanges.simulator.kraken.ids import number_in, order_id
from exchanges.simulator.kraken.limits import OrderCounters
from exchanges.simulator.kraken.order_rows import Row, order_row, sentence, told, trade_row
from exchanges.simulator.kraken.pairs import Pair, Pairs

Values = Mapping[str, str]
_S = 1_000_000_000
_SOONEST_NS, _LATEST_NS = 2 * _S, 60 * _S
"""Of a deadline, from when it is looked at."""
_NAME = re.compile(r"[ -~]{1,18}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_AT_ONCE, _MOST_ORDERS_AT_ONCE = 20, 50
_KINDS = {"limit": Kind.LIMIT, "market": Kind.MARKET}
_LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "": Lifetime.GTC}


class KrakenDesk:
    """Takes one account's orders."""

    def __init__(self, account: Account, pairs: Pairs, key: str, counters: OrderCounters) -> None:
        self._account = account
        self._pairs = pairs
        self._key = key
        self._counters = counters

    def add(self, values: Values, now_ns: int) -> Row:
        """Place an order.

        Raises:
            ApiError: It was refused.
        """
        pair = self._pair(values)
        self._counters.count_new(self._key, pair.index, now_ns)
        if "deadline" in values:
            _check_deadline(_time_ns(values["deadline"]) - now_ns)
        order = _new_order(pair, values)
        placed = self._account.place(order, now_ns)
        if isinstance(placed, Refusal):
            raise refused(placed)
        return {"txid": [order_id(placed.number)], "descr": {"order": sentence(pair, placed)}}

    def cancel(self, values: Values, now_ns: int) -> Row:
        """Cancel an order, by either id.

        Raises:
            ApiError: There is no such open order.
        """
        for pair, view in self._all():
            if not view.state.is_final and _is_named(view, values):
                self._counters.count_cancel(self._key, pair.index, now_ns - view.created_ns, now_ns)
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
        """Orders by id; one that is not there is left out.

        Raises:
            ApiError: None is named, or more than fifty are.
        """
        names = list(filter(None, values.get("txid", "").split(",")))
        if not 0 < len(names) <= _MOST_ORDERS_AT_ONCE:
            raise ApiError("EGeneral:Invalid arguments:txid")
        wanted = [number_in(one) for one in names]
        rows = {order_id(view.number): (pair, view) for pair, view in self._all() if view.number in wanted}
        fills = self._fills(values) if values.get("trades") == "true" else None
        return {name: order_row(pair, view, fills) for name, (pair, view) in rows.items()}

    def trades(self, values: Values) -> tuple[dict[str, Row], int]:
        """The newest fifty from `ofs` on, and how many there are."""
        since_ns = _number(values.get("start") or "0") * _S
        found = [fill for fill in reversed(self._fills(values)) if fill.ts_ns > since_ns]
        at = int(values.get("ofs") or 0)
        return self._trades(found[at : at + 50]), len(found)

    def query_trades(self, values: Values) -> dict[str, Row]:
        """Trades by id.

        Raises:
            ApiError: None is named, or more than twenty are.
        """
        wanted = set(filter(None, values.get("txid", "").split(",")))
        if not 0 < len(wanted) <= _MOST_AT_ONCE:
            raise ApiError("EGeneral:Invalid arguments:txid")
        rows = self._trades(self._account.fills(None))
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
            order_id(view.number): order_row(pair, view)
            for pair, view in self._all()
            if view.state.is_final is is_final and name in (None, view.request.client_id)
        }

    def _fills(self, values: Values) -> Sequence[AccountFill]:
        return told(self._account.fills(None), are_consolidated=values.get("consolidate_taker") != "false")

    def _trades(self, fills: Sequence[AccountFill]) -> dict[str, Row]:
        pairs = [(self._pairs.at(fill.listing), fill) for fill in fills]
        return dict(trade_row(pair, fill) for pair, fill in pairs if pair is not None)


def _new_order(pair: Pair, values: Values) -> NewOrder:
    kind, lifetime = _KINDS.get(values.get("ordertype", "")), _LIFETIMES.get(values.get("timeinforce", ""))
    flags, name = values.get("oflags", "").split(","), values.get("cl_ord_id", "")
    if kind is None or lifetime is None or values.get("type") not in ("buy", "sell"):
        raise ApiError("EGeneral:Invalid arguments:ordertype")
    if "fciq" not in flags:
        raise ApiError("EGeneral:Invalid arguments:oflags")  # a fee in the base is not simulated
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


def _check_deadline(left_ns: int) -> None:
    if left_ns <= 0:
        raise ApiError("EService:Deadline elapsed")
    if not _SOONEST_NS <= left_ns <= _LATEST_NS:
        raise ApiError("EGeneral:Invalid arguments:deadline")


def _time_ns(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000) * 1_000_000
    except ValueError:
        raise ApiError("EGeneral:Invalid arguments:deadline") from None


def _is_named(view: OrderView, values: Values) -> bool:
    if "cl_ord_id" in values:
        return view.request.client_id == values["cl_ord_id"]
    return view.number == number_in(values.get("txid", ""))
