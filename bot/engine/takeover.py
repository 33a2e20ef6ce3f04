"""What earlier runs on the same accounts left: read from the journal, settled with the venues, and gone on with."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from bot.engine.accounts.dust_left import dust_left
from bot.engine.accounts.earlier_results import realised_today
from bot.engine.accounts.left_behind import LeftBehind, in_order_of_adoption, left_behind, write_missing
from bot.engine.accounts.reconciler import Reconciler
from bot.engine.accounts.recovery import Recovery, tell_adopted
from bot.engine.engine import Engine
from bot.execution.chain import Chain
from bot.execution.journal_replay import LeftPair
from bot.patience import Patience
from bot.ports import HasAccounts, Journal, Market, PaysFunding, QuoteDrivenVenue, RebuiltFromFills
from bot.ports.transfers import AccountCarrier, Carrier
from bot.transfers.paper_carrier import PaperCarrier


class Takeover:
    """Hands a run what there is, in three steps: `read`, `settle`, `go_on`."""

    def __init__(
        self,
        engine: Engine,
        market: Market,
        venue: QuoteDrivenVenue,
        journal: Journal,
        *,
        data_dir: Path | None,
        accounts: Mapping[str, str] | None,
        carrier: Carrier | None,
        patience: Patience | None,
    ) -> None:
        """Nothing is read yet.

        Args:
            engine: Of the run.
            market: Names the instruments, and tells the time.
            venue: Takes the orders.
            journal: Of the run.
            data_dir: Where earlier runs wrote; None: nothing of them counts here.
            accounts: Venue -> whose money is traded with; None: what is held ends with the run.
            carrier: Moves amounts of chains between venues.
            patience: With venues that are away.
        """
        self._engine = engine
        self._market = market
        self._venue = venue
        self._journal = journal
        self._data_dir = data_dir
        self._accounts = accounts
        self._carrier = carrier
        self._patience = patience
        self._left = LeftBehind()
        self._dust: Mapping[str, Decimal] = {}
        self._realised = Decimal(0)
        """What earlier runs realised today."""

    def read(self) -> list[str]:
        """Read the journal, before this run writes to it; a line for each pair that cannot be taken over here.

        Raises:
            StorageError: If it cannot be read.
        """
        if self._data_dir is None:
            return []
        instruments, now_ns = self._market.instruments, self._market.clock.now_ns()
        self._left = left_behind(self._data_dir, self._accounts, instruments, now_ns)
        missing = self._left.missing_parts
        self._realised = realised_today(self._data_dir, self._accounts, instruments, now_ns, missing=missing)
        self._engine.desk.portfolio.restore_today(self._realised, now_ns)
        self._dust = dust_left(self._data_dir, self._accounts)
        return self._left.told

    def restore_dust(self) -> None:
        """The next pairs take along what lies there; once this run writes. In a new paper wallet nothing of it does."""
        if isinstance(self._venue, RebuiltFromFills):
            return
        self._engine.desk.executor.dust.restore(self._dust, self._market.instruments)

    async def settle(self) -> list[LeftPair]:
        """Settle with the venues what was left, and what is not ours; paper money is told what it held.

        Raises:
            PreflightFailed: If the venues tell otherwise than the journal.
            VenueError: If they cannot be asked.
        """
        left, engine = self._left, self._engine
        # A person cannot close anything in a paper wallet: what is forgotten is closed by not being there.
        kept = [] if engine.settings.reconciliation.pairs == "abandon" else left.pairs
        if isinstance(self._venue, RebuiltFromFills):
            self._venue.rebuild([fill for pair in kept for fill in pair.fills])
        if isinstance(self._carrier, PaperCarrier):
            chains = [pair.pair for pair in kept if isinstance(pair.pair, Chain)]
            over = [one for chain in chains for one in chain.travels.values() if one.is_over]
            self._carrier.restore([one.carriage.id for one in over])
        if self._data_dir is None or not isinstance(self._venue, HasAccounts):
            return []
        settings, clock = engine.settings.reconciliation, self._market.clock
        accounts, instruments = self._venue.account_questions(), self._market.instruments
        wait_s = 0.0 if self._patience is None else self._patience.left_s
        recovery = Recovery(left, accounts, instruments, self._journal, clock, settings, engine.event, wait_s)
        pairs = await recovery.settle()
        engine.desk.portfolio.quarantine.update(recovery.quarantined)
        if left.reopened:
            now_ns = clock.now_ns()
            who = self._data_dir, self._accounts, instruments
            others = realised_today(*who, now_ns, left.reopened, left.missing_parts)
            engine.desk.portfolio.restore_today(others - self._realised, now_ns)
        return pairs

    def go_on(self, pairs: Sequence[LeftPair]) -> Reconciler | None:
        """Hand the pairs to the desk; what compares the accounts from now on, None where there is nobody to ask."""
        desk, clock = self._engine.desk, self._market.clock
        write_missing(self._journal, self._left)  # before the end of a pair that it is part of
        for left in in_order_of_adoption(pairs):
            what = f"{left.name}, which was {left.pair.state}, and holds {left.held_words()}"
            self._engine.event("warning", f"adopted {what}")
            desk.adopt(left)
        if self._left.since_ns is not None and isinstance(self._venue, PaysFunding):
            desk.remember(self._left.lately)
            self._venue.ask_for_funding(self._left.since_ns, self._left.payments)
        if self._accounts is not None:
            tell_adopted(self._journal, clock, pairs)
        # Paper money is here alone: there is nobody else to ask.
        if not isinstance(self._venue, HasAccounts) or isinstance(self._venue, RebuiltFromFills):
            return None
        every_s, event = self._engine.settings.execution.reconcile_every_s, self._engine.event
        accounts, instruments = self._venue.account_questions(), self._market.instruments
        reconciler = Reconciler(accounts, desk, instruments, clock, every_s, event, self._left)
        if isinstance(self._carrier, AccountCarrier):
            reconciler.follow(self._carrier)
        return reconciler
