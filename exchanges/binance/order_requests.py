"""Orders as Binance's REST interface takes them: one endpoint each for spot and USDⓈ-M, with the same parameters."""

from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal

from pydantic import TypeAdapter

from bot.clock import Clock
from bot.domain.fees import fee_asset
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import MalformedPayload, OrderOutcomeUnknown, OrderRejected, VenueError
from exchanges.binance.private_schemas import TRADES, Execution, OrderRow, TradeRow
from exchanges.binance.signed_rest import SignedRest, Values
from exchanges.common.account.asked_account import LONGEST_NS
from exchanges.common.account.order_desk import OrderReport
from exchanges.common.requests.keyed_rest import lane_of
from exchanges.common.requests.outcome import cancelling
from exchanges.common.requests.refusals import Refusal
from exchanges.common.requests.request_pool import Lane

_ORDER_ROW = TypeAdapter(OrderRow)
ORDER_PATHS = {Segment.SPOT: "/v3/order", Segment.LINEAR: "/v1/order"}
TRADE_PATHS = {Segment.SPOT: "/v3/myTrades", Segment.LINEAR: "/v1/userTrades"}
_SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
_TYPES = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET"}
_LIFETIMES = {TimeInForce.IOC: "IOC", TimeInForce.GTC: "GTC", TimeInForce.POST_ONLY: "GTX"}
_FILLED = frozenset({"TRADE", "CALCULATED"})
"""Kinds of execution that trade: one of ours, and a forced one."""
_OWN_ORDERS = {"autoclose-": "liquidation", "adl_autoclose": "adl", "settlement_autoclose-": "delisting"}
"""What Binance calls the orders by which it trades positions away; the last closes what is delivered or taken off."""
_MOST_TRADES = "1000"
"""Unless it is asked for more, Binance tells five hundred of an order's."""
_MS, _DAY_NS = 1_000_000, 86_400_000_000_000
_LATELY_NS, _SPAN_NS = 6 * _DAY_NS, 7 * _DAY_NS
"""Where no times are named USDⓈ-M tells the trades of the last seven days alone, an order's as well."""


