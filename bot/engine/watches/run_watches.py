"""What looks after a run from timers of its own: flag, disk, loop, venues, and the venues' dead-man switches."""

from collections.abc import Callable, Sequence

from bot.clock import Clock, SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.domain.standing import VenueStanding
from bot.engine.engine import Engine
from bot.engine.pairs import PairDesk
from bot.engine.watches.dead_man import DeadMan
from bot.engine.watches.fee_tokens import FeeTokens
from bot.engine.watches.lag_watch import LagWatch
from bot.engine.watches.lasting_halt import LastingHalt
from bot.engine.watches.storage_watch import Disk, StorageWatch
from bot.engine.watches.venue_watch import VenueWatch
from bot.ports import HasAccounts, QuoteDrivenVenue, RebuiltFromFills
from bot.risk.kill_switch import KillSwitch


class RunWatches:
    """Those that a run has, by its market and its money; each reduces or halts by itself."""

    def __init__(
        self,
        engine: Engine,
        venue: QuoteDrivenVenue,
        clock: Clock,
        disk: Disk | None,
        *,
        beside: Sequence[PairDesk],
        keeps_halts: bool,
        deliver: Callable[[Callable[[], None]], None],
    ) -> None:
        """Build them; nothing looks before `start`.

        Args:
            engine: Of the run.
            venue: Takes its orders.
            clock: The market's.
            disk: The journal's, where it has one that is to be watched.
            beside: Desks whose orders wait for the same disk, and whose halts last as long.
            keeps_halts: Whether what the bot halts itself for holds for later runs; else what is held ends with this
                one, and nothing is left to be careful with.
            deliver: Runs a callback on the engine's thread, from any other.
        """
        desk, settings = engine.desk, engine.settings
        self._storage: StorageWatch | None = None
        self._lasting: LastingHalt | None = None
        self._kill: KillSwitch | None = None
        self._lag: LagWatch | None = None
        if disk is not None:
            self._storage = StorageWatch(
                disk, settings.data_dir, desk.gate, engine.event, SystemClock(), settings.journal
            )
            for one in (desk, *beside):
                one.executor.on_not_durable = one.chains.on_not_durable = self._storage.reduce
        if keeps_halts:
            self._lasting = LastingHalt(settings.data_dir, SystemClock(), deliver, engine.event)
            for one in (desk, *beside):
                one.gate.on_lasting_halt = self._lasting.keep
        if isinstance(clock, SystemClock):  # by virtual time the market waits for the loop, and is of the past
            self._kill = KillSwitch(settings.data_dir, desk.gate, clock, desk.executor.withdraw)
            desk.before_sending = self._kill.look
            self._lag = LagWatch(desk.gate, engine.event, clock, settings.risk, on_step=engine.on_clock_step)
        self._venues = VenueWatch(venue, desk.gate, desk.in_hand, engine.event, clock)
        self._dead_man = DeadMan(venue, clock, settings.execution.dead_man_s)
        self._tokens: FeeTokens | None = None
        if isinstance(venue, HasAccounts) and not isinstance(venue, RebuiltFromFills):
            self._tokens = FeeTokens(lambda: _fees_now(engine), venue.balances, clock, engine.event)

    @property
    def sees_flag(self) -> bool:
        """Whether the HALT flag stands in the data directory, and halts the next start too."""
        if self._kill is not None:
            return self._kill.sees_flag
        return self._lasting is not None and self._lasting.is_kept

    def standings(self) -> tuple[VenueStanding, ...]:
        """How we stand with the venues."""
        return self._venues.standings()

    def start(self) -> None:
        """Begin to look."""
        for watch in (self._kill, self._storage, self._lag, self._venues, self._dead_man, self._tokens):
            if watch is not None:
                watch.start()

    def stop(self) -> None:
        """Look no further; the venues' own switches stay armed until no order is out any more."""
        for watch in (self._kill, self._storage, self._lag, self._venues, self._tokens):
            if watch is not None:
                watch.stop()

    def disarm(self) -> None:
        """No order is out any more."""
        self._dead_man.stop()

    def finish(self) -> None:
        """The run ends: what it was halted for is on the disk, or said not to be."""
        if self._lasting is not None:
            self._lasting.finish()


def _fees_now(engine: Engine) -> dict[Feed, FeeSchedule]:
    """As the venues told them last."""
    return {slot.instrument.feed: slot.fees for slot in engine.slots if slot.fees is not None}
