"""What Binance tells of a whole account's orders and trades, asked over REST.

A row of the trade history names its order by Binance's own number: whose order it was is asked for, once an order.
"""

from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill, Side
from bot.ports.account import KnownFill, OrderFound
from exchanges.binance.order_requests import ORDER_PATHS, TRADE_PATHS, forced, reason_of
from exchanges.binance.private_schemas import TRADES, OrderRow, TradeRow
from exchanges.binance.signed_rest import SignedRest, Values
from exchanges.common.account.asked_account import LONGEST_NS
from exchanges.common.requests.refusals import Refusal

_MS = 1_000_000
_HOUR_NS = 3_600_000_000_000
_SPANS_NS = {Segment.SPOT: 24 * _HOUR_NS, Segment.LINEAR: 7 * 24 * _HOUR_NS}
"""A question by time may reach over no more than this."""
_MOST_ROWS = 1000
_BY_SYMBOL = {Segment.SPOT: 13, Segment.LINEAR: 39}
"""All open orders at once cost as much as those of so many symbols, asked one by one."""
_REMEMBERED = 10_000
_OPEN_PATHS = {Segment.SPOT: "/v3/openOrders", Segment.LINEAR: "/v1/openOrders"}
_BEHIND_NS = 600_000_000_000
"""What Binance knows of a trade it knows of its order as well, after so long; where it does not by then, it never will:
USDⓈ-M forgets orders that were placed more than ninety days ago, and a trade may be of one that rested for longer."""


class _Named(BaseModel):
    """An order's name, in whatever state it is: what Binance trades away itself has states of its own."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    client_order_id: str = Field(validation_alias="clientOrderId")


_NAMED = TypeAdapter(_Named)
_ORDERS = TypeAdapter(list[OrderRow])


class BinanceHistory:
    """An `AccountHistory` over one signed REST client per feed."""

    def __init__(
        self,
        rests: Mapping[Feed, SignedRest],
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        clock: Clock,
    ) -> None:
        """Ask about the instruments of `by_feed`."""
        self._rests = rests
        self._by_feed = by_feed
        self._clock = clock
        self._symbols = {one.id: symbol for listed in by_feed.values() for symbol, one in listed.items()}
        self._sent_ids: dict[tuple[str, str], str] = {}
        """By instrument id and Binance's number: the client order id."""

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every open order on the instruments of this run.

        Raises:
            VenueError: It cannot be asked.
        """
        found: list[OrderFound] = []
        for feed, rest in self._rests.items():
            listed = self._by_feed[feed]
            asked: list[Values] = [{}]
            if len(listed) <= _BY_SYMBOL[feed.segment]:
                asked = [{"symbol": symbol} for symbol in listed]
            for values in asked:
                rows = await rest.read(_OPEN_PATHS[feed.segment], _ORDERS, values)
                found += [_found(listed[row.symbol], row) for row in rows if row.symbol in listed]
        return found

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades since then, oldest first, but for those that are `known`.

        Raises:
            VenueError: It cannot be asked.
        """
        fills: list[Fill] = []
        for instrument in instruments:
            if instrument.id not in self._symbols:
                continue
            for row in await self._rows(instrument, since_ns):
                if row.is_trade and not known(instrument.id, row.trade_id):
                    fills.append(await self._fill(instrument, row))
        return sorted(fills, key=lambda fill: fill.ts_event_ns)

    async def _rows(self, instrument: Instrument, since_ns: int) -> list[TradeRow]:
        found: dict[str, TradeRow] = {}
        span_ns, now_ns = _SPANS_NS[instrument.segment], self._clock.now_ns()
        # Binance's clock may be a little ahead of ours, and what it dated later is still to be seen.
        for start_ns in range(max(since_ns, now_ns - LONGEST_NS), max(now_ns, since_ns + 1), span_ns):
            values = {"startTime": str(start_ns // _MS), "limit": str(_MOST_ROWS)}
            if start_ns + span_ns < now_ns:
                values["endTime"] = str((start_ns + span_ns) // _MS)
            page = await self._page(instrument, values)
            found.update((row.trade_id, row) for row in page)
            while len(page) >= _MOST_ROWS:
                after = str(max(int(row.trade_id) for row in page) + 1)
                page = await self._page(instrument, {"fromId": after, "limit": str(_MOST_ROWS)})
                found.update((row.trade_id, row) for row in page)
        return list(found.values())

    async def _page(self, instrument: Instrument, values: Values) -> list[TradeRow]:
        asked = {"symbol": self._symbols[instrument.id], **values}
        return await self._rests[instrument.feed].read(TRADE_PATHS[instrument.segment], TRADES, asked)

    async def _fill(self, instrument: Instrument, row: TradeRow) -> Fill:
        name = await self._client_order_id(instrument, row)
        return Fill(
            fill_id=row.trade_id,
            client_order_id=name,
            forced=forced(name),
            instrument=instrument,
            side=Side.BUY if row.is_buyer else Side.SELL,
            price=row.price,
            quantity=row.quantity,
            fee=row.fee,
            fee_asset=row.fee_asset,
            is_maker=row.maker or row.is_maker,
            ts_event_ns=row.ts_ns,
        )

    async def _client_order_id(self, instrument: Instrument, row: TradeRow) -> str:
        """Of the order that traded; empty where Binance has forgotten it: it is none of ours then."""
        key = (instrument.id, row.order_id)
        if key not in self._sent_ids:
            name = await self._asked_name(instrument, row)
            if len(self._sent_ids) >= _REMEMBERED:
                del self._sent_ids[next(iter(self._sent_ids))]
            self._sent_ids[key] = name
        return self._sent_ids[key]

    async def _asked_name(self, instrument: Instrument, row: TradeRow) -> str:
        values = {"symbol": self._symbols[instrument.id], "orderId": row.order_id}
        try:
            named = await self._rests[instrument.feed].read(ORDER_PATHS[instrument.segment], _NAMED, values)
        except Refusal as refusal:
            if not refusal.is_no_such_order or self._clock.now_ns() - row.ts_ns < _BEHIND_NS:
                raise
            return ""
        return named.client_order_id


def _found(instrument: Instrument, row: OrderRow) -> OrderFound:
    reason = reason_of(row.status, row.words)
    return OrderFound(row.client_order_id, instrument, row.status, row.filled, row.order_id, reason)
