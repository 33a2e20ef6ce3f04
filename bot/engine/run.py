"""One run from start to end: market, engine, journal, control socket, and the order in which they stop."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from bot.clock import SystemClock
from bot.control.messages import Command
from bot.control.server import ControlServer
from bot.domain.fees import FeeSchedule, FeeTier
from bot.domain.instrument import Feed
from bot.domain.route import Decision
from bot.domain.snapshot import Snapshot, UpkeepStatus
from bot.engine import run_record
from bot.engine.accounts.bringing_home import bring_home
from bot.engine.accounts.halted_start import refused, stay_halted
from bot.engine.accounts.letting_go import let_go
from bot.engine.accounts.reconciler import Reconciler
from bot.engine.break_even import BreakEvenDesk
from bot.engine.comparison import Comparison, short_line
from bot.engine.ending import Ending, StoppedEarlyError
from bot.engine.engine import Engine, RunInfo
from bot.engine.keeper import Keeper, at_once
from bot.engine.person import Person
from bot.engine.run_words import opening_lines
from bot.engine.shadow.run import RealSide, ShadowRun
from bot.engine.snapshot import take_snapshot
from bot.engine.summary import run_summary
from bot.engine.takeover import Takeover
from bot.engine.terms.rates import assumed_funding, fee_schedules
from bot.engine.watches.run_watches import RunWatches
from bot.engine.watches.storage_watch import Disk
from bot.errors import BotError, InvariantError, StorageError, VenueError
from bot.masking import masked
from bot.patience import Patience
from bot.ports import (
    Journal,
    Market,
    MarketEnd,
    MarketSink,
    QuoteDrivenVenue,
    RecordKind,
    RouteTerms,
    Strategy,
)
from bot.ports.transfers import AccountCarrier, Carrier
from bot.risk.gate import TradingState
from bot.risk.halt_flag import HaltFlag
from bot.settings import Settings

SOCKET = Path("run") / "engine.sock"
"""Of the control socket, below the data directory."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    summary: dict[str, Any]
    complete: bool
    reasons: tuple[str, ...]
    interrupted: bool
    """By a person or the system: `bot.signals`."""
    halted: bool
    lost: VenueError | None = None
    """Why the market was gone before its end."""


class Beside(Protocol):
    """What goes on beside a run and never decides: the market memory."""

    async def attach(self, engine: Engine) -> MarketSink:
        """Where market data goes: to the engine first; called once, before the first quote."""

    async def start(self) -> None:
        """Begin, once the market does."""

    async def stop(self) -> None:
        """Make durable what came; the journal is still open."""

    def status(self) -> UpkeepStatus:
        """Jobs and the way to MongoDB, for the screen; cheap, and right before the start too."""


