"""Asks a venue for funding payments whenever some are due: not every venue's streams tell them."""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Protocol

from bot.clock import Clock
from bot.domain.account import FundingPayment
from bot.errors import VenueError
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.background import Log, pause

_AFTER_S = (0.0, 0.5, 1.0, 2.0, 5.0, 20.0, 60.0)
"""Between the questions: a venue's books may be a minute behind, and nobody says again that there is something in them
before the next settlement, hours later."""
_RETRY_S = (1.0, 2.0, 5.0, 10.0)


class TellsMissedFunding(Protocol):
    """What of a venue's private requests this needs."""

    async def missed_funding(self) -> Sequence[FundingPayment]:
        """Funding since the last call; some of it may have been told already.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """


class FundingAsker:
    """Asks, and tells each payment once, by a desk."""

    def __init__(self, account: TellsMissedFunding, desk: FundingDesk, clock: Clock, log: Log) -> None:
        """Nothing is asked before `run` or `take`."""
        self._account = account
        self._desk = desk
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        """Ask whenever some is due, for as long as it is not cancelled.

        A venue's books may be a little behind its streams, and one instrument's behind another's: that something was
        there does not say that nothing comes after it.
        """
        while True:
            await self._desk.due.wait()
            self._desk.due.clear()
            for wait_s in _AFTER_S:
                await pause(self._clock, wait_s)
                await self._answered()

    async def take(self) -> None:
        """Ask once.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        for payment in await self._account.missed_funding():
            self._desk.take(payment)

    async def _answered(self) -> None:
        """Asked until the venue answers, for nobody says a second time that it was due."""
        for wait_s in chain(_RETRY_S, repeat(_RETRY_S[-1])):
            try:
                await self.take()
            except VenueError as error:
                self._log("warning", f"funding could not be asked for: {error}")
                await pause(self._clock, max(wait_s, error.retry_after_s or 0.0))
            else:
                return
