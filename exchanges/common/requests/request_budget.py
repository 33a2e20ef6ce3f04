"""What may be asked of one venue: its limits kept before it has to say so, and what reduces risk goes first.

    lane     of a limit   without room
    REDUCE   all of it    waits a second, ahead of every other
    ORDER    8 tenths     refused at once: an order that waits is of an older price
    READ     6 tenths     waits ten seconds
    IDLE     4 tenths     waits a minute

Nothing is sent that the venue would answer with 429; where it does so all the same (others share the address), what
it named is held until its Retry-After. By a virtual clock all of this is deterministic.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.clock import Clock, Timer
from bot.domain.standing import BudgetLine
from bot.errors import Banned, GeoBlocked, RateLimited, VenueError
from exchanges.common.requests.ban_clock import BanClock
from exchanges.common.requests.leaky_pool import LeakyPool
from exchanges.common.requests.request_pool import Charge, Lane, Pool, Rate

Cost = Mapping[str, int]
"""Pool -> weight; a pool that a budget does not have is not counted. A weight of 0 takes nothing, and waits all the
same while the pool is held."""
PATIENCE_S: Mapping[Lane, float] = {Lane.REDUCE: 1.0, Lane.ORDER: 0.0, Lane.READ: 10.0, Lane.IDLE: 60.0}
_HELD_S = 10.0
"""After a refusal for too many requests that names no time."""
_S = 1_000_000_000


@dataclass(slots=True)
class Ticket:
    """Leave to send one request; `settle` it when its answer is here, or when it is given up."""

    budget: "RequestBudget"
    charges: list[tuple[Pool, Charge]]
    is_settled: bool = False

    def is_held(self, now_ns: int) -> bool:
        """Whether the venue has said meanwhile that it takes nothing of this now."""
        return any(pool.held_until_ns > now_ns for pool, _ in self.charges)

    def settle(self) -> None:
        """It counts for one window from now on. Idempotent."""
        if not self.is_settled:
            self.is_settled = True
            self.budget.on_settled(self)

    def give_back(self) -> None:
        """It was never sent. Idempotent."""
        if not self.is_settled:
            self.is_settled = True
            self.budget.on_given_back(self)


@dataclass(slots=True, eq=False)
class _Waiter:
    lane: Lane
    cost: Cost
    until_ns: int
    granted: "asyncio.Future[Ticket]"
    pools: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pools = frozenset(self.cost)


class RequestBudget:
    """One venue's limits and its ban. Everything runs on the loop's thread."""

    def __init__(self, venue: str, rates: Iterable[Rate], clock: Clock) -> None:
        """Nothing is used yet.

        Args:
            venue: For messages.
            rates: Its limits.
            clock: Measures windows and drives what waits.
        """
        self.venue = venue
        self.bans = BanClock(venue, clock)
        self._pools: dict[str, Pool] = {rate.name: (LeakyPool if rate.leaks else Pool)(rate) for rate in rates}
        self._clock = clock
        self._waiting: list[_Waiter] = []
        self._timer: Timer | None = None

    def take(self, cost: Cost, lane: Lane) -> Ticket:
        """Leave to send now.

        Raises:
            RateLimited: There is no room, which one, and for how long; nothing was sent.
            VenueError: The venue bans us.
        """
        self.bans.check()
        short = self._short(cost, lane, self._waiting)
        if short is not None:
            raise self._refusal(lane, *short)
        return self._book(cost)

    async def acquire(self, cost: Cost, lane: Lane, patience_s: float | None = None) -> Ticket:
        """Leave to send, as soon as there is room; those of a lower lane stand behind.

        Args:
            cost: What the request takes.
            lane: What it is for.
            patience_s: How long it may wait; None: as its lane does.

        Raises:
            RateLimited: There is no room in that time, which one, and for how long; nothing was sent.
            VenueError: The venue bans us.
        """
        self.bans.check()
        short = self._short(cost, lane, self._waiting)
        if short is None:
            return self._book(cost)
        patience_ns = round((PATIENCE_S[lane] if patience_s is None else patience_s) * _S)
        wait_ns = short[1]
        if wait_ns is None or wait_ns > patience_ns:
            raise self._refusal(lane, *short)
        return await self._wait(_Waiter(lane, cost, self._now_ns() + patience_ns, _future()))

    async def _wait(self, waiter: _Waiter) -> Ticket:
        self._waiting.append(waiter)
        self._waiting.sort(key=lambda one: one.lane)  # stable: within a lane who came first goes first
        self._set_timer()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            # One that was turned away in this very moment has nothing to give back, and is stopped all the same.
            if waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
                waiter.granted.result().give_back()
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._look()  # who stood behind it need not wait for the room that it wanted

    def short_of(self, cost: Cost, lane: Lane) -> str | None:
        """The pool that has no room for such a request now; None: it might go."""
        short = self._short(cost, lane, self._waiting)
        return None if short is None else short[0]

    # What the venue says

    def told(self, pool: str, used: int | None = None, limit: int | None = None) -> None:
        """What it counts in a pool, and what the limit is, as its answers tell; an unknown pool is left aside."""
        found = self._pools.get(pool)
        if found is None:
            return
        if limit is not None:
            found.limit_to(limit)
        if used is not None:
            found.told(used, self._now_ns())
        self._look()

    def hold(self, pools: Iterable[str], seconds: float) -> None:
        """It has refused: send nothing of these for so long, whatever the lane."""
        for name in pools:
            if name in self._pools:
                self._pools[name].hold(self._now_ns() + round(seconds * _S))
        self._look()

    def heed(self, refusal: VenueError, pools: Iterable[str]) -> None:
        """Leave the venue alone as it wants: a ban is sat out, and one for too many requests holds these pools.

        The latter for the time that `refusal` names; where it names none, it says our own afterwards.
        """
        if isinstance(refusal, Banned | GeoBlocked):
            self.bans.sit_out(refusal)
        elif isinstance(refusal, RateLimited):
            refusal.retry_after_s = refusal.retry_after_s or _HELD_S
            self.hold(pools, refusal.retry_after_s)

    # What others see

    def lines(self) -> Sequence[BudgetLine]:
        """Each limit, how much of it is used, and how long it is held."""
        now_ns = self._now_ns()
        banned_s = self.bans.left_s
        return [
            BudgetLine(
                venue=self.venue,
                name=name,
                used=pool.used(now_ns),
                limit=pool.rate.limit,
                window_s=pool.rate.window_s,
                held_s=max(banned_s, (pool.held_until_ns - now_ns) / _S, 0.0),
                waiting=sum(name in waiter.pools for waiter in self._waiting),
                left={lane.name.lower(): max(0, pool.ceiling(lane) - pool.used(now_ns)) for lane in Lane},
            )
            for name, pool in self._pools.items()
        ]

    # Tickets

    def on_settled(self, ticket: Ticket) -> None:
        """A ticket's answer is here."""
        for pool, charge in ticket.charges:
            pool.settle(charge, self._now_ns())
        self._look()

    def on_given_back(self, ticket: Ticket) -> None:
        """A ticket was not used."""
        for pool, charge in ticket.charges:
            pool.give_back(charge)
        self._look()

    def _book(self, cost: Cost) -> Ticket:
        found = [(self._pools[name], weight) for name, weight in cost.items() if name in self._pools]
        return Ticket(self, [(pool, pool.take(weight)) for pool, weight in found])

    # Waiting

    def _short(self, cost: Cost, lane: Lane, ahead: Sequence[_Waiter]) -> tuple[str, int | None] | None:
        """The pool without room and how long so; None: it may go. Nobody passes who waits for the same."""
        now_ns = self._now_ns()
        short: tuple[str, int | None] | None = None
        for name, weight in cost.items():
            pool = self._pools.get(name)
            if pool is None:
                continue  # nothing of this kind is counted here
            wait_ns = pool.wait_ns(weight, lane, now_ns)
            if wait_ns == 0 and weight and any(name in one.pools and one.lane <= lane for one in ahead):
                wait_ns = 1
            if wait_ns is None:
                return name, None
            if wait_ns > 0 and (short is None or short[1] is None or wait_ns > short[1]):
                short = name, wait_ns
        return short

    def _look(self) -> None:
        """Let go who may by now, in order; turn away whose patience is over."""
        now_ns = self._now_ns()
        ahead: list[_Waiter] = []
        for waiter in list(self._waiting):
            if waiter.granted.done():
                continue
            short = self._short(waiter.cost, waiter.lane, ahead)
            if short is None:
                waiter.granted.set_result(self._book(waiter.cost))
            elif short[1] is None or now_ns >= waiter.until_ns:
                waiter.granted.set_exception(self._refusal(waiter.lane, *short))
            else:
                ahead.append(waiter)
        self._waiting = ahead
        self._set_timer()

    def _set_timer(self) -> None:
        """Look again when there may be room, or when the next one's patience is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._now_ns()
        due = [waiter.until_ns - now_ns for waiter in self._waiting]
        for waiter in self._waiting:
            short = self._short(waiter.cost, waiter.lane, ())
            if short is not None and short[1] is not None:
                due.append(short[1])
        if due:
            self._timer = self._clock.call_later(max(1, min(due)) / _S, self._look)

    def _refusal(self, lane: Lane, pool: str, wait_ns: int | None) -> RateLimited:
        found = self._pools[pool]
        used, limit = found.used(self._now_ns()), found.ceiling(lane)
        state = "is held" if found.held_until_ns > self._now_ns() else f"{used} of {limit} are used"
        words = f"not asked: of {pool} ({lane.name.lower()}) {state}"
        return RateLimited(self.venue, words, retry_after_s=None if wait_ns is None else wait_ns / _S)

    def _now_ns(self) -> int:
        return self._clock.monotonic_ns()


def _future() -> "asyncio.Future[Ticket]":
    return asyncio.get_running_loop().create_future()
