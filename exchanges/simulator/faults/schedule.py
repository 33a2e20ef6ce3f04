"""Faults at random moments: the same seed draws the same list, and a timer orders each at its time."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.clock import Clock, Timer
from bot.domain.instrument import Segment
from exchanges.simulator.accounts.rules import rules_of
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultKind, Realm
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import Fault

STOPPING = frozenset(
    {
        FaultKind.SILENCE,
        FaultKind.NO_DATA,
        FaultKind.HTTP_429,
        FaultKind.HTTP_418,
        FaultKind.HTTP_403,
        FaultKind.HTTP_451,
        FaultKind.HTTP_503,
        FaultKind.MAINTENANCE,
    }
)
"""While one of these lasts, a venue cannot be traded on: never two of them at once, at any venue."""
_DRAWN = tuple(kind for kind, info in CATALOGUE.items() if info.scheduled)
_SEGMENTS = (None, Segment.SPOT, Segment.LINEAR)
_SHOWN_S = 3_600.0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What a server orders by itself from its start."""

    faults: Sequence[Fault] = ()
    """Each `at_s` after the start."""
    per_hour: float | None = None
    """Mean rate of further ones at random moments; None: the scenario's."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault and its moment, in seconds from the start of the server."""

    at_s: float
    fault: Fault

    def as_json(self) -> dict[str, Any]:
        """Plain data: `at_s`, and the fault as a control endpoint takes it."""
        return self.fault.model_dump(mode="json", exclude_defaults=True) | {"at_s": self.at_s}


def planned(seed: int, per_hour: float) -> Iterator[Planned]:
    """Draw faults without end, in order of time; `per_hour` is their mean rate, and 0 draws none."""
    if per_hour <= 0:
        return
    draws = random.Random(seed)  # noqa: S311 - the day must come again from its seed; it guards nothing
    busy_s: dict[tuple[FaultKind, str], float] = {}
    at_s = 0.0
    while True:
        at_s += draws.expovariate(per_hour / 3_600.0)
        busy_s = {key: until_s for key, until_s in busy_s.items() if until_s > at_s}
        fault = _draw(draws, busy_s)
        busy_s[fault.fault, fault.venue] = at_s + fault.lasts_s
        yield Planned(round(at_s, 3), fault)


def _draw(draws: random.Random, busy: dict[tuple[FaultKind, str], float]) -> Fault:
    is_stopped = any(kind in STOPPING for kind, _ in busy)
    free = [
        (kind, venue)
        for kind in _DRAWN
        for venue in CATALOGUE[kind].venues
        if (kind, venue) not in busy and not (is_stopped and kind in STOPPING)
    ]
    # What happens once keeps no place busy, so there is always something left to draw.
    kind, venue = draws.choice(free)
    info = CATALOGUE[kind]
    segment = None if info.realm is Realm.VENUE else draws.choice(_SEGMENTS)
    for_s = round(info.for_s * draws.uniform(0.5, 1.5), 1) if info.for_s else None
    match = draws.choice(_networks(venue)) if kind is FaultKind.WITHDRAWAL_HALT else ""
    return Fault(fault=kind, venue=venue, segment=segment, for_s=for_s, match=match)


def _networks(venue: str) -> list[str]:
    return sorted({network.id for network in rules_of(venue).networks})


class Schedule:
    """Orders what `planned` draws at its time, from `start` to `stop`."""

    def __init__(self, faults: FaultDesk, clock: Clock, seed: int, per_hour: float) -> None:
        self.per_hour = per_hour
        self._faults = faults
        self._clock = clock
        self._draws = planned(seed, per_hour)
        self._coming: deque[Planned] = deque()
        self._past: deque[Planned] = deque()
        self._started_ns = clock.monotonic_ns()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Count from now."""
        self._started_ns = self._clock.monotonic_ns()
        self._wait()

    def stop(self) -> None:
        """Order nothing more; what was ordered goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def around_now(self) -> Sequence[Planned]:
        """What was drawn for the last hour and for the coming one, in order of time."""
        self._draw_until(self._elapsed_s() + _SHOWN_S)
        self._forget()
        return [*self._past, *self._coming]

    def _elapsed_s(self) -> float:
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9

    def _draw_until(self, until_s: float) -> None:
        while self.per_hour > 0 and (not self._coming or self._coming[-1].at_s < until_s):
            self._coming.append(next(self._draws))

    def _forget(self) -> None:
        oldest_s = self._elapsed_s() - _SHOWN_S
        while self._past and self._past[0].at_s < oldest_s:
            self._past.popleft()

    def _wait(self) -> None:
        self._draw_until(0.0)
        if self._coming:
            delay_s = max(0.0, self._coming[0].at_s - self._elapsed_s())
            self._timer = self._clock.call_later(delay_s, self._order)

    def _order(self) -> None:
        one = self._coming.popleft()
        self._past.append(one)
        self._forget()
        self._wait()  # before the fault: the schedule goes on whatever becomes of it
        self._faults.order(one.fault)
