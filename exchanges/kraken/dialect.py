"""Kraken's way with orders, through ccxt: names of its own length, fees in the quote.

Source: https://docs.kraken.com/exchange/api-reference/trading/add-order (and its neighbours).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.clock import Clock
from bot.domain.order import Order, OrderType, TimeInForce
from bot.errors import VenueUnavailable
from exchanges.ccxt.dialect import Row
from exchanges.kraken.endpoints import VENUE
from exchanges.kraken.order_ids import own_id, wire_id
from exchanges.kraken.together import Together

_LIFETIMES = {TimeInForce.IOC: "IOC", TimeInForce.GTC: "GTC", TimeInForce.POST_ONLY: "GTC"}
_ORDERS_AT_ONCE = 50
"""Orders that may be asked for by one request."""
_TRADES_AT_ONCE = 19
"""Trades that are asked for by one call: ccxt splits them by twenty, and of a number that twenty divides it asks for
none of them at last, which Kraken refuses."""
_PAGE = 50
_EACH_TRADE = {"consolidate_taker": "false"}
"""Kraken would else tell all that an order took at once as one trade, at a rounded mean, and under an id by which
`QueryTrades`, which cannot be asked so, need not know the same."""
_WITH_TRADES = {"trades": "true"}
"""As Kraken spells what is true; ccxt says `True`."""
_MOST_PAGES = 20
_REMEMBERED = 2_000


class KrakenDialect:
    """A `exchanges.ccxt.dialect.Dialect`."""

    venue = VENUE

    def __init__(self, clock: Clock) -> None:
        """`clock`: by which questions of one moment are gathered."""
        self._asked_orders = Together[Row](clock, _ORDERS_AT_ONCE)
        self._asked_trades = Together[Row](clock, _TRADES_AT_ONCE)
        self._trades: dict[str, Row] = {}
        """Of orders of ours, by Kraken's id."""
        self._unread: dict[str, str] = {}
        """Names of ours that cannot be read out of what Kraken is told, by that."""

    def _wire_id(self, order: Order) -> str:
        name = wire_id(order.client_order_id)
        if own_id(name) != order.client_order_id:
            self._unread[name] = order.client_order_id
        while len(self._unread) > _REMEMBERED:
            del self._unread[next(iter(self._unread))]
        return name

    def terms(self, order: Order) -> dict[str, Any]:
        """Fees in the quote, whichever side."""
        terms: dict[str, Any] = {"clientOrderId": self._wire_id(order), "oflags": "fciq"}
        if order.type is OrderType.LIMIT:
            terms["timeInForce"] = _LIFETIMES[order.time_in_force]
            if order.time_in_force is TimeInForce.POST_ONLY:
                terms["postOnly"] = True
        return terms

    def own_id(self, row: Row) -> str:
        """Our id out of `cl_ord_id`; empty where there is none."""
        name = str(row.get("clientOrderId") or "")
        return self._unread.get(name) or own_id(name)

    async def find(self, client: Any, order: Order, venue_order_id: str | None) -> Row | None:
        """By Kraken's id where that is known; else among the open orders, and then among the closed ones.

        An order that must trade at once is looked for among the closed ones alone: the counter is small, and nobody is
        given up before the open ones have been looked at too.
        """
        if venue_order_id is not None:

            async def orders(ids: Collection[str]) -> Mapping[str, Row]:
                rows = await client.fetch_orders_by_ids(list(ids), None, _WITH_TRADES | _EACH_TRADE)
                return {str(row["id"]): row for row in rows}

            return (await self._asked_orders.ask([venue_order_id], orders)).get(venue_order_id)
        name = self._wire_id(order)
        lists = [client.fetch_open_orders] if order.time_in_force.rests else []
        for ask in (*lists, client.fetch_closed_orders):
            rows = await ask(order.instrument.symbol, None, None, {"clientOrderId": name})
            for row in rows:
                if row.get("clientOrderId") == name:
                    # The lists do not name an order's trades.
                    found: Row | None = await self.find(client, order, row["id"])
                    return found
        return None

    async def cancel(self, client: Any, order: Order, venue_order_id: str | None) -> None:
        """By Kraken's id where that is known."""
        if venue_order_id is not None:
            await client.cancel_order(venue_order_id, order.instrument.symbol)
        else:
            named = {"clientOrderId": self._wire_id(order)}
            await client.cancel_order("", order.instrument.symbol, named)

    async def trades_of(self, client: Any, order: Row) -> Sequence[Row]:
        """By the ids that the order's own row names; each is asked for until it was told, for it stays what it is."""
        named = [str(one) for one in (order.get("info") or {}).get("trades") or ()]
        missing = [one for one in named if one not in self._trades]

        async def told(ids: Collection[str]) -> Mapping[str, Row]:
            rows = await client.fetch_order_trades(order["id"], None, None, None, {"trades": list(ids)})
            return {str(row["id"]): row for row in rows}

        for at in range(0, len(missing), _TRADES_AT_ONCE):
            self._trades |= await self._asked_trades.ask(missing[at : at + _TRADES_AT_ONCE], told)
        trades = [self._trades[one] for one in named if one in self._trades]
        while len(self._trades) > _REMEMBERED:
            del self._trades[next(iter(self._trades))]
        return trades

    async def trades_since(self, client: Any, symbols: Collection[str], since_ms: int) -> Sequence[Row]:
        """All pairs at once, page by page, newest first as Kraken gives them."""
        found: dict[str, Row] = {}
        for page in range(_MOST_PAGES):
            # A second earlier: Kraken's `start` is in whole seconds, and excludes the moment itself.
            rows = await client.fetch_my_trades(None, since_ms - 1_000, None, {"ofs": page * _PAGE} | _EACH_TRADE)
            found |= {str(row["id"]): row for row in rows if row.get("symbol") in symbols}
            if len(rows) < _PAGE:
                return [row for row in found.values() if row["timestamp"] >= since_ms]
        raise VenueUnavailable(VENUE, "tells no end of its trades")  # what is cut short would look like all of it

    async def names(self, client: Any, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        """Asked for by Kraken's ids, as many at a time as it takes."""
        ids = list(venue_order_ids)
        names: dict[str, str] = {}
        for at in range(0, len(ids), _ORDERS_AT_ONCE):
            rows = await client.fetch_orders_by_ids(ids[at : at + _ORDERS_AT_ONCE])
            names |= {str(row["id"]): self.own_id(row) for row in rows}
        return names
