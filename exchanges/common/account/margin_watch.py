"""Asks a venue how positions stand: after each change of them, and now and then while there are any."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from bot.clock import Clock
from bot.errors import AuthenticationFailed, VenueError
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log, pause

BETWEEN_S = 0.5
"""At least, between two questions: a burst of fills is one change."""
AT_LEAST_EVERY_S = 5.0
"""While a position is open: Binance's stream tells no margin at all, and marks move without a word from anybody."""
_REFUSED_S = 60.0
"""Who does not take our key is not asked again and again."""


class MarginGateway(Protocol):
    """The requests that it needs."""

    async def load_margins(self) -> None:
        """Put margins of positions and wallets into the wallet book.

        Raises:
            VenueError: The venue cannot be asked, or refuses.
        """

    async def load_tiers(self) -> Sequence[str]:
        """Put margin tiers into the wallet book; names what of the answer cannot be used.

        Raises:
            VenueError: The venue cannot be asked, or refuses.
        """


class MarginWatch:
    """One venue's; `run` goes on until it is cancelled."""

    def __init__(self, gateway: MarginGateway, wallets: WalletBook, clock: Clock, log: Log) -> None:
        self._gateway = gateway
        self._wallets = wallets
        self._clock = clock
        self._log = log
        self._due = asyncio.Event()
        self._has_tiers = False
        self._failing = False
        wallets.on_news = self._due.set

    async def ask_tiers(self) -> None:
        """Ask once; a venue that does not tell them is no reason not to start: what it wants is ASSUMED then."""
        try:
            wrong = await self._gateway.load_tiers()
        except VenueError as error:
            self._log("warning", f"margin tiers could not be asked for, maintenance margin is ASSUMED: {error}")
            return
        self._has_tiers = True
        for line in wrong:
            self._log("warning", f"margin tiers of {line}; its maintenance margin is ASSUMED")

    async def run(self) -> None:
        """Keep margins new."""
        while True:
            await pause(self._clock, BETWEEN_S)
            await self._wait()
            if self._wallets.positions():
                await self._ask()

    async def _wait(self) -> None:
        timer = self._clock.call_later(AT_LEAST_EVERY_S - BETWEEN_S, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()
        self._due.clear()

    async def _ask(self) -> None:
        try:
            if not self._has_tiers:
                await self.ask_tiers()
            await self._gateway.load_margins()
        except VenueError as error:
            if not self._failing:  # the same line every few seconds tells nothing new
                self._log("warning", f"margins could not be asked for: {error}")
            self._failing = True
            refused_s = _REFUSED_S * isinstance(error, AuthenticationFailed)
            await pause(self._clock, max(refused_s, error.retry_after_s or 0.0))
        else:
            self._failing = False
