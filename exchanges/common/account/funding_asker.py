"""Asks a venue for funding payments whenever some are due: not every venue's streams tell them."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Protocol

from bot.clock import Clock
from bot.domain.account import FundingPayment
from bot.errors import VenueError
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.background import Log, pause

_TOGETHER_S = 0.1
"""What falls due within this time is asked for once: a venue says so instrument by instrument."""
_AFTER_S = (0.5, 1.0, 2.0, 5.0, 20.0, 60.0)
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
        there does not say that nothing comes after it. What falls due meanwhile begins the questions anew.
        """
        waits: Iterator[float] = iter(())
        while True:
            if await self._falls_due(next(waits, None)):
                await pause(self._clock, _TOGETHER_S)
                self._desk.due.clear()
                waits = iter(_AFTER_S)
            await self._answered()

    async def _falls_due(self, wait_s: float | None) -> bool:
        """Whether some is due before so many seconds are over; None: however long it takes."""
        due = self._desk.due
        if wait_s is None:
            return await due.wait()
        ends = {asyncio.ensure_future(due.wait()), asyncio.ensure_future(pause(self._clock, wait_s))}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return due.is_set()

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
