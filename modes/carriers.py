"""What moves amounts of chains between venues, for the market of a run.

the paper venue      always, between its own wallets
accounts at venues   where `transfers.enabled` says so: allow-list, delay and caps stand before every one
else                 nothing: routes with a transfer are refused by name
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bot.clock import Clock
from bot.ports import Journal, NoTerms, QuoteDrivenVenue, RecordKind, RouteTerms
from bot.ports.transfers import Carrier, PaperMoney
from bot.risk.gate import RiskGate, TradingState
from bot.settings import Settings
from bot.storage.queries import JournalReader
from bot.transfers.carrier import DeskCarrier
from bot.transfers.desk import TransferDesk
from bot.transfers.guard import TransferGuard
from bot.transfers.paper_carrier import PaperCarrier
from bot.transfers.spent import Spent

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket

CarrierFactory = Callable[[QuoteDrivenVenue], Carrier | None]
Event = Callable[[str, str], None]
_LEAST_DELAY_H = 24.0
"""At what is no simulation, whatever the settings say."""


@dataclass(frozen=True, slots=True)
class MoneyMovers:
    """What moves money in a run: one desk for everybody, whose requests leave one after the other."""

    carrier: CarrierFactory
    """Builds the carrier of chains from what takes the run's orders."""
    desk: TransferDesk | None = None
    """Of the accounts at venues; None where their money is not moved."""

    def obey(self, gate: RiskGate) -> None:
        """Nothing leaves once the gate is HALTED, whether or not a flag says so: another bot may have the account."""
        if self.desk is not None:
            self.desk.guard.is_halted = lambda: gate.state is TradingState.HALTED


@asynccontextmanager
async def carriers(
    opened: "OpenMarket",
    settings: Settings,
    journal: Journal,
    terms: RouteTerms | None,
    event: Event,
    *,
    is_paper: bool,
) -> AsyncIterator[MoneyMovers]:
    """What moves money in a run, for the length of the block.

    Args:
        opened: The market.
        settings: As they hold for the run.
        journal: Of the run, open for longer than the block's carrier is used.
        terms: What is known about moving money; None: nothing.
        event: Takes a level and a line for a person, and the journal.
        is_paper: Whether orders go to the paper venue.

    Raises:
        SettingsError: If a key must not be used where its venue is.
        VenueError: If a venue cannot be asked for its time.
    """
    market = opened.market
    # What dies with its run, or is of the past, begins anew each time.
    is_lasting = opened.deliver is not None and not opened.dies_with_run
    earlier = earlier_transfers(settings.data_dir, settings.market) if is_lasting else []
    if is_paper:
        yield MoneyMovers(lambda venue: paper_carrier(venue, terms, journal, market.clock, settings, earlier))
        return
    if not settings.transfers.enabled:
        yield MoneyMovers(lambda _: None)
        return
    # Imported here, as everywhere: the client libraries take a second to load.
    from exchanges.transfers import MOVES_MONEY, account_operations

    venues = sorted({one.venue for one in market.instruments} & MOVES_MONEY & opened.keys.keys())
    async with account_operations(venues, opened.settings, opened.keys, market.clock, opened.budgets) as operations:
        spent, transfers = Spent(earlier), settings.transfers
        guard = TransferGuard(
            transfers, settings.data_dir, operations, spent, market.clock, least_delay_h(settings.market)
        )
        desk = TransferDesk(operations, guard, spent, journal, market.clock, transfers, event, new_id)
        carrier = DeskCarrier(desk, market.clock, event)
        try:
            yield MoneyMovers(lambda _: carrier, desk)
        finally:
            carrier.stop()


def paper_carrier(
    venue: QuoteDrivenVenue,
    terms: RouteTerms | None,
    journal: Journal,
    clock: Clock,
    settings: Settings,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> Carrier | None:
    """Between the wallets of a paper venue; None where it has none."""
    if not isinstance(venue, PaperMoney):
        return None
    # Beside simulated exchanges (`--shadow`) paper money travels as fast as theirs: the two are compared.
    scale = settings.simulator.time_scale if settings.market == "simulated" else 1.0
    return PaperCarrier(venue, terms or NoTerms(), journal, clock, settings.transfers.poll_s, earlier, scale)


def earlier_transfers(data_dir: Path, market: str) -> list[Mapping[str, Any]]:
    """The `transfer` records of earlier runs on this market in this data directory, oldest first."""
    with JournalReader.open(data_dir) as reader:
        runs = [run for run in reader.runs() if run.start.get("market") == market]
        return [one.body for run in runs for one in reader.records(run.run_id, RecordKind.TRANSFER)]


def least_delay_h(market: str) -> float:
    """Hours that the allow-list must have stood at the least."""
    return 0.0 if market == "simulated" else _LEAST_DELAY_H


def new_id() -> UUID:
    """Of a transfer."""
    return UUID(bytes=secrets.token_bytes(16), version=4)
