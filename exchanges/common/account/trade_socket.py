"""A venue's socket for orders, connected and logged in before the first of them, and replaced before the venue cuts it.

Where there is none at the moment, nothing is written: whoever has an order then sends it by another way.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from bot.clock import Clock, Timer
from bot.domain.order import Order
from bot.errors import AuthenticationFailed, Banned, GeoBlocked, VenueError
from bot.settings import ConnectionSettings
from exchanges.common.account.trade_link import Request, TradeLink, TradeProtocol, dial
from exchanges.common.background import Log, pause, report_failure
from exchanges.common.market.connection import backoff_s
from exchanges.common.requests.keyed_rest import lane_of
from exchanges.common.requests.request_budget import RequestBudget, Ticket
from exchanges.common.requests.request_pool import Lane

ANSWER_S = 1.0
"""An order that is not answered within this time is asked for by another way."""
_LOGIN_S = 5.0
_FRESH_NS = 100_000_000
"""A request that was prepared longer ago is spelled anew: its time stands in it, and venues refuse old ones."""
_Spell = Callable[[str, Order], Request | None]
_Numbered = tuple[str, Request]
"""With its number."""
Answer = Callable[[], asyncio.Future[None]]


class _Prepared(NamedTuple):
    """A request that waits for leave to be written."""

    client_order_id: str
    link: TradeLink
    numbered: _Numbered
    ticket: Ticket
    """Taken already: what it would have to look at is looked at while nobody waits."""
    until_ns: int
    """When it is too old, monotonic."""

    def answer(self) -> asyncio.Future[None]:
        """The answer to it, once it has been written."""
        return _answer(self.link, *self.numbered, self.ticket)


class TradeSocket:
    """One protocol, kept ready until it is stopped. All calls come on the loop's thread."""

    def __init__(
        self,
        protocol: TradeProtocol,
        *,
        budget: RequestBudget,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        log: Log,
    ) -> None:
        """Nothing happens before `start`; `budget` knows what the venue may be asked."""
        self._protocol = protocol
        self._budget = budget
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._log = log
        self._link: TradeLink | None = None
        self._links: dict[TradeLink, asyncio.Task[str]] = {}
        self._task: asyncio.Task[None] | None = None
        self._numbers = count(1)
        # A venue remembers numbers across connections: no two runs begin alike.
        self._first = f"{clock.now_ns() // 1000:x}"
        self._prepared: dict[str, _Prepared] = {}
        self._looking: Timer | None = None
        """Set while something is prepared."""
        self.reconnects = 0
        """Links after the first, planned ones included."""

    @property
    def is_ready(self) -> bool:
        """Whether a request would be written at once."""
        link = self._link
        return link is not None and link.is_ready and not self._budget.bans.left_s

    def prepare(self, order: Order) -> tuple[Callable[[], bool], Answer] | None:
        """Spell and sign the request for a new order; nothing is sent.

        Returns what writes it (False: it may not leave any more, and nothing was written) and, for the same turn of the
        loop, what then gives its answer. None: it could not be prepared.
        """
        link = self._link
        if link is None or not self.is_ready:
            return None
        name = order.client_order_id
        self._forget(name)
        numbered = self._numbered(self._protocol.order, order)
        if numbered is None:
            return None
        try:
            ticket = self._budget.take(numbered[1].cost, lane_of(order))
        except VenueError:
            return None  # there may be room by then
        until_ns = self._clock.monotonic_ns() + _FRESH_NS
        prepared = self._prepared[name] = _Prepared(name, link, numbered, ticket, until_ns)
        self._look_later()
        return partial(self._leave, prepared), prepared.answer

    def _look_later(self) -> None:
        """What was prepared and never leaves gives back what it took."""
        if self._looking is None:
            self._looking = self._clock.call_later(_FRESH_NS / 1e9, self._forget_old)

    def _forget_old(self) -> None:
        self._looking = None
        now_ns = self._clock.monotonic_ns()
        for name in [name for name, old in self._prepared.items() if old.until_ns <= now_ns]:
            self._forget(name)
        if self._prepared:
            self._look_later()

    def forget_prepared(self) -> None:
        """Nothing that was prepared leaves any more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for name in list(self._prepared):
            self._forget(name)

    def _forget(self, client_order_id: str) -> None:
        old = self._prepared.pop(client_order_id, None)
        if old is not None:
            old.ticket.give_back()

    def place(self, order: Order) -> asyncio.Future[None] | None:
        """Write the request for a new order, before this returns. None: nothing was written, another way is free.

        Raises (the future):
            AnswerLost: It was written, and no answer came.
            VenueError: What the venue answered.
        """
        answer = self.write(order)
        return None if answer is None else answer()

    def write(self, order: Order) -> Answer | None:
        """As `place`, but for what can be done once it has been written: that is what is returned, for the same turn
        of the loop."""
        self._forget(order.client_order_id)  # what was prepared for it leaves by itself, or not at all
        return self._write(self._protocol.order, order, lane_of(order))

    def _leave(self, prepared: _Prepared) -> bool:
        if self._prepared.get(prepared.client_order_id) is not prepared:
            return False
        if not self._may_leave(prepared):
            self._forget(prepared.client_order_id)
            return False
        del self._prepared[prepared.client_order_id]
        prepared.link.write(prepared.numbered[1])
        return True

    def _may_leave(self, prepared: _Prepared) -> bool:
        now_ns = self._clock.monotonic_ns()
        is_usable = now_ns < prepared.until_ns and prepared.link is self._link and self.is_ready
        return is_usable and not prepared.ticket.is_held(now_ns)

    def cancel(self, order: Order) -> asyncio.Future[None] | None:
        """Write the request that cancels it, as `place` does."""
        answer = self._write(self._protocol.cancel, order, Lane.REDUCE)
        return None if answer is None else answer()

    def _numbered(self, spell: _Spell, order: Order) -> _Numbered | None:
        number = self._number()
        request = spell(number, order)
        return None if request is None else (number, request)

    def _write(self, spell: _Spell, order: Order, lane: Lane) -> Answer | None:
        link = self._link
        if link is None or not self.is_ready:
            return None
        numbered = self._numbered(spell, order)
        if numbered is None:
            return None
        number, request = numbered
        try:
            ticket = self._budget.take(request.cost, lane)
        except VenueError:
            return None  # the other way refuses it by name, or waits for room, as its lane may
        link.write(request)
        return partial(_answer, link, number, request, ticket)

    def _number(self) -> str:
        """One that no request of ours had before."""
        return f"{self._first}-{next(self._numbers)}"

    async def start(self) -> None:
        """Connect and log in; where that fails it is tried again, and trading begins without it."""
        tried = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._supervise(tried))
        self._task.add_done_callback(report_failure)
        await tried.wait()

    async def stop(self) -> None:
        """Close it; nobody is told what becomes of what was asked. Idempotent."""
        self.forget_prepared()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        ends = list(self._links.values())
        for link in list(self._links):
            link.abort("stopped")
        if ends:
            await asyncio.wait(ends)

    async def _supervise(self, tried: asyncio.Event) -> None:
        attempt = 0
        while True:
            wait_s = 0.0
            try:
                link = await self._open()
                tried.set()
                self._tell_ready()
                begun_ns = self._clock.monotonic_ns()
                why = await self._keep(link)
                if self._clock.monotonic_ns() - begun_ns >= self._settings.backoff_cap_s * 1e9:
                    attempt = 0
            except AuthenticationFailed as error:
                # Asking again with a key that is refused is how an address gets banned.
                self._log("error", f"{self._protocol.name}: {error}; orders go by REST for the rest of the run")
                return
            except VenueError as error:
                why, wait_s = str(error), error.retry_after_s or 0.0
            finally:
                tried.set()
            wait_s = max(wait_s, backoff_s(attempt, self._settings, self._rng))
            attempt += 1
            self._log("warning", f"{self._protocol.name}: {why}; orders go by REST, again in {wait_s:.1f} s")
            await pause(self._clock, wait_s)

    def _tell_ready(self) -> None:
        if self.reconnects:
            self._log("info", f"{self._protocol.name}: connected again")

    async def _open(self) -> TradeLink:
        """A link that is logged in, and the one that takes what is asked from now on.

        Raises:
            VenueError: Why there is none.
        """
        (await self._budget.acquire(self._protocol.handshake, Lane.READ)).settle()
        link = TradeLink(self._protocol, self._clock, self._log)
        try:
            await dial(link, self._protocol, self._settings.first_frame_timeout_s)
            ended = self._links[link] = asyncio.create_task(link.ended())
            ended.add_done_callback(lambda _: self._links.pop(link, None))
            await link.log_in(self._number(), _LOGIN_S)
        except BaseException as error:  # a cancelled start too leaves nothing open
            link.abort("it was not taken into use")
            if isinstance(error, Banned | GeoBlocked):
                self._budget.bans.sit_out(error)
            raise
        before, self._link = self._link, link
        if before is not None:
            self.reconnects += 1
            before.retire("another one took over")
        return link

    async def _keep(self, link: TradeLink) -> str:
        """Why there is no link left in the end; planned replacements happen inside."""
        attempt = 0
        due_s = self._settings.planned_reconnect_h * 3600
        while (ended := self._links.get(link)) is not None:
            due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waited: set[asyncio.Future[Any]] = {ended, due}
            timer = self._clock.call_later(due_s, partial(_finish, due))
            try:
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            if ended.done():
                return ended.result()
            try:
                link = await self._open()
                attempt, due_s = 0, self._settings.planned_reconnect_h * 3600
            except AuthenticationFailed:
                raise
            except VenueError as error:
                due_s = max(backoff_s(attempt, self._settings, self._rng), error.retry_after_s or 0.0)
                attempt += 1
                self._log("warning", f"{self._protocol.name}: its replacement has to wait: {error}")
        return await link.ended()


def _answer(link: TradeLink, number: str, request: Request, ticket: Ticket) -> asyncio.Future[None]:
    answered = link.answer(number, request, ANSWER_S)
    answered.add_done_callback(lambda _: ticket.settle())
    return answered


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
