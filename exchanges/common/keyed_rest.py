"""One key's requests to a venue: stamped with its clock, refused while it bans us, and an order sent once."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.clock import Clock
from bot.errors import Banned, ClockSkew, GeoBlocked, OrderOutcomeUnknown, VenueError
from exchanges.common.api_keys import ApiKeys, Hmac
from exchanges.common.clock_offset import measure_offset
from exchanges.common.loopback import require_loopback
from exchanges.common.refusals import Refusal, ServerFault
from exchanges.common.venue_http import Answer, AnswerLost, VenueHttp

READ_S = 5.0
ORDER_S = 1.0
READ_WINDOW_MS = 5000

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
            SettingsError: If `base_url` is not on this machine.
        """
        self._base = require_loopback(base_url)
        self._key = keys.key.get_secret_value()
        self._hmac = Hmac(keys.secret)
        self._http = http
        self._clock = clock
        self._offset_ns = 0
        self._check = checked

    async def open(self) -> None:
        """Measure the venue's clock.

        Raises:
            VenueError: It cannot be asked.
        """
        self._offset_ns, _ = await measure_offset(self._server_time_ms, self._clock)

    @abstractmethod
    async def _server_time_ms(self) -> int:
        """The venue's time, UTC ms."""

    async def _asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The answer; asked once more when the venue did not like our clock."""
        try:
            return await ask()
        except ClockSkew:
            await self.open()
            return await ask()

    async def _sent_once(self, client_order_id: str, sending: Awaitable[object]) -> None:
        """A new order.

        Raises:
            OrderRejected: The venue refused it.
            OrderOutcomeUnknown: It may have arrived.
            Refusal: An order of this id may be there already.
            VenueError: It did not arrive.
        """
        try:
            await sending
        except (AnswerLost, ServerFault) as lost:
            raise OrderOutcomeUnknown(client_order_id, str(lost)) from lost
        except ClockSkew:
            await self._measure_quietly()
            raise
        except Refusal as refusal:
            if refusal.may_exist:
                raise
            raise refusal.of_order(client_order_id) from refusal

    def _checked(self, answer: Answer) -> _AnswerT:
        try:
            return self._check(answer)
        except (Banned, GeoBlocked) as ban:
            self._http.sit_out(ban)
            raise

    async def _measure_quietly(self) -> None:
        try:
            await self.open()
        except VenueError:
            # The order was refused for the clock, and that is what its owner is told.
            return

    def _now_ms(self) -> int:
        return (self._clock.now_ns() + self._offset_ns) // 1_000_000
