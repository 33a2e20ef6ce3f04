"""One key's requests to a venue: stamped with its clock, refused while it bans us, and an order sent once."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.clock import Clock
from bot.domain.order import Order
from bot.errors import (
    AuthenticationFailed,
    Banned,
    ClockSkew,
    GeoBlocked,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from exchanges.common.requests.api_keys import ApiKeys, Hmac
from exchanges.common.requests.clock_offset import measure_offset
from exchanges.common.requests.outcome import outcome_of
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import Answer, VenueHttp

READ_S = 5.0
ORDER_S = 1.0
READ_WINDOW_MS = 5000
_MOVED_NS = 1_000_000_000
"""Less is no reason for a venue to refuse a time."""

_T = TypeVar("_T")
_AnswerT = TypeVar("_AnswerT")


class KeyedRest(ABC, Generic[_AnswerT]):
    """What the venues' `SignedRest` share; how a request is signed is the venue's own."""

    def __init__(
        self, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock, checked: Callable[[Answer], _AnswerT]
    ) -> None:
        """Nothing is sent before `open`.

        Args:
            base_url: Of REST, without a slash at the end.
            keys: The account's.
            http: Of the venue.
            clock: Ours.
            checked: An answer as the venue means it; raises what else it may mean.

        Raises:
            SettingsError: If the key must not be used at `base_url`.
        """
        self.hosts = keys.hosts
        """Where its key may be used."""
        self._base = keys.hosts.require(base_url)
        self._key = keys.key.get_secret_value()
        self._hmac = Hmac(keys.secret)
        self._http = http
        self._clock = clock
        self._offset_ns = 0
        self._check = checked
        self.on_error: Callable[[VenueError], None] = lambda error: None
        """Hears that our key is refused, and that an order was turned away."""

    async def open(self) -> None:
        """Measure the venue's clock.

        Raises:
            VenueError: It cannot be asked.
        """
        self._offset_ns, _ = await measure_offset(self._server_time_ms, self._clock)

    async def clock_moved(self) -> bool:
        """Measure the venue's clock again: whether what was stamped until now may have been refused for its time alone.

        Raises:
            VenueError: It cannot be asked.
        """
        before_ns = self._offset_ns
        await self.open()
        return abs(self._offset_ns - before_ns) > _MOVED_NS

    @abstractmethod
    async def _server_time_ms(self) -> int:
        """The venue's time, UTC ms."""

    @abstractmethod
    def _learn(self, answer: Answer, charged: Cost) -> None:
        """Take what an answer's headers say of the venue's limits."""

    @abstractmethod
    def _refused_for(self, answer: Answer, charged: Cost) -> list[str]:
        """The limits that a refusal for too many requests is about."""

    def _held_s(self, answer: Answer) -> float | None:
        """How long an answer says that they are to be left alone, where its error does not tell."""
        return None

    async def _paid(
        self, cost: Cost, lane: Lane, send: Callable[[], Awaitable[Answer]], *, may_lack_right: bool = False
    ) -> _AnswerT:
        """The answer to one request, sent as soon as the budget has room for it: it is signed after the wait.

        Where our key `may_lack_right` to it, a refusal of the key says nothing of the rest.

        Raises:
            RateLimited: There is no room, or the venue says so; in neither case was it executed.
            VenueError: As the answer means it.
        """
        budget = self._http.budget
        ticket = await budget.acquire(cost, lane)
        try:
            answer = await send()
        finally:
            ticket.settle()
        try:
            return self._judged(answer, cost)
        except AuthenticationFailed as refused:
            if not may_lack_right:
                self.on_error(refused)
            raise

    def _judged(self, answer: Answer, cost: Cost) -> _AnswerT:
        """What an answer to a request of this `cost` means; the budget is told of it."""
        budget = self._http.budget
        self._learn(answer, cost)
        try:
            checked = self._check(answer)
        except (Banned, GeoBlocked, RateLimited) as refusal:
            if isinstance(refusal, RateLimited):
                refusal.retry_after_s = self._held_s(answer) or refusal.retry_after_s
            budget.heed(refusal, self._refused_for(answer, cost))
            raise
        budget.bans.answered()
        return checked

    async def _asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The answer; asked once more when the venue did not like our clock."""
        try:
            return await ask()
        except ClockSkew:
            await self.open()
            return await ask()

    def error_in(self, answer: Answer, cost: Cost) -> VenueError | None:
        """What an answer, by whatever way it came, says is wrong; None: nothing. The budget is told of it."""
        try:
            self._judged(answer, cost)
        except VenueError as error:
            if isinstance(error, AuthenticationFailed):
                self.on_error(error)
            return error
        return None

    async def sent_once(self, client_order_id: str, sending: Awaitable[object]) -> None:
        """What `sending` a new order, by whatever way, came to.

        Raises:
            OrderRejected: The venue refused it.
            OrderOutcomeUnknown: It may have arrived.
            Refusal: An order of this id may be there already.
            VenueError: It did not arrive.
        """
        try:
            await sending
        except VenueError as error:
            outcome = outcome_of(client_order_id, error)
            if outcome is not None:
                raise outcome from error
            if isinstance(error, ClockSkew):
                await self._measure_quietly()
            elif isinstance(error, VenueUnavailable):
                self.on_error(error)
            raise

    async def _measure_quietly(self) -> None:
        try:
            await self.open()
        except VenueError:
            # The order was refused for the clock, and that is what its owner is told.
            return

    def _now_ms(self) -> int:
        return (self._clock.now_ns() + self._offset_ns) // 1_000_000


def lane_of(order: Order) -> Lane:
    """Where an order stands in a budget: the reserve is for what reduces risk."""
    return Lane.REDUCE if order.reduces_risk or order.reduce_only else Lane.ORDER
