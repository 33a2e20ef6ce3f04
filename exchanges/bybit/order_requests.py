"""Orders as Bybit's v5 REST interface takes them: one endpoint for spot and linear."""

from collections.abc import Awaitable, Mapping, Sequence

from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderType, Side, TimeInForce
from bot.errors import OrderRejected
from exchanges.bybit.pages import executions_of
from exchanges.bybit.private_schemas import ExecutionRow, OrderRow, OrderRows
from exchanges.bybit.signed_rest import Body, SignedRest, Values
from exchanges.common.account.order_desk import OrderReport
from exchanges.common.requests.keyed_rest import lane_of
from exchanges.common.requests.outcome import cancelling
from exchanges.common.requests.request_pool import Lane

_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_TYPES = {OrderType.LIMIT: "Limit", OrderType.MARKET: "Market"}
_LIFETIMES = {TimeInForce.IOC: "IOC", TimeInForce.GTC: "GTC", TimeInForce.POST_ONLY: "PostOnly"}
_TRADES = {
    "Trade": "",
    "BustTrade": "liquidation",
    "AdlTrade": "adl",
    "Delivery": "delisting",
    "Settle": "delisting",
}
"""Kinds of execution that trade, and which of them no order of ours asked for; the last two close what is taken off."""
_CREATED = {
    "CreateByLiq": "liquidation",
    "CreateByTakeOver_PassThrough": "liquidation",
    "CreateByAdl_PassThrough": "adl",
    "CreateBySettle": "delisting",
}
"""By whom an order was placed: liquidation step by step is an order of Bybit's that trades as any other."""


class BybitOrders:
    """An `OrderGateway` over Bybit's signed REST interface."""

    def __init__(self, rest: SignedRest, symbols: Mapping[str, str]) -> None:
        """Send orders; `symbols` is Bybit's symbol by instrument id."""
        self._rest = rest
        self._symbols = symbols

    async def place(self, order: Order) -> None:
        """Send it, once.

        Raises:
            OrderRejected: Bybit refused it, or nobody trades the instrument here.
            OrderOutcomeUnknown: It may have arrived.
            VenueError: It did not arrive.
        """
        symbol = self._symbols.get(order.instrument.id)
        if symbol is None:
            raise OrderRejected(order.client_order_id, f"{order.instrument.id} is not traded here")
        await self._rest.place(order.client_order_id, new_order(symbol, order), lane_of(order))

    async def settle(self, order: Order, sending: Awaitable[object]) -> None:
        """What `sending` it over a socket came to.

        Raises:
            OrderRejected: Bybit refused it.
            OrderOutcomeUnknown: It may have arrived.
            VenueError: It did not arrive.
        """
        await self._rest.settle(order.client_order_id, sending)

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; an order that is final or unknown is left as it is.

        Raises:
            VenueError: It cannot be asked.
        """
        with cancelling():
            await self._rest.cancel(self._named(order))

    async def find(self, order: Order) -> OrderReport | None:
        """What Bybit knows of it; None where it knows no such order.

        Raises:
            VenueError: It cannot be asked.
        """
        # Orders that ended long ago, or in masses, are in the history alone.
        for path in ("/v5/order/realtime", "/v5/order/history"):
            found = await self._rest.read(path, OrderRows, self._named(order), Lane.REDUCE)
            for row in found.rows:
                if row.client_order_id == order.client_order_id:
                    return report_of(row)
        return None

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Its fills so far.

        Raises:
            VenueError: It cannot be asked.
        """
        values = self._place(order) | {"orderId": report.venue_order_id or ""}
        fills = (fill_of(order.instrument, row) for row in await executions_of(self._rest, values))
        return [fill for fill in fills if fill is not None]

    def _place(self, order: Order) -> Values:
        return {"category": str(order.instrument.segment), "symbol": self._symbols[order.instrument.id]}

    def _named(self, order: Order) -> Values:
        return self._place(order) | {"orderLinkId": order.client_order_id}


def new_order(symbol: str, order: Order) -> Body:
    """The body of a new order. `marketUnit`: without it the quantity of a spot market buy is what to spend."""
    is_market = order.type is OrderType.MARKET
    body: dict[str, str | bool] = {
        "category": str(order.instrument.segment),
        "symbol": symbol,
        "side": _SIDES[order.side],
        "orderType": _TYPES[order.type],
        "qty": f"{order.quantity:f}",
        "timeInForce": "IOC" if is_market else _LIFETIMES[order.time_in_force],
        "orderLinkId": order.client_order_id,
    }
    if not is_market:
        assert order.price is not None, "a limit order has a price"
        body["price"] = f"{order.price:f}"
    elif order.instrument.segment is Segment.SPOT:
        body["marketUnit"] = "baseCoin"
    if order.reduce_only and order.instrument.is_perpetual:
        body["reduceOnly"] = True
    return body


def report_of(row: OrderRow) -> OrderReport:
    """A row of an order as what it says."""
    return OrderReport(row.client_order_id, row.status, row.filled, row.order_id, row.reason)


def fill_of(instrument: Instrument, row: ExecutionRow) -> Fill | None:
    """A row of an execution as a fill; None for what is no trade, by its kind (funding) or by its figures."""
    if row.kind not in _TRADES or row.quantity <= 0 or row.price <= 0:
        return None
    return Fill(
        forced=_TRADES[row.kind] or _CREATED.get(row.created_by, ""),
        fill_id=row.exec_id,
        client_order_id=row.client_order_id,
        instrument=instrument,
        side=row.side,
        price=row.price,
        quantity=row.quantity,
        fee=row.fee,
        # The stream need not name it: of spot a fee is taken from what is received, a rebate paid in what is given.
        fee_asset=row.fee_asset or fee_asset(instrument, row.side if row.fee >= 0 else row.side.opposite),
        is_maker=row.is_maker,
        ts_event_ns=row.ts_ns,
    )
