"""The only door to the venues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from bot.risk.limits import Limit, Portfolio, Proposal, Refused


class TradingState(StrEnum):
    """What may leave the door."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Nothing new; open pairs are closed when their time comes."""
    HALTED = "HALTED"
    """Cancels and risk reduction only, until a person has looked; open pairs are closed when their time comes."""


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
        on_state: Callable[[TradingState, str], None],
    ) -> None:
        self._limits = limits
        self._portfolio = portfolio
        self._max_daily_loss = max_daily_loss
        self._on_state = on_state
        self.state = TradingState.ACTIVE

    def check(self, proposal: Proposal) -> Approved | Refused:
        """Approve the proposal, or name the limit in the way."""
        if self.state is not TradingState.ACTIVE:
            return Refused(f"state_{self.state.lower()}", 0.0, 1.0, "active")
        for limit in self._limits:
            refused = limit.check(proposal, self._portfolio)
            if refused is not None:
                return refused
        return Approved(proposal)

    def watch_loss(self, now_ns: int) -> None:
        """Halt when the day's realised loss reaches its limit, or cannot be told."""
        today = self._portfolio.realised_today(now_ns)
        if not isfinite(today):
            self.halt(f"the day's result cannot be told ({today})")
        elif today <= -self._max_daily_loss:
            self.halt(f"the day's realised loss {-today:.2f} reached the limit {self._max_daily_loss:.2f}")

    def reduce(self, why: str) -> None:
        """Open nothing new; a halt stays a halt."""
        if self.state is TradingState.ACTIVE:
            self._enter(TradingState.REDUCING, why)

    def resume(self, why: str) -> None:
        """Trade again after `reduce`; a halt needs a restart."""
        if self.state is TradingState.REDUCING:
            self._enter(TradingState.ACTIVE, why)

    def halt(self, why: str) -> None:
        """Let nothing out but cancels and risk reduction."""
        if self.state is not TradingState.HALTED:
            self._enter(TradingState.HALTED, why)

    def _enter(self, state: TradingState, why: str) -> None:
        self.state = state
        self._on_state(state, why)
