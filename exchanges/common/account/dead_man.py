"""A venue's dead-man switch as we use it: armed where orders rest, petted, put away; a refusal is said once."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bot.domain.instrument import Instrument
from bot.domain.order import Order
from bot.errors import AuthenticationFailed, VenueError
from exchanges.common.background import Log, report_failure
from exchanges.common.requests.refusals import Code, Refusal

_LAST_WORD_S = 2.0
"""So long an orderly end waits for the switches to be put away."""


class DeadManGateway(Protocol):
    """One venue's switch."""

    def guards(self, instrument: Instrument) -> bool:
        """Whether the venue has one for orders on it."""

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        """Cancel the orders on these after `within_s` without another word; 0: do not.

        Raises:
            Refusal: The venue does not offer it to this account.
            VenueError: It could not be asked.
        """

    def scope(self, instrument: Instrument) -> str:
        """What a word about it is about: the instruments of one scope are armed and put away together."""


class DeadManSwitch:
    """Knows which instruments need it. All calls come on the loop's thread."""

    def __init__(self, gateway: DeadManGateway, log: Log, resting: Callable[[], frozenset[Instrument]]) -> None:
        """Nothing is armed.

        Args:
            gateway: How the venue is asked.
            log: Takes a line for a person.
            resting: Instruments on which orders of ours may rest now.
        """
        self._gateway = gateway
        self._log = log
        self._resting = resting
        self._within_s = 0.0
        self._armed: frozenset[Instrument] = frozenset()
        self._is_refused = False
        self._told: set[Code | None] = set()
        """Refusals that a person knows of, by the venue's code."""
        self._tasks: set[asyncio.Task[None]] = set()

    def pet(self, within_s: float) -> None:
        """Let the venue wait for `within_s` from now; 0: put it away."""
        self._within_s = within_s
        wanted = self._wanted()
        if within_s:
            self._ask(wanted, within_s)
        else:  # what rests all the same is better cancelled by the venue than forgotten
            kept = {self._gateway.scope(one) for one in wanted}
            self._ask(frozenset(one for one in self._armed if self._gateway.scope(one) not in kept), 0.0)
        self._armed = wanted if within_s else frozenset()

    def on_submit(self, order: Order) -> None:
        """An order is about to be sent: one that may rest is guarded from now on."""
        if self._within_s and order.time_in_force.rests and order.instrument not in self._armed:
            instrument = frozenset((order.instrument,)) if self._gateway.guards(order.instrument) else frozenset()
            self._ask(instrument, self._within_s)
            self._armed |= instrument

    async def stop(self) -> None:
        """Wait a moment for what was asked last."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_LAST_WORD_S)
        for task in self._tasks:
            task.cancel()

    def _wanted(self) -> frozenset[Instrument]:
        return frozenset(one for one in self._resting() if self._gateway.guards(one))

    def _ask(self, instruments: frozenset[Instrument], within_s: float) -> None:
        if instruments and not self._is_refused:
            task = asyncio.get_running_loop().create_task(self._set(instruments, within_s))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        try:
            await self._gateway.set(instruments, within_s)
        except AuthenticationFailed as refusal:
            self.on_refused(str(refusal))
        except Refusal as refusal:
            # Of one instrument, it may be: one that is being taken off must not leave all others without.
            self._tell_refusal(str(refusal), refusal.code)
        except VenueError as error:
            # The next turn asks again; until the venue's own time is over, the one before still holds.
            self._log("warning", f"the dead-man switch could not be set: {error}")

    def on_refused(self, why: str) -> None:
        """The venue does not offer it to this account: said once, and not asked again."""
        self._tell_refusal(why, None)
        self._is_refused = True

    def _tell_refusal(self, why: str, code: Code | None) -> None:
        if not self._is_refused and code not in self._told:
            self._told.add(code)
            self._log("warning", f"no dead-man switch: {why}; orders that rest stay if this program dies")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        report_failure(task)
