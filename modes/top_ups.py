"""Margin that is topped up from another wallet of the same account, wired to a run (`bot.engine.watches.top_up`)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from bot.engine.run import EngineRun
from bot.engine.watches.top_up import TOP_UP, TopUp, moved_before
from bot.ports import Journal, RecordKind
from bot.risk.gate import TradingState
from bot.settings import Settings
from bot.storage.queries import JournalReader
from bot.transfers.desk import TransferDesk

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket


class TopUps:
    """Nothing where the settings want none. Implements `bot.engine.run.Watch`."""

    def __init__(self, opened: "OpenMarket", settings: Settings, journal: Journal) -> None:
        """Nothing happens before `start`."""
        self._opened = opened
        self._settings = settings
        self._journal = journal
        self._run: EngineRun | None = None
        self._desk: TransferDesk | None = None
        self._top_up: TopUp | None = None

    def watch(self, run: EngineRun, desk: TransferDesk | None) -> None:
        """The run whose wallets are looked at, and its desk: whoever else moves its money is seen there."""
        self._run, self._desk = run, desk

    def start(self) -> None:
        """Begin to look."""
        risk, run = self._settings.risk, self._run
        if run is None or not risk.top_up_max_notional or not self._opened.accounts:
            return
        engine = run.engine
        if self._desk is None:
            engine.event("warning", "risk.top_up_max_notional moves nothing: transfers.enabled is false")
            return
        self._top_up = TopUp(
            margins=engine.desk.portfolio.margins,
            balances=run.venue.balances,
            move=self._desk.move,
            is_halted=lambda: engine.desk.gate.state is TradingState.HALTED,
            journal=self._journal,
            clock=self._opened.market.clock,
            event=engine.event,
            line_bps=risk.top_up_distance_bps,
            target_bps=max(risk.opening_distance_bps, 2.0 * risk.top_up_distance_bps),
            most_notional=risk.top_up_max_notional,
            earlier=self._earlier(),
        )
        self._top_up.on_moved = run.money_moved
        self._top_up.start()

    def stop(self) -> None:
        """Look no more."""
        if self._top_up is not None:
            self._top_up.stop()

    def _earlier(self) -> Sequence[tuple[int, Decimal]]:
        with JournalReader.open(self._settings.data_dir) as reader:
            runs = [run for run in reader.runs() if run.start.get("market") == self._settings.market]
            records = [one for run in runs for one in reader.records(run.run_id, RecordKind.EVENT)]
        return moved_before(one.body for one in records if one.key == TOP_UP)
