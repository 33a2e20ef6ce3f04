"""What becomes of one request while faults are active: the same over HTTP as on the sockets that take orders."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.clock import Clock
from bot.domain.instrument import Segment
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk, Undo
from exchanges.simulator.faults.values import Fault

_SECOND_NS = 1_000_000_000
_REFUSALS = (FaultKind.HTTP_418, FaultKind.HTTP_403, FaultKind.HTTP_451, FaultKind.HTTP_429, FaultKind.HTTP_503)
"""What an address is refused for comes before what a request is refused for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as faults look at it."""

    venue: str
    segment: Segment | None
    name: str
    """`POST /fapi/v1/order`, `order.place`: what `match` is a text of."""
    changes: bool
    """Whether it changes something at the venue."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of it."""

    refusal: FaultKind | None = None
    """It is answered by this, and not executed."""
    wait_s: int = 0
    """What `Retry-After` says; 0: nothing."""
    is_lost: bool = False
    """It never arrives: the connection ends without an answer."""
    is_answer_lost: bool = False
    """It is executed, and the connection ends without an answer."""
    delay_s: float = 0.0
    """The answer comes this much later."""


UNHARMED = Fate()


class RequestFates:
    """Asks the desk; make it before faults are ordered."""

    def __init__(self, faults: FaultDesk, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self._begun: list[tuple[Fault, int]] = []
        for kind in (FaultKind.HTTP_418, FaultKind.MAINTENANCE):
            faults.on(kind, self._begin)

    def of(self, asked: Asked) -> Fate:
        """What becomes of a request; every fault that strikes it is counted."""
        if self._faults.is_quiet:
            return UNHARMED
        slow = self._strike(FaultKind.LATENCY, asked)
        delay_s = slow.size / 1_000 if slow is not None else 0.0
        if self.is_down(asked.venue, asked.segment):
            return Fate(FaultKind.MAINTENANCE, delay_s=delay_s)
        for kind in _REFUSALS:
            fault = self._strike(kind, asked)
            if fault is not None:
                return Fate(kind, self._wait_s(fault), delay_s=delay_s)
        is_lost = self._is_lost(FaultKind.LOST_ORDER, asked)
        is_answer_lost = not is_lost and self._is_lost(FaultKind.LOST_ANSWER, asked)
        return Fate(is_lost=is_lost, is_answer_lost=is_answer_lost, delay_s=delay_s)

    def is_down(self, venue: str, segment: Segment | None) -> bool:
        """Whether maintenance keeps a request or a new connection out; it counts as struck then."""
        return self._faults.strike(FaultKind.MAINTENANCE, venue, segment) is not None

    def maintenance(self, venue: str, segment: Segment | None) -> tuple[int, int] | None:
        """Begin and expected end of what the system status tells, UTC ns; None while there is none."""
        fault = self._faults.peek(FaultKind.MAINTENANCE, venue, segment)
        if fault is None:
            return None
        begun_ns = self._begun_ns(fault)
        return begun_ns, begun_ns + round(fault.lasts_s * _SECOND_NS)

    def later(self, delay_s: float, say: Callable[[], None]) -> None:
        """Give an answer on a socket: now, or after its delay."""
        if delay_s:
            self._clock.call_later(delay_s, say)
        else:
            say()

    def _strike(self, kind: FaultKind, asked: Asked) -> Fault | None:
        return self._faults.strike(kind, asked.venue, asked.segment, asked.name)

    def _is_lost(self, kind: FaultKind, asked: Asked) -> bool:
        """Requests that change nothing are lost only where `match` names one: `GET /api/v3/account`, `order.status`."""
        if not asked.changes:
            fault = self._faults.peek(kind, asked.venue, asked.segment, asked.name)
            if fault is None or not (fault.match.startswith("GET ") or fault.match == asked.name):
                return False
        return self._strike(kind, asked) is not None

    def _wait_s(self, fault: Fault) -> int:
        """Whole seconds, at least one: all of it again at each 429, what is left of it for a ban; else 0."""
        if fault.info.amount is None:
            return 0
        gone_ns = self._clock.now_ns() - self._begun_ns(fault) if fault.fault is FaultKind.HTTP_418 else 0
        return max(1, -(-(round(fault.size * _SECOND_NS) - gone_ns) // _SECOND_NS))

    def _begun_ns(self, fault: Fault) -> int:
        return next((begun_ns for one, begun_ns in self._begun if one is fault), self._clock.now_ns())

    def _begin(self, fault: Fault) -> Undo:
        entry = fault, self._clock.now_ns()
        self._begun.append(entry)
        return lambda: self._begun.remove(entry)
