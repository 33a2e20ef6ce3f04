"""What every executor of a run works with."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.ports import Actions, Journal
from bot.settings import ExecutionSettings

Quotes = Callable[[Instrument], TopOfBook | None]
"""The newest quote of an instrument, None when it must not be traded on."""
TakerBps = Callable[[Instrument], float]
"""The fee of taking on an instrument, bps of notional."""


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """The same for pairs and chains."""

    actions: Actions
    """Where orders go."""
    journal: Journal
    """Where intents must be durable first."""
    clock: Clock
    """For retries and deadlines."""
    settings: ExecutionSettings
    """Price cap, retries, waits, and the budget of being unhedged."""
    quotes: Quotes
    id_prefix: str
    """Start of every client order id; unique to the run."""
    may_open: Callable[[], bool]
    """Asked again when intents are durable: whether orders that add risk may still leave."""
    on_halt: Callable[[str], None]
    """Called when something is not even, or not home, in time, or what a venue tells does not add up."""
    taker_bps: TakerBps = lambda instrument: 0.0
