"""The only door to the venues.

`check` approves a proposal, and `claim` hands the approval over: what was not approved, or was approved otherwise,
cannot be opened. An approval is good for one opening, at the moment that it was given for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from types import MappingProxyType

from bot.domain.route import Opportunity
from bot.errors import InvariantError
from bot.risk.limits import (
    CoveredByBalance,
    Limit,
    MaxAssetNotional,
    MaxInFlight,
    MaxNetExposure,
    MaxOpenPairs,
    MaxOrderNotional,
    MaxOrdersPerMinute,
    MaxOrdersPerSecond,
    MaxPositionNotional,
    MaxVenueNotional,
    NothingInFlight,
    OnePairPerRoute,
    OneTransfer,
    Portfolio,
    Proposal,
    Refused,
    unknown,
)

_THROTTLES = (MaxOrdersPerSecond, MaxOrdersPerMinute)
_DECIDED = (
    OnePairPerRoute, NothingInFlight, MaxOpenPairs, MaxOrderNotional, MaxPositionNotional, MaxNetExposure,
    MaxVenueNotional, MaxAssetNotional, MaxInFlight, OneTransfer, CoveredByBalance,
)  # fmt: skip
"""What no time that passes changes: a pair that was opened, and not yet sent, has its size, is in what they count, and
its money is reserved."""
_SECOND_NS = 1_000_000_000
_FIGURES = re.compile(r"\d+")
_MOST_LASTING = 100
_ROUNDING = 1e-9
"""Relative: quantities come here as floats, and are opened as decimals."""


class TradingState(StrEnum):
    """What may leave the door."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Nothing new; open pairs are closed when their time comes. It lasts for as long as one cause of it stands."""
    HALTED = "HALTED"
    """Cancels and risk reduction only, until a person has looked; open pairs are closed when their time comes."""


class Cause(StrEnum):
    """What makes the gate REDUCING. Each has one owner, who says when it stands and when it is gone."""

    PERSON = "person"
    DISK = "disk"
    """It is slow, or fails."""
    LOOP = "loop"
    """It stood still, or the clock was set."""
    ACCOUNT = "account"
    """It is not what fills make."""
    PAPER = "paper"
    """Of real orders beside paper ones: the paper gate is REDUCING."""


@dataclass(frozen=True, slots=True)
class Approved:
    """A proposal that every limit let pass. The executor takes nothing else."""

    proposal: Proposal


