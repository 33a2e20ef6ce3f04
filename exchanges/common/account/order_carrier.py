"""Brings orders to a venue and finds out what became of each, whatever gets lost on the way.

    place -> refused: REJECTED
          -> acknowledged, or nothing known: wait for the private stream, and ask by client order id after
             0.25, 0.5, 1, 2, 2, ... s until the final state and every fill of it are known

An order is sent once. Every request carries a time after which the venue refuses it. An order that was never
acknowledged is given up when that time is over, the venue has not known it twice, two seconds or more apart, and
neither its open orders nor its trades name it. Should it appear after all (copies of a venue's books may be seconds
behind), its fills are told, and what is left of it is cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, Protocol, runtime_checkable

from bot.clock import Clock
from bot.domain.order import Fill, Order, OrderType
from bot.errors import AuthenticationFailed, OrderOutcomeUnknown, OrderRejected, RateLimited, VenueError
from bot.ports import ReadyOrder
from exchanges.common.account.order_desk import Flight, OrderDesk, OrderReport
from exchanges.common.background import Log, pause, report_failure

ORDER_WINDOW_MS = 1000
"""A venue refuses an order request that is older than this when it arrives."""
NEVER_COMES_S = ORDER_WINDOW_MS / 1e3 + 0.5
"""After this time an order that the venue does not know will not come: the window, and what clocks may differ."""
_ASK_AFTER_S = (0.25, 0.5, 1.0, 2.0)
_NEGATIVE_APART_S = 2.0
"""Between the first and the last answer that the venue does not know an order, at least."""
_ASK_GIVEN_UP_S = (5.0, 10.0)
"""After an order was given up: whether it has appeared."""
_CANCEL_AGAIN_S = 1.0
"""An order that is open so long after the venue took its cancel is cancelled again: venues carry cancels out later
than they answer them, and one that was behind says of an order that it knows none."""
_ASK_REFUSED_S = 60.0
"""While the venue does not take our key."""
_MOMENT_S = 0.05
_ASK_OPEN_S = 4.0
"""An order that rests in the book is asked for this often. Its fills come through the private stream: where it drops
one, a maker's other leg must not wait for longer than it may be uneven."""


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


@runtime_checkable
class WritesAtOnce(Protocol):
    """A gateway that need not wait for anything to write an order."""

    def write(self, order: Order) -> Callable[[Order], Awaitable[None]]:
        """Write it; what is returned goes on as `place` does, and is called before the loop turns.

        It takes the order as it was sent; where nothing could be written, it is `place` of another way.
        """

    def prepare(self, order: Order) -> tuple[Callable[[], bool], Callable[[Order], Awaitable[None]]] | None:
        """Do what can be done before it may be written; None: nothing.

        Returns what writes it (False: it may not leave in this way any more) and what `write` would return then.
        """


