"""What a person asks of a run: pause, resume, flatten, for everything or one route; halt; stop.

Every wish is an event of the journal, with who had it. What was paused stays paused when the bot starts again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bot.clock import Clock
from bot.control.messages import Command
from bot.engine.keeper import Keep, at_once
from bot.engine.pairs import PairDesk
from bot.engine.pauses import Pause, Pauses
from bot.engine.route_state import RouteState
from bot.risk.gate import Cause, TradingState
from bot.risk.halt_flag import raise_flag
from bot.text import inert


class Person:
    """Carries out commands. All calls come on the engine's thread."""

    def __init__(
        self,
        desk: PairDesk,
        routes: Sequence[RouteState],
        data_dir: Path | None,
        event: Callable[[str, str], None],
        clock: Clock,
        stop: Callable[[], None],
        keep: Keep = at_once,
    ) -> None:
        """Build it.

        Args:
            desk: Pauses, closes and halts.
            routes: Of the run.
            data_dir: Where pauses and the halt flag are kept; None: they end with the run.
            event: Takes a level and a line for a person; for the journal too.
            clock: Of the wall: it dates what is kept.
            stop: Ends the run in order.
            keep: Does what has to wait for the disk.
        """
        self._desk = desk
        self._routes = {state.route.id: state for state in routes}
        self._data_dir = data_dir
        self._event = event
        self._clock = clock
        self._stop = stop
        self._keep = keep
        self._asked = self._kept = 0
        """Writes of pauses, each of them of all, and the newest that the disk has taken."""
        self._pauses = Pauses(data_dir, self._keep_pauses)

    def start(self) -> None:
        """Let hold what earlier runs were asked for, and say so."""
        pauses = self._pauses
        if pauses.trouble:
            self._event("error", pauses.trouble)
        if pauses.everything is not None:
            self._desk.gate.reduce(Cause.PERSON, f"paused before this run by {pauses.everything.by}")
        for route, pause in pauses.routes.items():
            known = "" if route in self._routes else "; it is no route of this run"
            self._event("warning", f"{route} is paused, since before this run by {pause.by}{known}")
        self._apply()

    @property
    def paused(self) -> tuple[str, ...]:
        """Ids of the routes that are paused; an empty one stands for everything."""
        return (*([] if self._pauses.everything is None else [""]), *self._pauses.routes)

    @property
    def are_pauses_kept(self) -> bool:
        """Whether a restart knows of them by now."""
        return self._kept == self._asked

    def on_command(self, command: Command) -> None:
        """Do it; what cannot be done is said, and changes nothing."""
        who, route = command.by or "somebody", command.route
        # A pause may be of a route that an earlier run had.
        if route is not None and route not in self._routes and route not in self._pauses.routes:
            self._event("warning", f"{who} asked to {command.command} {inert(route)}: no route of this run")
            return
        self._event("warning", f"{who} asked to {command.command} {route or 'everything'}")
        match command.command:
            case "stop":
                self._stop()
            case "halt":
                self._halt(who)
            case "pause" | "flatten":
                self._pause(route, Pause(self._clock.now_ns(), who, command.command == "flatten"))
            case "resume":
                self._resume(route, who)

    def _halt(self, who: str) -> None:
        self._desk.gate.halt(f"halt was asked for by {who}", lasting=False)  # the flag is theirs, and is set here
        if self._data_dir is None:
            return
        why, now_ns = "asked for at the run's own controls", self._clock.now_ns()
        self._keep(partial(raise_flag, self._data_dir, why, who, now_ns), self._halt_not_kept)

    def _halt_not_kept(self, why: str) -> None:
        self._event("error", f"the halt is not durable: {why}: a restart would trade")

    def _pause(self, route: str | None, pause: Pause) -> None:
        if route is None:
            self._desk.gate.reduce(Cause.PERSON, f"paused by {pause.by}")
        self._pauses.set(route, pause)
        if pause.is_leaving:
            self._desk.thaw(route)
        self._apply()

    def _keep_pauses(self, write: Callable[[], None]) -> None:
        self._asked += 1
        number = self._asked

        def work() -> None:  # on the thread that waits for the disk
            write()
            self._kept = number

        self._keep(work, partial(self._event, "error"))

    def wants_closed(self, route: str, since_ns: int | None) -> bool:
        """Whether what a route holds was to be closed by a wish that is younger than `since_ns` (UTC ns)."""
        wishes = (self._pauses.everything, self._pauses.routes.get(route))
        return since_ns is not None and any(
            wish is not None and wish.is_leaving and wish.since_ns > since_ns for wish in wishes
        )

    def _resume(self, route: str | None, who: str) -> None:
        self._pauses.lift(route)
        self._apply()
        if route is None:
            self._desk.gate.resume(Cause.PERSON, f"resume was asked for by {who}")
        if self._pauses.everything is not None:
            self._event("warning", "everything is paused still")
        if self._pauses.routes:
            self._event("warning", f"still paused: {', '.join(self._pauses.routes)}")
        gate = self._desk.gate
        others = [why for cause, why in gate.causes.items() if cause is not Cause.PERSON]
        if others and gate.state is TradingState.REDUCING:
            self._event("warning", f"REDUCING all the same, and until it is well again: {'; '.join(others)}")
        if gate.state is TradingState.HALTED:
            self._event("warning", "HALTED all the same: a halt ends with --mode resume --halt and a restart")

    def _apply(self) -> None:
        """Every route as it should be by now."""
        everything = self._pauses.everything
        for id_, state in self._routes.items():
            own = self._pauses.routes.get(id_)
            state.is_paused = own is not None
            state.is_leaving = any(pause is not None and pause.is_leaving for pause in (own, everything))
            if state.is_paused:
                self._desk.take_back(state)
            if state.is_leaving:
                self._desk.leave(state)
        if everything is not None and everything.is_leaving:
            self._desk.executor.flatten()  # pairs of earlier runs may be of no route of this one
            self._desk.chains.flatten()
