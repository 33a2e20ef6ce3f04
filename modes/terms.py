"""Fees, funding schedules and networks beside an engine: asked at the start, again by the timetable, and when due."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bot.domain.snapshot import UpkeepStatus
from bot.engine.engine import Engine
from bot.engine.run import Beside
from bot.engine.terms.known import Terms
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.rates import assumed_funding
from bot.engine.terms.terms_desk import TermsDesk
from bot.engine.terms.transfer_terms import TransferTerms
from bot.ports import MarketSink
from bot.settings import Settings

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket

Log = Callable[[str, str], None]
PAST_TRANSFERS = "transfers.json"


class RunTerms:
    """Implements `bot.engine.run.Beside`, around what else goes on beside the run."""

    def __init__(self, opened: "OpenMarket", settings: Settings, log: Log) -> None:
        """Nothing is asked before `open`."""
        from modes.memory import memory_dir

        self._settings = settings
        self._log = log
        self._market = market = opened.market
        # Times of simulated chains never stand among real ones.
        past = PastTransfers(memory_dir(settings) / PAST_TRANSFERS, log)
        self.terms = Terms(
            opened.terms, market.instruments, market.published_fees, opened.settings, market.clock, log, past
        )
        self.transfers = TransferTerms(self.terms, settings.terms)
        self.inner: Beside | None = None
        """Set before the run starts."""
        self._desk: TermsDesk | None = None
        self._asking: set[asyncio.Future[None]] = set()

    async def open(self) -> None:
        """Ask the venues; what they tell of fees is the market's from now on."""
        await self.terms.refresh()
        self._market.published_fees = self.terms.by_feed

    async def refresh(self) -> None:
        """Ask the venues again, and give the engine what they say."""
        if self._desk is not None:
            await self._desk.refresh()

    async def attach(self, engine: Engine) -> MarketSink:
        """Where market data goes: what else is beside first, then rates completed on their way to it."""
        behind: MarketSink = engine if self.inner is None else await self.inner.attach(engine)
        feeds = tuple(engine.feeds)
        self._desk = TermsDesk(
            self.terms, engine, self._market.clock, assumed_funding(feeds, self._settings), self._ask_beside
        )
        engine.desk.portfolio.top_up = self._top_up_s
        return self._desk.sink(behind)

    def _top_up_s(self, venue: str) -> float | None:
        """How soon margin can be at a venue, from the others of this run."""
        instruments = self._market.instruments
        others = frozenset(one.venue for one in instruments)
        assets = {one.settle for one in instruments if one.venue == venue and one.settle is not None}
        times = [self.transfers.top_up_s(venue, asset, others) for asset in sorted(assets)]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def _ask_beside(self, asking: Awaitable[None]) -> None:
        task = asyncio.ensure_future(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def start(self) -> None:
        """Begin to look for what is too old."""
        if self._desk is not None:
            self._desk.start()
        if self.inner is not None:
            await self.inner.start()

    def status(self) -> UpkeepStatus:
        """Of what else is beside the run."""
        return UpkeepStatus() if self.inner is None else self.inner.status()

    async def stop(self) -> None:
        """Ask no further."""
        if self._desk is not None:
            self._desk.stop()
        for task in tuple(self._asking):
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self.terms.stop()
        if self.inner is not None:
            await self.inner.stop()