class RiskGate:
    """Asks every limit; the first that refuses decides."""

    def __init__(
        self,
        limits: Sequence[Limit],
        portfolio: Portfolio,
        *,
        max_daily_loss: float,
        max_cumulative_loss: float,
        max_throttled_per_second: int,
        on_state: Callable[[TradingState, str], None],
        max_routes_per_second: int = 2000,
    ) -> None:
        """Open the door.

        Args:
            limits: In the order in which they are asked.
            portfolio: What they look at.
            max_daily_loss: Realised loss since midnight UTC that halts.
            max_cumulative_loss: Realised loss of the run that halts.
            max_throttled_per_second: So many proposals refused for their rate within a second halt: the strategy runs
                away.
            on_state: Hears every change of state, every cause that comes or goes while it is REDUCING, and why.
            max_routes_per_second: So many different routes refused within a second halt, whatever refused them: no
                market is wrong in so many places at once.
        """
        self.limits = tuple(limits)
        self._portfolio = portfolio
        self._max_daily_loss = max_daily_loss
        self._max_cumulative_loss = max_cumulative_loss
        self._max_throttled = max_throttled_per_second
        self._on_state = on_state
        self._approved: Proposal | None = None
        self._throttled = 0
        self._throttled_second = -1
        self._max_routes = max_routes_per_second
        self._refused_routes: set[int] = set()
        self._causes: dict[Cause, str] = {}
        self.causes: Mapping[Cause, str] = MappingProxyType(self._causes)
        """Why nothing new may be opened, for a person, by what stands now; the oldest first. No halt is among them."""
        self._lasting: set[str] = set()
        """What has been told as lasting, without its figures."""
        self.on_lasting_halt: Callable[[str], None] = lambda why: None
        """Hears, once of each cause, why nothing may be opened by a later run either before a person has looked: who
        has looked at the first, and let it trade again, has not seen what came after it."""
        self.state = TradingState.ACTIVE
        self.halted_because = ""
        """Why, for a person; empty unless it is HALTED."""

    def check(self, proposal: Proposal) -> Approved | Refused:
        """Approve the proposal, or name the limit in the way."""
        self._approved = None
        refused = self._first_refusal(proposal, self.limits)
        if refused is not None:
            if self.state is TradingState.ACTIVE:
                self._watch_routes(proposal)
            return refused
        self._approved = proposal
        return Approved(proposal)

    def recheck(self, proposal: Proposal) -> Refused | None:
        """What refuses a pair that was approved and claimed, right before its orders leave; None: nothing does."""
        return self._first_refusal(proposal, [limit for limit in self.limits if not isinstance(limit, _DECIDED)])

    def _first_refusal(self, proposal: Proposal, limits: Sequence[Limit]) -> Refused | None:
        if self.state is not TradingState.ACTIVE:
            return Refused(f"state_{self.state.lower()}", 0.0, 1.0, "active")
        for limit in limits:
            try:
                refused = limit.check(proposal, self._portfolio)
            except Exception as error:  # noqa: BLE001 - whatever breaks a limit's input, the door stays shut
                name = type(limit).__name__
                self.halt(f"limit {name} cannot be checked: {type(error).__name__}: {error}")
                return unknown(name)
            if refused is not None:
                if isinstance(limit, _THROTTLES):
                    self._watch_throttled(proposal.ts_ns)
                return refused
        return None

    def claim(self, opportunity: Opportunity) -> None:
        """Use up the approval for this opportunity: the executor may open it now.

        Raises:
            InvariantError: If the gate did not just approve this route, at this time, for at least this quantity.
        """
        approved, self._approved = self._approved, None
        if self.state is not TradingState.ACTIVE or approved is None:
            raise InvariantError(f"{opportunity.route.id} was to be opened without the gate's approval")
        is_same = approved.route.id == opportunity.route.id and approved.ts_ns == opportunity.ts_ns
        if not is_same or not 0 < float(opportunity.quantity) <= approved.quantity * (1 + _ROUNDING):
            raise InvariantError(f"{opportunity.route.id} was to be opened otherwise than the gate approved")

    def watch_loss(self, now_ns: int) -> None:
        """Halt when the realised loss of the day or of the run reaches its limit, or cannot be told."""
        try:
            results = (
                ("day's", self._portfolio.realised_today(now_ns), self._max_daily_loss),
                ("run's", self._portfolio.realised_total(), self._max_cumulative_loss),
            )
        except Exception as error:  # noqa: BLE001 - a switch whose own input is broken has to be off, whatever broke it
            self.halt(f"the result cannot be told: {type(error).__name__}: {error}")
            return
        for what, result, allowed in results:
            if result is None or not isfinite(result):
                self.halt(f"the {what} result cannot be told ({result})")
            elif result <= -allowed:
                self.halt(f"the {what} realised loss {-result:.2f} reached the limit {allowed:.2f}")

    def reduce(self, cause: Cause, why: str) -> None:
        """Open nothing new while this cause stands; of one that stands already the newest reason is kept."""
        is_new = cause not in self._causes
        self._causes[cause] = why
        if is_new and self.state is not TradingState.HALTED:
            self._enter(TradingState.REDUCING, why)

    def resume(self, cause: Cause, why: str) -> None:
        """This cause is gone, if it stood: trade again once no other stands; a halt needs a restart."""
        if self._causes.pop(cause, None) is None or self.state is TradingState.HALTED:
            return
        if self._causes:
            self._enter(TradingState.REDUCING, f"{why}; still: {'; '.join(self._causes.values())}")
        else:
            self._enter(TradingState.ACTIVE, why)

    def halt(self, why: str, *, lasting: bool = True) -> None:
        """Let nothing out but cancels and risk reduction.

        Args:
            why: For a person.
            lasting: The next run must not trade either until a person has looked; not where the cause is gone with this
                run, or where the next start looks for it itself.
        """
        is_new = self.state is not TradingState.HALTED
        if is_new:
            self.state, self.halted_because = TradingState.HALTED, why
        # First: to tell of it may fail, where a disk takes nothing more, and the next run is to know all the same.
        kind = _FIGURES.sub("#", why)
        if lasting and kind not in self._lasting and len(self._lasting) < _MOST_LASTING:
            self._lasting.add(kind)
            self.on_lasting_halt(why)
        if is_new:
            self._on_state(TradingState.HALTED, why)

    def _watch_routes(self, proposal: Proposal) -> None:
        self._turn_second(proposal.ts_ns)
        routes = self._refused_routes
        routes.add(id(proposal.route))  # it lives as long as the run
        if len(routes) > self._max_routes:
            self.halt(f"the strategy runs away: it wants {len(routes)} different routes within a second")

    def _turn_second(self, ts_ns: int) -> None:
        second = ts_ns // _SECOND_NS
        if second != self._throttled_second:
            self._throttled_second, self._throttled = second, 0
            self._refused_routes.clear()

    def _watch_throttled(self, ts_ns: int) -> None:
        self._turn_second(ts_ns)
        self._throttled += 1
        if self._throttled > self._max_throttled:
            self.halt(f"the strategy runs away: {self._throttled} proposals within a second beyond the order rate")

    def _enter(self, state: TradingState, why: str) -> None:
        self.state = state
        self._on_state(state, why)