class OrderCarrier:
    """A task per order, from its sending to its final state. All calls come on the loop's thread."""

    def __init__(
        self,
        desk: OrderDesk,
        gateway: OrderGateway,
        clock: Clock,
        log: Log,
        leaves_trace: Callable[[Order], Awaitable[bool]] | None = None,
        never_comes_s: float = NEVER_COMES_S,
        *,
        asks_together: bool = False,
    ) -> None:
        """Carry orders.

        Args:
            desk: Gets everything that comes of them.
            gateway: The venue's requests.
            clock: For the times at which it asks.
            log: Takes a level and one line.
            leaves_trace: Whether the venue's open orders or trades name an order; raises `VenueError` where they
                cannot be asked for. None: the gateway's own answer is enough.
            never_comes_s: After this time an order that the venue does not know will not come.
            asks_together: Ask for all orders that rest in the same moments, for a gateway that puts one question then.
        """
        self._asks_together = asks_together
        self._desk = desk
        desk.on_stray = self._on_stray
        self._leaves_trace = leaves_trace
        self._never_comes_s = never_comes_s
        self._gateway = gateway
        self._place = gateway.place
        at_once = gateway if isinstance(gateway, WritesAtOnce) else None
        self._write = None if at_once is None else at_once.write
        self._prepare = None if at_once is None else at_once.prepare
        self._clock = clock
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    def submit(self, order: Order) -> None:
        """Send it; everything that comes of it goes to the desk.

        Raises:
            OrderRejected: If its client order id was used before.
        """
        self.launch(order)(order)

    def launch(self, order: Order) -> Callable[[Order], None]:
        """Write it, where the way to the venue allows that; what is returned has to be called before the loop turns.

        It takes the order as it was sent, and follows it.

        Raises:
            OrderRejected: If its client order id was used before.
        """
        self._desk.check(order)
        # Here and not in the task: it would begin a turn of the loop later, after the other leg's.
        return partial(self._begin, self._place if self._write is None else self._write(order))

    def prepare(self, order: Order) -> ReadyOrder | None:
        """Do what `launch` need not wait for; None: nothing, or it refuses the order."""
        if self._prepare is None or not self._desk.takes(order):
            return None
        ready = self._prepare(order)
        return None if ready is None else ReadyOrder(ready[0], partial(self._begin, ready[1]))

    def _begin(self, place: Callable[[Order], Awaitable[None]], order: Order) -> None:
        flight = self._desk.open(order)
        placing = place(flight.order)
        task = self._spawn(self._carry(flight, placing))
        if isinstance(placing, Coroutine):
            task.add_done_callback(lambda _: placing.close())  # a task that is stopped before it begins leaves it so

    def cancel(self, order: Order) -> None:
        """Ask to cancel it, once it has arrived; an order that is over, or not ours, is left as it is."""
        flight = self._desk.find(order.client_order_id)
        if flight is not None and not flight.is_over and not flight.cancel_asked and not self._is_stopped:
            flight.cancel_asked = True
            self._spawn(self._call_back(flight))

    def look_again(self) -> None:
        """News may have been missed: ask for every order that is on its way, now."""
        for flight in self._desk.flying:
            flight.news.set()

    async def stop(self) -> None:
        """Let go of every order as it is; nothing is told afterwards."""
        self._is_stopped = True
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
            next_s = self._rest_s() if _is_resting(flight) else self._not_later_s(flight, wait_s)
            await self._wait(flight, max(held_off_s, next_s))
            if flight.is_over:
                return
            held_off_s = 0.0
            try:
                await self._ask(flight)
            except VenueError as error:
                held_off_s = _held_off_s(error)
                self._log("warning", f"order {flight.order.client_order_id} could not be asked for: {error}")

    def _rest_s(self) -> float:
        if not self._asks_together:
            return _ASK_OPEN_S
        left_s = _ASK_OPEN_S - self._clock.monotonic_ns() / 1e9 % _ASK_OPEN_S
        return left_s if left_s > _MOMENT_S else left_s + _ASK_OPEN_S  # a timer that ended early has had its question

    def _not_later_s(self, flight: Flight, wait_s: float) -> float:
        """`wait_s`, unless it can be told before that the order never arrived."""
        if flight.unknown_since_ns is None:
            return wait_s
        apart_s = _NEGATIVE_APART_S - self._since_s(flight.unknown_since_ns)
        left_s = max(apart_s, self._never_comes_s - self._since_s(flight.begun_ns))
        # Once that time is over something else keeps it from being told: whoever cannot answer is not asked more often.
        return min(wait_s, max(_MOMENT_S, left_s)) if left_s > 0 else wait_s

    async def _ask(self, flight: Flight) -> None:
        cancelled_ns = flight.cancelled_ns
        was_cancelled = cancelled_ns is not None and self._since_s(cancelled_ns) >= _CANCEL_AGAIN_S
        report = await self._gateway.find(flight.order)
        if report is None:
            await self._not_known(flight)
            return
        flight.unknown_since_ns = None
        await self._fetch_fills(flight, report)
        self._desk.on_report(report)
        if was_cancelled and not report.status.is_terminal and not flight.is_over and flight.claim is None:
            self._log("warning", f"order {flight.order.client_order_id} is open after its cancel: cancelling it again")
            flight.cancelled_ns = None
            self._spawn(self._call_back(flight))

    async def _not_known(self, flight: Flight) -> None:
        """The venue knows no such order: twice, and with nothing else that names it, it never arrived."""
        if flight.known.is_set():
            return
        if flight.unknown_since_ns is None:
            flight.unknown_since_ns = self._clock.monotonic_ns()
            return
        is_long_ago = self._since_s(flight.unknown_since_ns) >= _NEGATIVE_APART_S
        if not is_long_ago or self._since_s(flight.begun_ns) < self._never_comes_s:
            return
        if self._leaves_trace is not None and await self._leaves_trace(flight.order):
            flight.known.set()
            return
        if not flight.known.is_set():
            flight.given_up = True
            self._desk.reject(flight.order.client_order_id, "it never arrived: the venue knows no such order")
            self._spawn(self._watch_given_up(flight))

    async def _watch_given_up(self, flight: Flight) -> None:
        for wait_s in _ASK_GIVEN_UP_S:
            await pause(self._clock, wait_s)
            try:
                if await self._gateway.find(flight.order) is not None:
                    self._on_stray(flight)
                    return
            except VenueError as error:
                self._log("warning", f"order {flight.order.client_order_id} could not be asked for: {error}")

    def _on_stray(self, flight: Flight) -> None:
        """An order that was given up is there after all."""
        if not flight.is_stray and not self._is_stopped:
            flight.is_stray = True
            self._log("error", f"order {flight.order.client_order_id} was given up, and appeared after all")
            self._spawn(self._see_off(flight))

    async def _see_off(self, flight: Flight) -> None:
        """Cancel what is left of it, and tell its fills; its final state was told long ago."""
        for wait_s in chain(_ASK_AFTER_S, repeat(_ASK_AFTER_S[-1])):
            held_off_s = 0.0
            try:
                await self._gateway.cancel(flight.order)
                report = await self._gateway.find(flight.order)
                if report is not None:
                    await self._fetch_fills(flight, report)
                    if report.status.is_terminal and flight.filled >= report.filled_quantity:
                        return
            except VenueError as error:
                held_off_s = _held_off_s(error)
                self._log("warning", f"order {flight.order.client_order_id} could not be cancelled: {error}")
            await pause(self._clock, max(wait_s, held_off_s))

    async def _fetch_fills(self, flight: Flight, report: OrderReport) -> None:
        """Before the report: its final state must not be told ahead of its fills."""
        while report.filled_quantity > flight.filled:
            try:
                fills = await self._gateway.fills(flight.order, report)
            except RateLimited as limited:
                # Room may come back one by one: to find the order again would take it from this question every time.
                self._log("warning", f"order {report.client_order_id} could not be asked for its fills: {limited}")
                await pause(self._clock, max(_ASK_AFTER_S[0], limited.retry_after_s or 0.0))
                continue
            for fill in fills:
                self._desk.on_fill(fill)
            return

    async def _call_back(self, flight: Flight) -> None:
        """Until the venue has taken it: unlike an order, a cancel may be sent again."""
        await flight.known.wait()
        for wait_s in chain(_ASK_AFTER_S, repeat(_ASK_AFTER_S[-1])):
            if flight.is_over:
                return
            try:
                await self._gateway.cancel(flight.order)
                flight.cancelled_ns = self._clock.monotonic_ns()
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

    def _since_s(self, then_ns: int) -> float:
        return (self._clock.monotonic_ns() - then_ns) / 1e9

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        report_failure(task)


def _held_off_s(error: VenueError) -> float:
    """How long a venue that answered so is left alone, at least."""
    return _ASK_REFUSED_S if isinstance(error, AuthenticationFailed) else error.retry_after_s or 0.0


def _is_resting(flight: Flight) -> bool:
    """Whether it may stay as it is for long."""
    is_patient = flight.order.type is OrderType.LIMIT and flight.order.time_in_force.rests
    return is_patient and flight.open_at_venue and not flight.cancel_asked and flight.claim is None