class Watch(Protocol):
    """Something that goes on while the engine decides."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


class EngineRun:
    """Puts the parts of one run together and takes them apart again, in order, whatever ends it."""

    def __init__(
        self,
        *,
        info: RunInfo,
        market: Market,
        strategy: Strategy,
        venue: Callable[[Mapping[Feed, FeeSchedule]], QuoteDrivenVenue],
        settings: Settings,
        journal: Journal,
        log: Callable[[str, str], None],
        show_decision: Callable[[Decision], None] | None,
        comparison: Comparison | None = None,
        beside: Beside | None = None,
        terms: RouteTerms | None = None,
        linger_s: float = 0.0,
        disk: Disk | None = None,
        tiers: Mapping[Feed, Sequence[FeeTier]] | None = None,
        no_orders_at: Collection[str] = (),
        notes: Sequence[str] = (),
        watches: Sequence[Watch] = (),
        accounts: Mapping[str, str] | None = None,
        halted: HaltFlag | None = None,
        shadow: RealSide | None = None,
        patience: Patience | None = None,
        carrier: Callable[[QuoteDrivenVenue], Carrier | None] | None = None,
    ) -> None:
        """Build the run.

        Args:
            info: Names it.
            market: Where quotes come from, and whose clock moves everything.
            strategy: Decides.
            venue: Builds the venue that takes the orders, from the fees of each feed.
            settings: Of everything but the strategy.
            journal: Open for this run; closed at its end.
            log: Takes a level and one line, for a person.
            show_decision: Gets every decision.
            comparison: What another day earns, computed beside the run.
            beside: Keeps what the market says.
            terms: What is known about moving money between venues; None: nothing.
            disk: The journal's, where it has one that is to be watched.
            linger_s: How long the control socket tells the summary to those who come late, unless it is stopped.
            tiers: Each venue's price list, from the lowest tier: at which of them a route would trade.
            no_orders_at: Venues that nobody can send orders to.
            notes: What else a person should know before the first decision, a line each.
            watches: Started when the engine has been, and stopped before what it traded with goes away.
            accounts: Whose money is traded with, by venue: pairs that an earlier run on the same left open are taken
                over. None: what is held ends with the run.
            halted: The flag that stood in the data directory before: nothing is opened, and what is left open is looked
                after.
            shadow: Real orders of minimum size beside the run's own; None: there are none.
            patience: With venues that are away when the run begins.
            carrier: Builds what moves amounts of chains between venues, from what takes the orders; None: nothing does.
        """
        self._info = info
        self._market = market
        self._ending = Ending(self._on_bug, self._log)
        self._journal = journal
        self._log_line = log
        self._more_watches = tuple(watches)
        self._accounts = accounts
        self._halted = halted
        self._reconciler: Reconciler | None = None
        feeds = tuple(dict.fromkeys(instrument.feed for instrument in market.instruments))
        self._fees = fee_schedules(feeds, market.published_fees, settings)
        self._funding = assumed_funding(feeds, settings)
        self._venue = venue(self._fees)
        self._carrier = None if carrier is None else carrier(self._venue)
        self.engine = Engine(
            run=info,
            instruments=market.instruments,
            strategy=strategy,
            venue=self._venue,
            journal=journal,
            clock=market.clock,
            settings=settings,
            fees=self._fees,
            assumed_funding_bps_per_8h=self._funding,
            log=self._log,
            show_decision=show_decision,
            terms=terms,
            no_orders_at=no_orders_at,
            carrier=self._carrier,
        )
        # Asked now: it is one once the engine listens to it.
        self._transfers = self._carrier if isinstance(self._carrier, AccountCarrier) else None
        self._takeover = Takeover(
            self.engine,
            market,
            self._venue,
            journal,
            # A market that goes by its own time had nobody before.
            data_dir=None if disk is None else settings.data_dir,
            accounts=accounts,
            carrier=self._carrier,
            patience=patience,
        )
        self._shadow: ShadowRun | None = None
        if shadow is not None:
            self._shadow = ShadowRun(shadow, self.engine, self._venue, journal, market.clock, self._log)
        self._surface = BreakEvenDesk(self.engine, market.clock, tiers or {}, self._log)
        self.engine.bystanders.append(self._surface)
        self._data_dir = settings.data_dir
        # What stands on one leg has the time that it has in a run; a market of the past has no more quotes for it.
        self._settling_s = settings.execution.order_timeout_ms / 1e3
        if isinstance(market.clock, SystemClock):
            self._settling_s = max(self._settling_s, settings.execution.unhedged_halt_s)
        self._disk = disk
        self._notes = notes
        is_now = isinstance(market.clock, SystemClock)
        self._keeper = Keeper(self._ending.deliver) if is_now else None
        self._person = Person(
            self.engine.desk,
            self.engine.routes,
            settings.data_dir if is_now else None,  # a market of the past is nobody's to stop for good
            self.engine.event,
            SystemClock(),
            self.stop,
            at_once if self._keeper is None else self._keeper.keep,
        )
        self._watches = RunWatches(
            self.engine,
            self._venue,
            market.clock,
            disk,
            beside=[] if self._shadow is None else [self._shadow.desk],
            keeps_halts=accounts is not None,
            deliver=self._ending.deliver,
        )
        self._comparison = comparison
        self._beside = beside
        self._linger_s = linger_s
        self._finished = False
        self._control = ControlServer(settings.data_dir / SOCKET, self.snapshot, self._on_command, SystemClock())

    async def run(self) -> RunResult:
        """Run to the market's end, a signal, or a `stop` command; the journal is whole and closed afterwards."""
        end = MarketEnd(complete=False, reasons=("the run failed",))
        try:
            before = await self._take_over()
            end = await self._trade(before)
        except StoppedEarlyError:
            end = MarketEnd(complete=False, reasons=("stopped before the first decision",))
        finally:
            result = await self._wind_down(end)
        if self._ending.failure is not None:
            raise self._ending.failure
        return result

    async def _take_over(self) -> list[str]:
        """Connect, and go on with what earlier runs left; what a person should know of the run before this one."""
        before = self._told_before()
        if self._shadow is not None:
            self._shadow.look_back()  # before the paper run begins: the newest run in the journal is that one
        self._record_start()
        self._takeover.restore_dust()
        await self._control.start()
        self._ending.listen()
        await self._ending.unless_stopped(self._venue.start())
        left = await self._ending.unless_stopped(self._takeover.settle())
        if self._shadow is not None:
            await self._ending.unless_stopped(self._shadow.open())
        if self._halted is not None and not left and not self._twins_left():
            raise refused(self._halted, self._data_dir)
        self.engine.start()
        self._person.start()
        if self._halted is not None:
            stay_halted(self._halted, left, self.engine.desk.gate, self._person.wants_closed, self.engine.event)
        self._reconciler = self._takeover.go_on(left)
        if self._shadow is not None:
            self._shadow.start(self._halted, self._person.wants_closed)
        return before

    async def _trade(self, before: Sequence[str]) -> MarketEnd:
        """Follow the market to its end, or to this run's; `before` is told first."""
        self._watches.start()
        for watch in self._others():
            watch.start()
        if self._transfers is not None:
            self._transfers.start()
        for line in before:
            self.engine.event("warning", line)
        for line in opening_lines(self.engine, self._info, self._fees, self._funding, self._notes):
            self._log("info", line)
        if self._comparison is not None:
            await self._comparison.start()
        sink: MarketSink = self.engine
        if self._beside is not None:
            sink = await self._beside.attach(self.engine)
            await self._beside.start()
        end = await self._market.run(sink, self._ending.stop)
        if self._ending.lost is not None:
            return MarketEnd(complete=False, reasons=(str(self._ending.lost), *self._left_open()))
        return end

    async def _wind_down(self, end: MarketEnd) -> RunResult:
        """Take everything apart in order: no order stays behind, then no connection, then the journal is closed."""
        self._watches.stop()
        for watch in self._others():
            watch.stop()
        if self._shadow is not None:
            self._shadow.stop_watching()
        if self._comparison is not None:
            await self._comparison.stop()
        if self._shadow is not None:
            await self._shadow.close(self._settling_s)
        await let_go(self.engine.desk.executor, self._market.clock, self._settling_s)
        await bring_home(self.engine.desk, self._market.clock, self.engine.settings.execution.unhedged_halt_s)
        if self._transfers is not None:
            self._transfers.stop()  # not before: what it refuses at the last has to go home
        self._watches.disarm()
        await self._venue.stop()
        if self._beside is not None:
            await self._beside.stop()
        self._watches.finish()
        if self._keeper is not None and not self._keeper.finish():
            self.engine.event("error", "the disk has not taken all that was asked for: a restart will not know")
        self.engine.stop()
        result = self._finish(end)
        try:
            self._journal.close()
        finally:  # what the disk has not taken is told by an error; a screen is told how the run ended all the same
            self._control.finished(result.summary)
            await self._linger()
            await self._control.stop()
        return result

    def _others(self) -> list[Watch]:
        """What else goes on while the engine decides."""
        found = (self._surface, self._reconciler, *self._more_watches)
        return [watch for watch in found if watch is not None]

    @property
    def venue(self) -> QuoteDrivenVenue:
        """Takes the orders."""
        return self._venue

    def money_moved(self, venue: str, asset: str, amount: Decimal, source: str, target: str) -> None:
        """The bot has moved money between two wallets of an account at a venue."""
        if self._reconciler is not None:
            self._reconciler.moved(venue, asset, amount, source, target)

    def stop(self) -> None:
        """End in order."""
        self._ending.stop.set()

    def lose(self, why: VenueError) -> None:
        """The market has gone for good, and its venues with it: end in order. Pairs that are open stay open."""
        if self._ending.lost is None and not self._finished:
            self.engine.event("error", str(why))
            self._ending.lose(why)

    def _told_before(self) -> list[str]:
        """What a person should know of the run before this one: what a crash left, and cost."""
        if self._disk is None:
            return []
        dropped = [] if self._disk.dropped is None else [self._disk.dropped]
        return [*dropped, *self._takeover.read()]

    def _twins_left(self) -> bool:
        """Whether earlier runs left real orders beside paper ones in hand."""
        return self._shadow is not None and self._shadow.has_left

    def _left_open(self) -> list[str]:
        """One line where pairs are open that nobody quotes any more: their unrealised profit is in no figure."""
        count = self.engine.desk.portfolio.open_pairs()
        pairs = "1 pair is left open, and its" if count == 1 else f"{count} pairs are left open, and their"
        return [f"{pairs} profit or loss now is not known"] if count else []

    def on_storage_failure(self, why: str) -> None:
        """The journal cannot be written: nothing new may be opened, since no intent can be durable."""
        self.engine.desk.journal_failed(why)
        if self._shadow is not None:
            self._shadow.journal_failed(why)

    async def _linger(self) -> None:
        """Wait for a terminal that is still being opened for this run; a stop ends the waiting."""
        stop = self._ending.stop
        stop.clear()
        waits = [asyncio.create_task(wait) for wait in (self._control.await_reader(self._linger_s), stop.wait())]
        _, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()

    def _finish(self, end: MarketEnd) -> RunResult:
        engine = self.engine
        engine.desk.finish()
        self._finished = True
        summary = run_summary(
            engine,
            complete=end.complete,
            incomplete_because=end.reasons,
            calm_comparison=self._compared(),
            is_halt_kept=self._watches.sees_flag,
        )
        if self._shadow is not None:
            self._shadow.finish(complete=end.complete)
            summary["shadow"] = self._shadow.summary()
            summary["halted"] = summary["halted"] or self._shadow.halted(is_kept=self._watches.sees_flag)
        now_ns = self._market.clock.now_ns()
        body = run_record.end(summary, engine.slots, now_ns, complete=end.complete)
        with suppress(StorageError):  # a lost journal has been told already, and the summary is still worth showing
            self._journal.record(RecordKind.RUN, self._info.run_id, now_ns, body)
        halted = engine.desk.gate.state is TradingState.HALTED or (self._shadow is not None and self._shadow.is_halted)
        return RunResult(summary, end.complete, end.reasons, self._ending.interrupted, halted, self._ending.lost)

    def _record_start(self) -> None:
        info, instruments = self._info, self._market.instruments
        body = run_record.beginning(info, self._accounts, instruments, self._fees, self._funding)
        self._journal.record(RecordKind.RUN, info.run_id, self._market.clock.now_ns(), body)

    def _on_bug(self, failure: BotError) -> None:
        """A callback of the loop raised: a bug of ours, or the journal is lost. Stop trading; then the run ends."""
        if not self._finished:  # afterwards nothing trades, and nothing is written down
            is_ours = isinstance(failure, InvariantError)
            self.engine.desk.gate.halt(str(failure), lasting=is_ours)

    def _on_command(self, command: Command) -> None:
        if self._finished:  # the journal is closed, and who comes late can end the waiting alone
            if command.command == "stop":
                self.stop()
            return
        self._person.on_command(command)

    def snapshot(self) -> Snapshot:
        """How the run stands now; for the engine's thread."""
        now_ns = self._market.clock.now_ns()
        return take_snapshot(
            self.engine,
            now_ns,
            self._market.printed,
            progress=self._market.progress(),
            finished=self._finished,
            comparison="" if (told := self._compared()) is None else short_line(told),
            upkeep=UpkeepStatus() if self._beside is None else self._beside.status(),
            surface=self._surface.rows(now_ns),
            venues=self._watches.standings() if self._shadow is None else self._shadow.standings(),
            shadow=None if self._shadow is None else self._shadow.status(),
            paused=self._person.paused,
            are_pauses_kept=self._person.are_pauses_kept,
            is_halt_kept=self._watches.sees_flag,
        )

    def _compared(self) -> dict[str, Any] | None:
        """The same time of the other day; None where there is none, or before the start."""
        if self._comparison is None:
            return None
        return self._comparison.told(max(0.0, (self._market.clock.now_ns() - self.engine.started_ns) / 1e9))

    def _log(self, level: str, text: str) -> None:
        text = masked(text)
        self._control.log(level, text, self._market.clock.now_ns())
        self._log_line(level, text)
