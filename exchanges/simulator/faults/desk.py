"""Keeps the faults that were ordered: begins and ends them, and tells the parts of the venues when one strikes."""

import itertools
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from bot.clock import Clock, Timer
from bot.domain.instrument import Segment
from bot.text import inert
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.values import Fault

Undo = Callable[[], None]
Begin = Callable[[Fault], Undo | None]
_KEPT = 1_000
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class Ordered:
    """A fault from its order to its end."""

    number: int
    fault: Fault
    state: str = "waiting"
    """`waiting`, `active`, `ended`."""
    struck: int = 0
    """How often it did something; what takes hold when it begins counts what it took hold of."""
    error: str = ""
    """What of ours failed while it began or ended; then it has ended."""
    timer: Timer | None = field(default=None, repr=False)
    undos: list[Undo] = field(default_factory=list, repr=False)


class FaultDesk:
    """All faults of a server. Parts either ask `strike` when there is occasion, or register `on` to be told.

    A part that costs something while nothing goes wrong looks at `is_quiet` or listens with `on_change` first.
    """

    def __init__(self, clock: Clock, log: Callable[[str], None] = lambda _: None) -> None:
        """Tell `log` in one line, safe for a terminal, when a fault begins and ends."""
        self._clock = clock
        self._log = log
        self._numbers = itertools.count(1)
        self._all: dict[int, Ordered] = {}
        self._active: dict[FaultKind, list[Ordered]] = {}
        self._begins: dict[FaultKind, list[Begin]] = {}
        self._listeners: list[Callable[[], None]] = []

    # Ordering

    def order(self, fault: Fault) -> int:
        """Begin it `fault.at_s` from now; its number."""
        ordered = Ordered(next(self._numbers), fault)
        self._all[ordered.number] = ordered
        self._forget_old()
        if fault.at_s:
            ordered.timer = self._clock.call_later(fault.at_s, lambda: self._begin(ordered))
        else:
            self._begin(ordered)
        return ordered.number

    def end(self, number: int) -> bool:
        """End it now; False where there is none of that number that has not ended."""
        ordered = self._all.get(number)
        if ordered is None or ordered.state == "ended":
            return False
        self._end(ordered)
        return True

    def end_all(self) -> None:
        """End every one."""
        for number in list(self._all):
            self.end(number)

    @property
    def orders(self) -> Sequence[Ordered]:
        """The newest thousand and all that have not ended, oldest first."""
        return tuple(self._all.values())

    # For the parts of the venues

    @property
    def is_quiet(self) -> bool:
        """True while nothing is active."""
        return not self._active

    def on_change(self, listener: Callable[[], None]) -> None:
        """Hear when a fault has begun or ended."""
        self._listeners.append(listener)

    def on(self, kind: FaultKind, begin: Begin) -> None:
        """Do something when a fault of this kind begins; what `begin` returns is called when it ends."""
        self._begins.setdefault(kind, []).append(begin)

    def is_active(self, kinds: Iterable[FaultKind], venue: str, segment: Segment | None) -> bool:
        """Whether any of them could strike there."""
        return any(
            one.fault.venue == venue and (segment is None or one.fault.segment in (None, segment))
            for kind in kinds
            for one in self._active.get(kind, ())
        )

    def strike(self, kind: FaultKind, venue: str, segment: Segment | None = None, name: str = "") -> Fault | None:
        """The fault that strikes here now, and counts it; None where nothing does. The last of its `count` ends it."""
        for ordered in self._active.get(kind, ()):
            if ordered.fault.is_for(venue, segment, name):
                self._count(ordered)
                return ordered.fault
        return None

    def peek(self, kind: FaultKind, venue: str, segment: Segment | None = None, name: str = "") -> Fault | None:
        """The same without counting, for one that strikes only at some of the occasions."""
        found = (one.fault for one in self._active.get(kind, ()) if one.fault.is_for(venue, segment, name))
        return next(found, None)

    def note(self, fault: Fault, times: int = 1) -> None:
        """Count what `fault` did at once when it began: `count` does not end it, since it goes on until its time."""
        # The newest, should the same value have been ordered twice: it is the one that is beginning.
        active = reversed(self._active.get(fault.fault, ()))
        ordered = next((one for one in active if one.fault is fault), None)
        if ordered is not None:
            ordered.struck += times

    def _count(self, ordered: Ordered) -> None:
        ordered.struck += 1
        most = ordered.fault.most
        if most is not None and ordered.struck >= most:
            self._end(ordered)

    def _begin(self, ordered: Ordered) -> None:
        fault = ordered.fault
        ordered.state, ordered.timer = "active", None
        self._say(ordered, f"begins: {fault.words()}")
        self._active.setdefault(fault.fault, []).append(ordered)
        for begin in self._begins.get(fault.fault, ()):
            undo = self._safely(ordered, begin, fault)
            if undo is not None:
                ordered.undos.append(undo)
        self._tell(ordered)
        if ordered.state == "ended":
            self._undo(ordered)  # it struck for the last time while it began
        elif ordered.error:
            self._end(ordered)  # half of a fault would be another one
        elif fault.lasts_s:
            ordered.timer = self._clock.call_later(fault.lasts_s, lambda: self._end(ordered))
        elif fault.most is None:
            self._end(ordered)  # it happens once, and has

    def _end(self, ordered: Ordered) -> None:
        if ordered.state == "ended":
            return
        if ordered.timer is not None:
            ordered.timer.cancel()
        was_active, ordered.state = ordered.state == "active", "ended"
        if not was_active:
            return
        kind = ordered.fault.fault
        self._active[kind].remove(ordered)
        if not self._active[kind]:
            del self._active[kind]
        self._undo(ordered)
        self._say(ordered, f"ended: {kind}, struck {ordered.struck}")
        self._tell(ordered)

    def _undo(self, ordered: Ordered) -> None:
        while ordered.undos:
            self._safely(ordered, ordered.undos.pop())

    def _tell(self, ordered: Ordered) -> None:
        for listener in tuple(self._listeners):
            self._safely(ordered, listener)

    def _say(self, ordered: Ordered, text: str) -> None:
        self._log(inert(f"SIMULATED FAULT {ordered.number} {text}"))

    def _safely(self, ordered: Ordered, act: Callable[_P, _T], *given: _P.args, **named: _P.kwargs) -> _T | None:
        """What `act` returns; None, and the fault's error, where it raises."""
        try:
            return act(*given, **named)
        except Exception as error:  # noqa: BLE001 - a bug in one fault must not take the exchanges down with it
            place = traceback.extract_tb(error.__traceback__)[-1]
            ordered.error = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"
            self._say(ordered, f"FAILED, a bug of ours: {ordered.fault.fault}: {ordered.error}")
            return None

    def _forget_old(self) -> None:
        ended = [number for number, one in self._all.items() if one.state == "ended"]
        for number in ended[: max(0, len(self._all) - _KEPT)]:
            del self._all[number]
