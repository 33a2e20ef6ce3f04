"""The real orders of `--shadow` as a run of their own, beside the paper run that they follow.

It has its own id in the same journal (that of the paper run and `SUFFIX`), and so its own pairs, orders, fills and
ledger there: the next start on the same accounts, with `--shadow` or without, finds what it left as it finds what any
real run left. Everything that keeps real orders safe is here once more: recovery, reconciliation, dead-man switches,
the kill switch, the limits of the gate, and a last look at the size of each order.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bot.clock import Clock, Timer
from bot.domain.money import money_words
from bot.domain.order import Order
from bot.domain.shadow import ShadowStatus
from bot.domain.standing import VenueStanding
from bot.engine import run_record
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.halted_start import stay_halted
from bot.engine.accounts.left_behind import LeftBehind, in_order_of_adoption, left_behind, write_missing
from bot.engine.accounts.letting_go import let_go
from bot.engine.accounts.reconciler import Reconciler
from bot.engine.accounts.recovery import Recovery, tell_adopted
from bot.engine.decision_log import DecisionLog
from bot.engine.engine import TICK_S, Engine, RunInfo
from bot.engine.halt_words import halt_words
from bot.engine.pairs import PairDesk
from bot.engine.route_state import RouteState
from bot.engine.shadow.desk import ShadowDesk
from bot.engine.shadow.minimum import MinimumSizeActions
from bot.engine.shadow.twins import Walk
from bot.engine.watches.dead_man import DeadMan
from bot.engine.watches.venue_watch import VenueWatch
from bot.errors import PreflightFailed, StorageError
from bot.execution.journal_replay import LeftPair
from bot.ports import Actions, HasAccounts, Journal, PaysFunding, QuoteDrivenVenue, RecordKind
from bot.risk.gate import TradingState
from bot.risk.halt_flag import HaltFlag
from bot.risk.kill_switch import KillSwitch

SUFFIX = "s"
"""Of a run's id: the real orders beside it."""
CLOSING_S = 10.0
"""At the end of a run: twins that are open are closed, and waited for so long."""


@runtime_checkable
class TellsMeetings(Protocol):
    """A paper venue that tells of every order right before it meets the book."""

    on_meeting: Callable[[Order, Walk], None] | None


@dataclass(frozen=True, slots=True)
class RealSide:
    """Where the real orders go, and whose they are."""

    venue: Callable[[Mapping[Any, Any]], QuoteDrivenVenue]
    """Builds it from the fees of each feed."""
    journal: Journal
    """Of the run with `SUFFIX`."""
    real_money: bool
    accounts: Mapping[str, str] | None
    """Venue -> whose; None: what is held ends with the run."""
    no_orders_at: frozenset[str]


