"""Brings orders to a venue and finds out what became of each, whatever gets lost on the way.

    place -> refused: REJECTED
          -> acknowledged, or nothing known: wait for the private stream, and ask by client order id after
             0.25, 0.5, 1, 2, 2, ... s until the final state and every fill of it are known

An order is sent once. Every request carries a time after which the venue refuses it: an order that was never
acknowledged, and that the venue does not know after that time, will not come any more.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from itertools import chain, repeat
from typing import Any, Protocol

from bot.clock import Clock
from bot.domain.order import Fill, Order, OrderType
from bot.errors import AuthenticationFailed, OrderOutcomeUnknown, OrderRejected, VenueError
from exchanges.common.background import Log, pause, report_failure
from exchanges.common.order_desk import Flight, OrderDesk, OrderReport

ORDER_WINDOW_MS = 1000
"""A venue refuses an order request that is older than this when it arrives."""
_NEVER_COMES_S = ORDER_WINDOW_MS / 1e3 + 0.5
"""After this time an order that the venue does not know will not come: the window, and what clocks may differ."""
_ASK_AFTER_S = (0.25, 0.5, 1.0, 2.0)
_ASK_REFUSED_S = 60.0
"""While the venue does not take our key."""
_MOMENT_S = 0.05
_ASK_OPEN_S = 10.0
"""An order that rests in the book is asked for this often: its fills come through the private stream."""


class OrderGateway(Protocol):
    """Requests about orders, as one venue spells them."""

    def place(self, order: Order) -> Awaitable[None]:
        """Send it, in this very call where the way to the venue allows that; done when the venue has acknowledged it.

        Raises (what is awaited):
            OrderRejected: The venue refused it.
            OrderOutcomeUnknown: It may have arrived, or not.
            VenueError: It did not arrive, or was turned away unread.
        """

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; an order that is final or unknown is left as it is.

        Raises:
            VenueError: It could not be asked.
        """

    async def find(self, order: Order) -> OrderReport | None:
        """What the venue knows of it; None where it knows no such order.

        Raises:
            VenueError: It could not be asked.
        """

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Its fills so far.

        Raises:
            VenueError: It could not be asked.
        """


class OrderCarrier:
    """A task per order, from its sending to its final state. All calls come on the loop's thread."""

    def __init__(self, desk: OrderDesk, gateway: OrderGateway, clock: Clock, log: Log) -> None:
        self._desk = desk
        self._gateway = gateway
        self._clock = clock
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, order: Order) -> None:
        """Send it; everything that comes of it goes to the desk.

        Raises:
            OrderRejected: If its client order id was used before.
        """
        flight = self._desk.open(order)
        # Here and not in the task: it would begin a turn of the loop later, after the other leg's.
        placing = self._gateway.place(flight.order)
        task = self._spawn(self._carry(flight, placing))
        if isinstance(placing, Coroutine):
            task.add_done_callback(lambda _: placing.close())  # a task that is stopped before it begins leaves it so

    def cancel(self, order: Order) -> None:
        """Ask to cancel it, once it has arrived; an order that is over, or not ours, is left as it is."""
        flight = self._desk.find(order.client_order_id)
        if flight is not None and not flight.is_over and not flight.cancel_asked:
            flight.cancel_asked = True
            self._spawn(self._call_back(flight))

    def look_again(self) -> None:
        """News may have been missed: ask for every order that is on its way, now."""
        for flight in self._desk.flying:
            flight.news.set()

    async def stop(self) -> None:
        """Let go of every order as it is; nothing is told afterwards."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _carry(self, flight: Flight, placing: Awaitable[None]) -> None:
        order = flight.order
        try:
            await placing
            flight.known.set()
        except OrderOutcomeUnknown as unknown:
            if not flight.is_over:
                self._log("warning", f"{unknown}; asking {order.instrument.venue} what became of it")
        except (OrderRejected, VenueError) as refused:
            self._desk.reject(order.client_order_id, str(refused))
        await self._follow(flight)

    async def _follow(self, flight: Flight) -> None:
        held_off_s = 0.0
        for wait_s in chain(_ASK_AFTER_S, repeat(_ASK_AFTER_S[-1])):
            await self._wait(flight, max(held_off_s, _ASK_OPEN_S if _is_resting(flight) else wait_s))
            if flight.is_over:
                return
            held_off_s = 0.0
            try:
                await self._ask(flight)
            except VenueError as error:
                held_off_s = _ASK_REFUSED_S if isinstance(error, AuthenticationFailed) else error.retry_after_s or 0.0
                self._log("warning", f"order {flight.order.client_order_id} could not be asked for: {error}")

    async def _ask(self, flight: Flight) -> None:
        order = flight.order
        expired = self._age_s(flight) > _NEVER_COMES_S
        report = await self._gateway.find(order)
        if report is None:
            if expired and not flight.known.is_set():
                self._desk.reject(order.client_order_id, "it never arrived: the venue knows no such order")
            return
        await self._fetch_fills(flight, report)
        self._desk.on_report(report)

    async def _fetch_fills(self, flight: Flight, report: OrderReport) -> None:
        """Before the report: its final state must not be told ahead of its fills."""
        if report.filled_quantity <= flight.filled:
            return
        for fill in await self._gateway.fills(flight.order, report):
            self._desk.on_fill(fill)

    async def _call_back(self, flight: Flight) -> None:
        """Until the venue has taken it: unlike an order, a cancel may be sent again."""
        await flight.known.wait()
        for wait_s in chain(_ASK_AFTER_S, repeat(_ASK_AFTER_S[-1])):
            if flight.is_over:
                return
            try:
                await self._gateway.cancel(flight.order)
                break
            except VenueError as error:
                self._log("warning", f"order {flight.order.client_order_id} could not be cancelled: {error}")
                if isinstance(error, AuthenticationFailed):
                    flight.cancel_asked = False
                    break
                flight.news.set()
                await pause(self._clock, max(wait_s, error.retry_after_s or 0.0))
        flight.news.set()

    async def _wait(self, flight: Flight, delay_s: float) -> None:
        """Until `delay_s` has passed, or a moment after there was news: what is missing mostly follows at once."""
        if await self._has_news(flight, delay_s) and not flight.is_over:
            await self._has_news(flight, _MOMENT_S)

    async def _has_news(self, flight: Flight, delay_s: float) -> bool:
        if flight.is_over:
            return True
        due_ns = self._clock.monotonic_ns() + round(delay_s * 1e9)
        timer = self._clock.call_later(delay_s, flight.news.set)
        try:
            await flight.news.wait()
        finally:
            timer.cancel()
            flight.news.clear()
        return self._clock.monotonic_ns() < due_ns

    def _age_s(self, flight: Flight) -> float:
        return (self._clock.monotonic_ns() - flight.begun_ns) / 1e9

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        report_failure(task)


def _is_resting(flight: Flight) -> bool:
    """Whether it may stay as it is for long."""
    is_patient = flight.order.type is OrderType.LIMIT and flight.order.time_in_force.rests
    return is_patient and flight.open_at_venue and not flight.cancel_asked and flight.claim is None
