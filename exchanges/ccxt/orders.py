"""Orders at a ccxt venue, by ccxt's own calls: sent once, refused by code, asked for by client order id."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderType
from bot.errors import (
    AuthenticationFailed,
    ClockSkew,
    OrderOutcomeUnknown,
    OrderRejected,
    VenueError,
    VenueUnavailable,
)
from exchanges.ccxt.dialect import Dialect, Row
from exchanges.ccxt.errors import translated
from exchanges.ccxt.reports import fill_of, report_of
from exchanges.ccxt.session import Session
from exchanges.ccxt.wire import in_lane
from exchanges.common.account.order_desk import OrderReport
from exchanges.common.requests.keyed_rest import lane_of
from exchanges.common.requests.outcome import cancelling, outcome_of
from exchanges.common.requests.refusals import Refusal
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import AnswerLost

_REMEMBERED = 10_000
_ANSWER_S = 2.0
"""An order that is not answered within this time is asked for, and a cancel sent again."""
_ASKED_S = 5.0
"""The same for a question, with its waits for room; as other venues have it. Of many trades it is several requests."""
_T = TypeVar("_T")


class CcxtOrders:
    """An `OrderGateway` through ccxt."""

    def __init__(self, session: Session, dialect: Dialect, instruments: Mapping[str, Instrument]) -> None:
        """Send orders on `instruments` (by id), by the session's client."""
        self._session = session
        self._dialect = dialect
        self._instruments = instruments
        self._venue = dialect.venue
        self._ids: dict[str, str] = {}
        """The venue's order id by ours, as far as it was told."""
        self._names: dict[str, str] = {}
        """And ours by the venue's."""
        self._rows: dict[str, Row] = {}
        """By our id: its newest row."""

    async def place(self, order: Order) -> None:
        """Send it, once.

        Raises:
            OrderRejected: The venue refused it, it is off the venue's grid, or nobody trades the instrument here.
            OrderOutcomeUnknown: It may have arrived, or one of this id is there already.
            VenueError: It did not arrive.
        """
        name, client = order.client_order_id, self._session.client
        if order.instrument.id not in self._instruments:
            raise OrderRejected(name, f"{order.instrument.id} is not traded here")
        self._check_grid(client, order)
        try:
            row = await self._answered(self._sent(client, order), _ANSWER_S)
        except VenueError as error:
            raise self._meaning(name, error) from None
        venue_order_id = row.get("id") if isinstance(row, dict) else None
        if not isinstance(venue_order_id, str) or not venue_order_id:
            raise OrderOutcomeUnknown(name, f"{self._venue} answered without an order")
        self._remember(name, venue_order_id)

    async def _sent(self, client: Any, order: Order) -> Any:
        with translated(self._venue), in_lane(lane_of(order)):
            return await client.create_order(
                order.instrument.symbol,
                order.type.value,
                order.side.value,
                f"{order.quantity:f}",
                None if order.price is None else f"{order.price:f}",
                self._dialect.terms(order),
            )

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; an order that is final or unknown is left as it is.

        Raises:
            VenueError: It cannot be asked, or nobody knows whether it was.
        """
        with cancelling():
            await self._answered(self._called_back(order), _ANSWER_S)

    async def _called_back(self, order: Order) -> None:
        with translated(self._venue), in_lane(Lane.REDUCE):
            await self._dialect.cancel(self._session.client, order, self._ids.get(order.client_order_id))

    async def find(self, order: Order) -> OrderReport | None:
        """What the venue knows of it; None where it knows no such order.

        Raises:
            VenueError: It cannot be asked.
        """
        row = await self._answered(self._row(order), _ASKED_S)
        if row is None:
            return None
        return report_of(self._venue, order.client_order_id, row, order.time_in_force)

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Its fills so far.

        Raises:
            VenueError: It cannot be asked.
        """
        trades = await self._answered(self._trades(order), _ASKED_S)
        return [fill_of(self._venue, order.instrument, order.client_order_id, trade) for trade in trades]

    def named(self, venue_order_id: str) -> str | None:
        """Our id of an order that was sent, or found, here; None where it is not known."""
        return self._names.get(venue_order_id)

    async def _answered(self, asking: Coroutine[Any, Any, _T], within_s: float) -> _T:
        """What comes of it, in time: ccxt's own patience is many times what a leg may be alone.

        Raises:
            AnswerLost: Nothing came.
            VenueError: As `asking` does.
        """
        try:
            async with asyncio.timeout(within_s):
                return await asking
        except TimeoutError:
            raise AnswerLost(self._venue, f"no answer in {within_s:g} s") from None

    async def _trades(self, order: Order) -> Sequence[Row]:
        row = self._rows.get(order.client_order_id) or await self._row(order)
        if row is None:
            return ()
        with translated(self._venue), in_lane(Lane.REDUCE):
            return await self._dialect.trades_of(self._session.client, row)

    async def _row(self, order: Order) -> Row | None:
        name = order.client_order_id
        with translated(self._venue), in_lane(Lane.REDUCE):
            row = await self._dialect.find(self._session.client, order, self._ids.get(name) or order.venue_order_id)
        if row is not None:
            self._rows[name] = row
            if isinstance(row.get("id"), str):
                self._remember(name, row["id"])
        return row

    def _remember(self, name: str, venue_order_id: str) -> None:
        self._ids[name], self._names[venue_order_id] = venue_order_id, name
        if len(self._ids) > _REMEMBERED:
            oldest = next(iter(self._ids))
            self._names.pop(self._ids.pop(oldest), None)
            self._rows.pop(oldest, None)

    def _check_grid(self, client: Any, order: Order) -> None:
        """ccxt cuts quantities and rounds prices to the grid that it knows: what would be changed is not sent."""
        symbol, name = order.instrument.symbol, order.client_order_id
        try:
            with translated(self._venue):
                amount = client.amount_to_precision(symbol, f"{order.quantity:f}")
                price = None if order.price is None else client.price_to_precision(symbol, f"{order.price:f}")
            same = Decimal(amount) == order.quantity and (price is None or Decimal(price) == order.price)
        except (VenueError, InvalidOperation):
            raise OrderRejected(name, f"{symbol} is not described as it was: not sent") from None
        if not same or (order.type is OrderType.LIMIT and order.price is None):
            raise OrderRejected(name, f"{order.quantity:f} at {order.price} is off the grid of {symbol}: not sent")

    def _meaning(self, name: str, error: VenueError) -> Exception:
        """What became of a new order that was answered with `error`."""
        if isinstance(error, AuthenticationFailed | ClockSkew | VenueUnavailable):
            self._session.on_error(error)
        outcome = outcome_of(name, error)
        if outcome is not None:
            return outcome
        if isinstance(error, Refusal) or type(error) is VenueError:
            return OrderOutcomeUnknown(name, str(error))
        return error
