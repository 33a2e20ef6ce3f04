"""One limit of a venue: so much in so much time, of which a part is kept for what matters more.

A request counts from the moment it is sent until a whole window after its answer. It reached the venue somewhere in
between, so that whatever of ours lies in one of the venue's windows was counted here at the same time: the limit is
kept in every window, wherever the venue lets its windows begin and however long requests travel.
"""

from collections import deque
from dataclasses import dataclass, replace
from enum import IntEnum

_S = 1_000_000_000
_TENTHS = {0: 10, 1: 8, 2: 6, 3: 4}


class Lane(IntEnum):
    """What a request is for; a lower one goes first."""

    REDUCE = 0
    """Cancels, hedges, unwinds, and asking what became of an order."""
    ORDER = 1
    """Orders that add risk."""
    READ = 2
    """What the bot needs to know to go on."""
    IDLE = 3
    """What can wait: tables, histories."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit as a venue publishes it."""

    name: str
    limit: int
    window_s: float
    leaks: bool = False
    """What was used comes back little by little, all of `limit` within `window_s`; else each a window after its use."""


class Charge:
    """What one request takes from a pool; settled by its answer."""

    __slots__ = ("settled_ns", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.settled_ns: int | None = None


class Pool:
    """One limit being kept. Times are monotonic ns."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.held_until_ns = 0
        """The venue has said that it takes nothing of this before."""
        self._window_ns = round(rate.window_s * _S)
        self._settled: deque[Charge] = deque()
        self._used = 0

    def ceiling(self, lane: Lane) -> int:
        """The most that may be used once a request of this lane has gone: all of it for what reduces risk only."""
        return self.rate.limit if lane is Lane.REDUCE else max(1, self.rate.limit * _TENTHS[lane] // 10)

    def used(self, now_ns: int) -> int:
        """What counts now."""
        self._forget(now_ns)
        return self._used

    def wait_ns(self, weight: int, lane: Lane, now_ns: int) -> int | None:
        """How long until there is room, as far as is known: 0 for now, None for never.

        What has no answer yet is taken to end a window from now: the earliest that it can.
        """
        self._forget(now_ns)
        if weight > self.ceiling(lane):
            return None
        held_ns = max(0, self.held_until_ns - now_ns)
        too_much = self._used + weight - self.ceiling(lane) if weight else 0
        if too_much <= 0:
            return held_ns
        for charge in self._settled:
            assert charge.settled_ns is not None
            too_much -= charge.weight
            if too_much <= 0:
                return max(held_ns, charge.settled_ns + self._window_ns - now_ns)
        return max(held_ns, self._window_ns)

    def take(self, weight: int) -> Charge:
        """Count a request that is being sent."""
        self._used += weight
        return Charge(weight)

    def settle(self, charge: Charge, now_ns: int) -> None:
        """Its answer is here, or will not come: it counts for one window more."""
        charge.settled_ns = now_ns
        self._settled.append(charge)

    def give_back(self, charge: Charge) -> None:
        """It was never sent."""
        self._used -= charge.weight

    def told(self, used: int, now_ns: int) -> None:
        """The venue counts `used` in its own window: more than we know of is somebody else's at this address."""
        others = used - self.used(now_ns)
        if others > 0:
            self.settle(self.take(others), now_ns)

    def hold(self, until_ns: int) -> None:
        """Send nothing of this before; an earlier end changes nothing."""
        self.held_until_ns = max(self.held_until_ns, until_ns)

    def limit_to(self, limit: int) -> None:
        """The venue says that the limit is another one."""
        if limit > 0:
            self.rate = replace(self.rate, limit=limit)

    def _forget(self, now_ns: int) -> None:
        settled = self._settled
        while settled and settled[0].settled_ns is not None and settled[0].settled_ns + self._window_ns <= now_ns:
            self._used -= settled.popleft().weight
