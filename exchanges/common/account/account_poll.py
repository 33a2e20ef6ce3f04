"""An account that no stream tells of: its balances, asked for after fills and now and then.

Orders on their way are asked for by whoever carries them (`OrderCarrier`), those that rest too.
"""

import asyncio
from collections.abc import Callable

from bot.clock import Clock
from bot.errors import AuthenticationFailed, RateLimited, VenueError
from exchanges.common.account.asked_account import LoadedAccount
from exchanges.common.account.venue_state import VenueState
from exchanges.common.background import Log, pause

AFTER_FILL_S = 1.0
"""A venue's balances may be a little behind its trades, and a burst of fills is one change."""
IDLE_S = 20.0
_REFUSED_S = 60.0
_UNHEARD_AFTER = 2
"""Questions in a row without an answer."""
_NAME = "its account"


class AccountPoll:
    """One account's; `run` goes on until it is cancelled. All calls come on the loop's thread."""

    def __init__(
        self,
        account: LoadedAccount,
        state: VenueState,
        clock: Clock,
        log: Log,
        look_again: Callable[[], None],
    ) -> None:
        """Nothing is asked yet.

        Args:
            account: Loads the balances.
            state: Hears whether the account can be asked.
            clock: Measures every wait.
            log: Takes a line for a person.
            look_again: Has every order that is on its way asked for, after a time in which nothing could be.
        """
        self._account = account
        self._state = state
        self._clock = clock
        self._log = log
        self._look_again = look_again
        self._due = asyncio.Event()
        self._failures = 0

    def on_fill(self) -> None:
        """Balances are others than they were."""
        self._due.set()

    async def run(self) -> None:
        """Keep balances new."""
        while True:
            if await self._fell_due(IDLE_S):
                await pause(self._clock, AFTER_FILL_S)
            self._due.clear()
            await self._ask()

    async def _fell_due(self, delay_s: float) -> bool:
        """Whether there was a fill before the time was over."""
        until_ns = self._clock.monotonic_ns() + round(delay_s * 1e9)
        timer = self._clock.call_later(delay_s, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()
        return self._clock.monotonic_ns() < until_ns

    async def _ask(self) -> None:
        try:
            await self._account.load_account()
        except RateLimited as limited:
            # Our own budget's word, or the venue's: it is there, and balances can wait.
            await pause(self._clock, limited.retry_after_s or 0.0)
        except VenueError as error:
            await self._failed(error)
        else:
            if self._failures >= _UNHEARD_AFTER:
                self._log("info", "the account can be asked for again: asking for what was missed")
                self._state.on_heard(_NAME)
                self._look_again()
            self._failures = 0

    async def _failed(self, error: VenueError) -> None:
        self._failures += 1
        self._state.on_error(error)
        if self._failures == _UNHEARD_AFTER:
            self._log("warning", f"the account cannot be asked for: {error}; nothing new is risked there")
            self._state.on_unheard(_NAME, "it cannot be asked")
        refused_s = _REFUSED_S if isinstance(error, AuthenticationFailed) else 0.0
        await pause(self._clock, max(refused_s, error.retry_after_s or 0.0))
