"""What those who follow pairs and chains for a desk work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.clock import Clock
from bot.domain.fees import FeesOf
from bot.engine.decision_log import DecisionLog
from bot.engine.portfolio import EnginePortfolio
from bot.engine.route_state import RouteState
from bot.execution.context import Quotes
from bot.execution.ledger import Ledger
from bot.risk.gate import RiskGate


@dataclass(frozen=True, slots=True)
class DeskContext:
    """One desk's routes, money and limits."""

    routes: Mapping[str, RouteState]
    """By id."""
    quotes: Quotes
    gate: RiskGate
    portfolio: EnginePortfolio
    ledger: Ledger
    fees: FeesOf
    """As they are now."""
    decisions: DecisionLog
    clock: Clock
    cooldown_ns: int
    """A route rests for so long after each attempt."""
    log: Callable[[str, str], None]
    """Takes a level and a line for a person."""