class ShadowRun:
    """Real twins for one engine's paper pairs, from its start to its end."""

    def __init__(
        self,
        side: RealSide,
        engine: Engine,
        paper_venue: QuoteDrivenVenue,
        paper_journal: Journal,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        """Follow the desk of `engine`; nothing happens before `look_back`.

        Args:
            side: The real orders.
            engine: Trades paper money.
            paper_venue: Fills its orders.
            paper_journal: Of the engine's run: comparisons go there.
            clock: Of the wall.
            log: Takes a level and a line for a person.
        """
        info = engine.run
        self._info: RunInfo = replace(info, run_id=info.run_id + SUFFIX, real_money=side.real_money)
        self._paper_id = info.run_id
        self._engine = engine
        self._side = side
        self._journal = side.journal
        self._clock = clock
        self._log = log
        self._instruments = [slot.instrument for slot in engine.slots]
        self._left = LeftBehind()
        self._pairs: list[LeftPair] = []
        self._reconciler: Reconciler | None = None
        self._timer: Timer | None = None
        self._data_dir: Path = engine.settings.data_dir
        settings = engine.settings
        cap_bps = settings.execution.price_cap_bps
        self._routes = {
            state.route.id: RouteState(state.route, state.watch, state.buy, state.sell, cap_bps)
            for state in engine.routes
        }
        self.venue = side.venue(engine.fees)
        self.desk = self._desk()
        self.twins = ShadowDesk(
            run_id=self._info.run_id,
            money=money_words(info.market, side.real_money),
            paper=engine.desk,
            real=self.desk,
            routes=self._routes,
            journal=paper_journal,
            clock=clock,
            max_notional=settings.shadow.max_order_notional,
            no_orders_at=side.no_orders_at,
        )
        if isinstance(paper_venue, TellsMeetings):
            paper_venue.on_meeting = self.twins.on_meeting
        self._kill = KillSwitch(settings.data_dir, self.desk.gate, clock, self.desk.executor.withdraw)
        self.desk.before_sending = self._kill.look
        self._venues = VenueWatch(self.venue, self.desk.gate, self.desk.in_hand, self.event, clock)
        self._dead_man = DeadMan(self.venue, clock, settings.execution.dead_man_s)

    def _desk(self) -> PairDesk:
        engine = self._engine
        return PairDesk(
            run_id=self._info.run_id,
            slots=engine.slots,
            feeds=engine.feeds,
            routes=list(self._routes.values()),
            venue=self.venue,
            journal=self._journal,
            clock=self._clock,
            settings=engine.settings,
            fees=engine.fees,
            decisions=DecisionLog(self._journal, None),
            cooldown_s=0.0,
            log=self._say,
            door=self._door,
        )

    def _door(self, venue: QuoteDrivenVenue) -> Actions:
        settings = self._engine.settings
        slots = {slot.instrument.id: slot for slot in self._engine.slots}
        return MinimumSizeActions(
            venue,
            pairs=lambda: self.desk.executor.pairs,
            quotes=lambda instrument: slots[instrument.id].quote,
            price_cap_bps=settings.execution.price_cap_bps,
            max_notional=settings.shadow.max_order_notional,
            on_refused=lambda why: self.desk.gate.halt(f"our bug: {why}"),
        )

    def _say(self, level: str, text: str) -> None:
        self._log(level, f"shadow: {text}")

    def event(self, level: str, text: str) -> None:
        """Something a person should know: journal and log."""
        self._journal.record(RecordKind.EVENT, level, self._clock.now_ns(), {"level": level, "text": text})
        self._say(level, text)

    # From start to end

    def look_back(self) -> None:
        """Read what earlier runs on the real accounts left, then write down that this one begins.

        Raises:
            PreflightFailed: If one of them left a pair that is no twin: it may be large, and somebody wants it held.
            StorageError: If the journal cannot be read.
        """
        now_ns, accounts = self._clock.now_ns(), self._side.accounts
        self._left = left_behind(self._data_dir, accounts, self._instruments, now_ns)
        strangers = [one.pair.id for one in self._left.pairs if not is_twin(one.pair.id)]
        if strangers:
            what = "close it first (without --shadow: --mode flatten), or start without --shadow"
            raise PreflightFailed("\n".join(f"pair {one} is of a run without --shadow: {what}" for one in strangers))
        take_up = self._left.take_up
        self._left.take_up = lambda pair_id: take_up(pair_id) if is_twin(pair_id) else None
        missing = self._left.missing_parts
        self._realised = realised_today(self._data_dir, accounts, self._instruments, now_ns, missing=missing)
        self.desk.portfolio.restore_today(self._realised, now_ns)
        self._record_start(now_ns)

    async def open(self) -> None:
        """Connect, and settle with the venues what earlier runs left.

        Raises:
            VenueError: If a venue cannot be used.
            PreflightFailed: If the accounts are not what the journal says.
        """
        await self.venue.start()
        if isinstance(self.venue, HasAccounts):
            settings, accounts = self._engine.settings.reconciliation, self.venue.account_questions()
            recovery = Recovery(
                self._left, accounts, self._instruments, self._journal, self._clock, settings, self.event
            )
            self._pairs = await recovery.settle()
            self.desk.portfolio.quarantine.update(recovery.quarantined)
        if self._left.reopened:
            now_ns, left = self._clock.now_ns(), self._left
            who = self._data_dir, self._side.accounts, self._instruments
            others = realised_today(*who, now_ns, left.reopened, left.missing_parts)
            self.desk.portfolio.restore_today(others - self._realised, now_ns)

    def start(self, flag: HaltFlag | None, wants_closed: Callable[[str, int | None], bool]) -> None:
        """Follow from now on. A twin of an earlier run has nobody beside it any more: it is closed.

        Beside a person's halt (`flag`) it is left alone until they want it closed.
        """
        self.desk.start()
        if flag is not None:
            stay_halted(flag, self._pairs, self.desk.gate, wants_closed, self.event)
        for left in in_order_of_adoption(self._pairs):
            what = f"{left.pair.id}, which was {left.pair.state}, and holds {left.held_words()}"
            self.event("warning", f"adopted twin {what}")
            self.desk.adopt(left)
        self.desk.executor.flatten()
        write_missing(self._journal, self._left)
        if self._left.since_ns is not None and isinstance(self.venue, PaysFunding):
            self.desk.remember(self._left.lately)
            self.venue.ask_for_funding(self._left.since_ns, self._left.payments)
        if self._side.accounts is not None:
            tell_adopted(self._journal, self._clock, self._pairs)
        self._reconcile()
        for watch in (self._kill, self._venues, self._dead_man, self._reconciler):
            if watch is not None:
                watch.start()
        self._tick()
        self._say(
            "info",
            f"{self.twins.status().money}: beside each paper pair a real one of the least size that its venues take",
        )

    def _reconcile(self) -> None:
        if isinstance(self.venue, HasAccounts):
            every_s = self._engine.settings.execution.reconcile_every_s
            accounts = self.venue.account_questions()
            self._reconciler = Reconciler(
                accounts, self.desk, self._instruments, self._clock, every_s, self.event, self._left
            )

    def _tick(self) -> None:
        self.desk.tick(self._clock.now_ns())
        self._timer = self._clock.call_later(TICK_S, self._tick)

    def stop_watching(self) -> None:
        """Compare and look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        for watch in (self._kill, self._venues, self._reconciler):
            if watch is not None:
                watch.stop()

    async def close(self, wait_s: float) -> None:
        """Close every twin, let no order stay behind, and disconnect.

        What cannot be closed in `CLOSING_S`, and everything where real orders were halted, stays open and is named.
        """
        if not self.is_halted:
            await self._close_twins()
        await let_go(self.desk.executor, self._clock, wait_s)
        self._dead_man.stop()
        await self.venue.stop()

    async def _close_twins(self) -> None:
        pairs, flat = self.desk.executor.pairs, asyncio.Event()
        self.twins.on_over = lambda: None if pairs else flat.set()
        if self.desk.executor.flatten():
            with suppress(TimeoutError):  # what is left is named at the end
                await asyncio.wait_for(flat.wait(), CLOSING_S)

    def finish(self, *, complete: bool) -> None:
        """Write down what the real orders came to."""
        self.desk.finish()
        now_ns = self._clock.now_ns()
        body = run_record.end(self.summary(), self._engine.slots, now_ns, complete=complete)
        with suppress(StorageError):  # a lost journal has been told already
            self._journal.record(RecordKind.RUN, self._info.run_id, now_ns, body)

    # For others

    def journal_failed(self, why: str) -> None:
        """The journal is lost, or for now."""
        self.desk.journal_failed(why)

    def status(self) -> ShadowStatus:
        """How the twins stand now."""
        return self.twins.status()

    def summary(self) -> dict[str, Any]:
        """The same in plain data, for the end of a run."""
        return {**self.status().model_dump(mode="json"), "shadow_of": self._paper_id}

    def standings(self) -> tuple[VenueStanding, ...]:
        """How we stand with the venues that real orders go to."""
        return self._venues.standings()

    @property
    def has_left(self) -> bool:
        """Whether earlier runs left twins that are to be closed; known once it is open."""
        return bool(self._pairs)

    def halted(self, *, is_kept: bool) -> str | None:
        """Why real orders were stopped for good, in words; None where they were not. `is_kept`: after a restart too."""
        words = halt_words(self.desk.gate, is_kept=is_kept)
        return f"real orders {words}" if words else None

    @property
    def is_halted(self) -> bool:
        """Whether real orders were stopped for good."""
        return self.desk.gate.state is TradingState.HALTED

    def _record_start(self, now_ns: int) -> None:
        engine, accounts = self._engine, self._side.accounts
        body = run_record.beginning(self._info, accounts, self._instruments, engine.fees, {})
        body["shadow_of"] = self._paper_id
        self._journal.record(RecordKind.RUN, self._info.run_id, now_ns, body)


def is_twin(pair_id: str) -> bool:
    """Whether a pair of that id is the real twin of a paper pair."""
    return pair_id.rpartition("-")[0].endswith(SUFFIX)
