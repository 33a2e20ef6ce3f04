"""The engine as a run has it, without files to read: decoders, gate, windows, statistics, strategy, paper, journal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.frames import Market
from bot.clock import Clock, VirtualClock
from bot.domain.fees import FeeSchedule
from bot.engine.engine import Engine, RunInfo
from bot.engine.terms.rates import fee_schedules
from bot.settings import PaperSettings, Settings
from bot.storage.journal import SqliteJournal
from exchanges.paper.actions import PaperActions
from exchanges.registry import all_venues
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

OnFrame = Callable[[bytes, int], None]
_NOTHING = Decimal(0)
_WALLETS = ("binance.spot", "binance.linear", "bybit.unified")


class Rig:
    """An engine over the two instruments of a market, and a decoder for each of its feeds."""

    def __init__(self, market: Market, clock: Clock, journal: SqliteJournal, *, free: bool = False) -> None:
        """`free`: no fees, so that it trades."""
        instruments = [quotes.instrument for quotes in market.feeds]
        feeds = [instrument.feed for instrument in instruments]
        balances = {wallet: {"USDT": 100_000, "BTC": 2, "ETH": 30} for wallet in _WALLETS}
        settings = Settings(paper=PaperSettings.model_validate({"balances": balances}))
        venues = all_venues()
        published = {feed: fees for feed in feeds if (fees := venues[feed.venue].published_fees(feed)) is not None}
        fees = fee_schedules(feeds, published, settings)
        if free:
            fees = {feed: FeeSchedule(feed=feed, maker_bps=_NOTHING, taker_bps=_NOTHING, source="") for feed in feeds}
        self.venue = PaperActions(instruments, fees, settings.paper, clock)
        self.engine = Engine(
            run=RunInfo("benchmark", "arbitrage", "recorded", False, "", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(ArbitrageSettings()),
            venue=self.venue,
            journal=journal,
            clock=clock,
            settings=settings,
            fees=fees,
            assumed_funding_bps_per_8h=dict.fromkeys(feeds, 0.0),
            log=lambda level, text: None,
        )
        self.on_frame: list[OnFrame] = [
            venues[quotes.instrument.venue].decoder(quotes.instrument.feed, {quotes.symbol: slot}, self.engine).on_frame
            for slot, quotes in enumerate(market.feeds)
        ]


class ReplayRig(Rig):
    """A rig on a virtual clock."""

    def __init__(self, market: Market, journal: SqliteJournal, start_ns: int, *, free: bool = False) -> None:
        self.clock = VirtualClock(start_ns)
        super().__init__(market, self.clock, journal, free=free)
        self.engine.start()

    def play(self, frames: list[tuple[int, int, bytes]]) -> None:
        """What the player of recordings does: the clock, the decoder, the decision; each frame is a batch."""
        advance_to, decide = self.clock.advance_to, self.engine.on_batch_end
        handlers = self.on_frame
        for ts_ns, feed, raw in frames:
            advance_to(ts_ns)
            handlers[feed](raw, ts_ns)
            decide(ts_ns)

    def check(self) -> None:
        """That what was measured is the real thing.

        Raises:
            RuntimeError: If quotes were refused or frames malformed: what is skipped is fast.
        """
        refused = [slot.refused_counts for slot in self.engine.slots if slot.refused_counts]
        malformed = sum(feed.malformed for feed in self.engine.feeds.values())
        if refused or malformed:
            raise RuntimeError(f"refused {refused}, malformed {malformed}: the figures would mean nothing")


@contextmanager
def temporary_journal() -> Iterator[SqliteJournal]:
    """A real journal, on disk, for as long as the block runs."""
    with TemporaryDirectory(prefix="crypto-pipe-benchmark-") as directory:
        journal = SqliteJournal(Path(directory), "benchmark", group_commit_ms=50, deliver=None)
        try:
            yield journal
        finally:
            journal.close()