class BinanceOrders:
    """An `OrderGateway` over one signed REST client per feed."""

    def __init__(self, rests: Mapping[Feed, SignedRest], symbols: Mapping[str, str], clock: Clock) -> None:
        """Send orders; `symbols` is Binance's symbol by instrument id."""
        self._rests = rests
        self._symbols = symbols
        self._clock = clock

    async def place(self, order: Order) -> None:
        """Send it, once.

        Raises:
            OrderRejected: Binance refused it, or nobody trades the instrument here.
            OrderOutcomeUnknown: It may have arrived.
            VenueError: It did not arrive.
        """
        rest = self._rests.get(order.instrument.feed)
        symbol = self._symbols.get(order.instrument.id)
        if rest is None or symbol is None:
            raise OrderRejected(order.client_order_id, f"{order.instrument.id} is not traded here")
        try:
            path = ORDER_PATHS[order.instrument.segment]
            await rest.place(path, order.client_order_id, new_order(symbol, order), lane_of(order))
        except Refusal as refusal:
            await self._settle_doubt(order, refusal)

    async def settle(self, order: Order, sending: Awaitable[object]) -> None:
        """What `sending` it over a socket came to.

        Raises:
            OrderRejected: Binance refused it.
            OrderOutcomeUnknown: It may have arrived.
            VenueError: It did not arrive.
        """
        try:
            await self._rest(order).sent_once(order.client_order_id, sending)
        except Refusal as refusal:
            await self._settle_doubt(order, refusal)

    async def _settle_doubt(self, order: Order, refusal: Refusal) -> None:
        """The code says "there already" or, on spot, "not enough" as well: whether it exists tells which."""
        try:
            exists = await self.find(order) is not None
        except VenueError as error:
            raise OrderOutcomeUnknown(order.client_order_id, f"{refusal}; and then {error}") from error
        if not exists and refusal.exists:
            raise OrderOutcomeUnknown(order.client_order_id, f"{refusal}, and is not found") from refusal
        if not exists:
            raise OrderRejected(order.client_order_id, str(refusal)) from refusal

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; an order that is final or unknown is left as it is.

        Raises:
            VenueError: It cannot be asked.
        """
        with cancelling():
            await self._rest(order).cancel(ORDER_PATHS[order.instrument.segment], self._named(order))

    async def find(self, order: Order) -> OrderReport | None:
        """What Binance knows of it; None where it knows no such order.

        Raises:
            VenueError: It cannot be asked.
        """
        try:
            path = ORDER_PATHS[order.instrument.segment]
            row = await self._rest(order).read(path, _ORDER_ROW, self._named(order), Lane.REDUCE)
        except Refusal as refusal:
            if refusal.is_no_such_order:
                return None
            raise
        reason = reason_of(row.status, row.words)
        return OrderReport(order.client_order_id, row.status, row.filled, row.order_id, reason)

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Its fills so far.

        Raises:
            VenueError: It cannot be asked.
        """
        symbol = self._symbols[order.instrument.id]
        values = {"symbol": symbol, "orderId": report.venue_order_id or "", "limit": _MOST_TRADES}
        rows = {row.trade_id: row for row in await self._trades(order, values)}
        sent_ns, now_ns = order.ts_sent_ns or order.ts_decision_ns, self._clock.now_ns()
        if order.instrument.is_perpetual and now_ns - sent_ns > _LATELY_NS:
            for start_ns in range(max(sent_ns - _DAY_NS // 24, now_ns - LONGEST_NS), now_ns, _SPAN_NS):
                if sum(row.quantity for row in rows.values()) >= report.filled_quantity:
                    break
                span = {"startTime": str(start_ns // _MS), "endTime": str((start_ns + _SPAN_NS) // _MS)}
                rows |= {row.trade_id: row for row in await self._trades(order, values | span)}
        return [fill_of_trade(order, row) for row in rows.values() if row.is_trade]

    async def _trades(self, order: Order, values: Values) -> list[TradeRow]:
        return await self._rest(order).read(TRADE_PATHS[order.instrument.segment], TRADES, values, Lane.REDUCE)

    def _rest(self, order: Order) -> SignedRest:
        return self._rests[order.instrument.feed]

    def _named(self, order: Order) -> Values:
        return {"symbol": self._symbols[order.instrument.id], "origClientOrderId": order.client_order_id}


def new_order(symbol: str, order: Order) -> Values:
    """The parameters of a new order; the shortest answer is asked for, since the stream tells the rest."""
    values = {
        "symbol": symbol,
        "side": _SIDES[order.side],
        "type": _TYPES[order.type],
        "quantity": f"{order.quantity:f}",
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "ACK",
    }
    if order.type is OrderType.LIMIT:
        assert order.price is not None, "a limit order has a price"
        values["price"] = f"{order.price:f}"
        if order.time_in_force is TimeInForce.POST_ONLY and not order.instrument.is_perpetual:
            values["type"] = "LIMIT_MAKER"  # spot knows no GTX, and refuses a LIMIT_MAKER that names a lifetime
        else:
            values["timeInForce"] = _LIFETIMES[order.time_in_force]
    if order.reduce_only and order.instrument.is_perpetual:
        values["reduceOnly"] = "true"
    return values


def fill_of_trade(order: Order, row: TradeRow) -> Fill:
    """A row of the trade history as a fill of `order`."""
    return Fill(
        fill_id=row.trade_id,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        side=order.side,
        price=row.price,
        quantity=row.quantity,
        fee=row.fee,
        fee_asset=row.fee_asset,
        is_maker=row.maker or row.is_maker,
        ts_event_ns=row.ts_ns,
    )


def fill_of_event(instrument: Instrument, event: Execution) -> Fill | None:
    """The fill that an order event tells of; None where it tells of none."""
    if event.kind not in _FILLED or event.quantity <= Decimal(0):
        return None
    return Fill(
        fill_id=event.trade_id,
        client_order_id=event.client_order_id,
        instrument=instrument,
        side=event.side,
        price=event.price,
        quantity=event.quantity,
        fee=event.fee,
        forced=forced(event.client_order_id),
        # Without a commission Binance names no asset.
        fee_asset=event.fee_asset or fee_asset(instrument, event.side),
        is_maker=event.is_maker,
        ts_event_ns=event.ts_ns,
    )


def report_of_event(event: Execution) -> OrderReport:
    """The state that an order event tells of.

    Raises:
        MalformedPayload: If it is none that is known.
    """
    if event.status is None:
        raise MalformedPayload("an order event with an unknown status")
    words = event.words if event.spot_reason == "NONE" else f"{event.words}: {event.spot_reason}"
    reason = reason_of(event.status, words)
    return OrderReport(event.client_order_id, event.status, event.filled, event.order_id, reason)


def reason_of(status: OrderStatus, words: str) -> str | None:
    """Why an order ended, in Binance's word for it; None while it is open, or filled."""
    return words if status.is_terminal and status is not OrderStatus.FILLED else None


def forced(client_order_id: str) -> str:
    """What the venue's own orders do, empty for any other; some are told apart by a number behind the name."""
    return next((why for name, why in _OWN_ORDERS.items() if client_order_id.startswith(name)), "")
