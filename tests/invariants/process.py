"""One process of the bot as it may be killed: the real engine over a real journal, on a clock and wires that are cut.

House      the exchanges, the data directory and the processes that come and go on it
Process    engine, gate, executor, ledger, order carriers: all that a kill -9 takes away
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.clock import Timer, VirtualClock
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order
from bot.engine.accounts.dust_left import dust_left
from bot.engine.accounts.left_behind import in_order_of_adoption, left_behind, write_missing
from bot.engine.accounts.recovery import Recovery, tell_adopted
from bot.engine.engine import Engine, RunInfo
from bot.ports import RecordKind, RouteTerms
from bot.ports.transfers import AccountCarrier
from bot.settings import Settings
from bot.storage.journal import SqliteJournal
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.streamed_actions import StreamedActions
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.paper.wallets import wallet_of
from exchanges.routed.venue import ConnectedVenue
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.invariants.wire import Mood, Wire
from tests.invariants.world import BALANCES, FEES, MS, PAIRS, START_NS, Market, World

VENUES = ("binance", "bybit")
ACCOUNTS = {venue: f"account at {venue}" for venue in VENUES}
SETTINGS: Mapping[str, Any] = {
    "market": "simulated",
    "paper": {"balances": {wallet: dict(assets) for wallet, assets in BALANCES.items()}},
    "risk": {"max_daily_loss": 1e6, "max_cumulative_loss": 1e6, "max_orders_per_minute": 100_000, "max_drift_bps": 1e6},
    "quote_gate": {"max_age_ms": 5_000.0, "max_skew_ms": 5_000.0, "jump_confirm_ms": 100.0},
}
OWN = ArbitrageSettings(exit_basis="converged", warmup_s=0.0, max_holding_s=5.0, cooldown_s=0.05, adverse_moves=False)


class Killed(BaseException):
    """The process is no more: nothing of it may go on, and nothing in it may catch this."""


class MortalClock:
    """The world's clock, as a process sees it: its timers die with it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.is_dead = False

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self._clock.call_later(delay_s, lambda: None if self.is_dead else callback())


class MortalJournal:
    """A real journal of which a kill takes what was not durable; it can be told at which step to die."""

    def __init__(self, data_dir: Path, run_id: str) -> None:
        self._file = SqliteJournal(data_dir, run_id, group_commit_ms=0.0)
        self._buffer: list[tuple[RecordKind, str, int, Any]] = []
        self.steps = 0
        self.dies_at: int | None = None
        self.is_dead = False
        self.events: list[str] = []

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self._step()
        if kind is RecordKind.EVENT and not callable(body):
            self.events.append(str(body["text"]))
        self._buffer.append((kind, key, ts_ns, body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        self._step()
        self.flush()
        self._step()
        callback()

    def flush(self) -> None:
        for entry in self._buffer:
            self._file.record(*entry)
        self._buffer.clear()
        self._file.when_durable(lambda: None)

    def kill(self, keep: int) -> None:
        """Die: of what was not durable the first `keep` records have reached the disk by chance."""
        self.is_dead = True
        for entry in self._buffer[:keep]:
            self._file.record(*entry)
        self._buffer.clear()
        self._buffer.clear()
        self._file.close()

    def close(self) -> None:
        self.flush()
        self._file.close()

    def _step(self) -> None:
        self.steps += 1
        if self.is_dead or self.steps == self.dies_at:
            self.is_dead = True
            raise Killed


class Process:
    """The bot, from its start to its kill."""

    def __init__(self, house: "House", run_id: str) -> None:
        self.house = house
        self.instruments = house.world.market.instruments
        self.clock = MortalClock(house.clock)
        self.journal = MortalJournal(house.data_dir, run_id)
        self.settings = Settings.model_validate(house.settings)
        self.told_final: set[str] = set()
        """Orders whose end the engine has been told."""
        self.told_filled: defaultdict[str, Decimal] = defaultdict(Decimal)
        """What it has been told of their fills, each once."""
        self._told_fills: set[tuple[str, str]] = set()
        self.log: list[str] = []
        self.wires: dict[str, Wire] = {}
        self.venue = ConnectedVenue({venue: self._actions(venue) for venue in VENUES})
        self.carrier = None if house.carrier is None else house.carrier(self)
        self.engine = Engine(
            run=RunInfo(run_id, "arbitrage", "simulated", False, "digest", "0"),
            instruments=self.instruments,
            strategy=ArbitrageStrategy(house.strategy),
            venue=self.venue,
            journal=self.journal,
            clock=self.clock,
            settings=self.settings,
            fees=FEES,
            assumed_funding_bps_per_8h={i.feed: 0.0 for i in self.instruments},
            log=self._log,
            terms=house.terms,
            carrier=self.carrier,
        )
        self.desk = self.engine.desk
        self.venue.listener = _Ear(self)

    async def start(self) -> None:
        """Connect, take over what an earlier process left, and begin to decide: in the order of `EngineRun.run`."""
        data_dir, clock = self.house.data_dir, self.clock
        left = left_behind(data_dir, ACCOUNTS, self.instruments)
        dust = dust_left(data_dir, ACCOUNTS)
        self._record_start()
        self.desk.executor.dust.restore(dust, self.instruments)
        await self.venue.start()
        settings = self.settings.reconciliation
        recovery = Recovery(
            left, self.venue.account_questions(), self.instruments, self.journal, clock, settings, self.engine.event
        )
        pairs = await recovery.settle()
        self.engine.start()
        for one in in_order_of_adoption(pairs):
            self.told_final |= {id_ for id_, (order, _, _) in one.pair.orders.items() if order.status.is_terminal}
            self.desk.adopt(one)
        write_missing(self.journal, left)
        if left.since_ns is not None:
            self.venue.ask_for_funding(left.since_ns, left.payments)
        tell_adopted(self.journal, clock, pairs)
        if self.carrier is not None:
            self.carrier.start()

    def _record_start(self) -> None:
        run = self.engine.run
        body = {
            "run_id": run.run_id, "strategy": run.strategy, "market": run.market, "real_money": run.real_money,
            "settings_digest": run.settings_digest, "version": run.version, "started_ns": self.clock.now_ns(),
            "instruments": [instrument.model_dump(mode="json") for instrument in self.instruments],
            "fees": {}, "funding_assumed": {}, "accounts": dict(ACCOUNTS),
        }  # fmt: skip
        self.journal.record(RecordKind.RUN, run.run_id, self.clock.now_ns(), body)

    def on_told(self, fill: Fill) -> None:
        """The engine hears of a fill now."""
        key = (fill.instrument.id, fill.fill_id)
        if key not in self._told_fills:
            self._told_fills.add(key)
            self.told_filled[fill.client_order_id] += fill.quantity

    def kill(self, keep: int) -> None:
        """As by kill -9."""
        self.clock.is_dead = True
        self.journal.kill(keep)
        for wire in self.wires.values():
            self.house.world.news.pop(wire.venue, None)
            self.house.world.on_funding.pop(wire.venue, None)

    def _actions(self, venue: str) -> StreamedActions:
        house = self.house
        desk = OrderDesk(self.clock)
        wallets = WalletBook(wallet_of, FEES, self.settings.paper.initial_margin_ratio, locks_margin=False)
        wire = self.wires[venue] = Wire(
            venue=venue,
            world=house.world,
            clock=self.clock,
            rng=house.rng,
            mood=house.moods[venue],
            desk=desk,
            wallets=wallets,
            is_cut=lambda: self.clock.is_dead,
            before_sending=lambda order: house.on_sending(self, order),
        )
        funding = FundingDesk()
        house.world.news[venue] = wire.on_news
        house.world.on_funding[venue] = lambda: _later(self.clock, funding.due.set)
        state = VenueState(RequestBudget(venue, [], self.clock), [], self.clock, self._log)
        return StreamedActions(
            desk=desk, wallets=wallets, funding=funding, orders=wire, account=wire, protocols=[],
            state=state,
            dead_man=wire, settings=self.settings.connection, clock=self.clock, rng=house.rng, log=self._log,
            questions=AskedAccount(venue, wire, wire, wire, wallets, desk, state),
        )  # fmt: skip

    def _log(self, level: str, text: str) -> None:
        self.log.append(f"{level}: {text}")


class _Ear:
    """Notes which orders the engine was told the end of, on the way to it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def on_order(self, order: Order) -> None:
        self._process.desk.on_order(order)
        if order.status.is_terminal:
            self._process.told_final.add(order.client_order_id)

    def on_fill(self, fill: Fill) -> None:
        self._process.on_told(fill)
        self._process.desk.on_fill(fill)


class House:
    """Exchanges, a data directory, and whoever lives there now."""

    def __init__(
        self,
        data_dir: Path,
        seed: int,
        settings: Mapping[str, Any] = SETTINGS,
        market: Market = PAIRS,
        strategy: ArbitrageSettings = OWN,
        carrier: "Callable[[Process], AccountCarrier] | None" = None,
        terms: RouteTerms | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.strategy = strategy
        self.carrier = carrier
        """Builds what moves money for a process; None: nothing does."""
        self.terms = terms
        self.seed = seed
        self.settings = settings
        self.rng = random.Random(seed)
        self.clock = VirtualClock(START_NS)
        self.world = World(self.clock, market)
        self.moods = {venue: Mood() for venue in VENUES}
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._on_exception)
        self.failure: BaseException | None = None
        self.checks: list[Callable[[Process, Order], None]] = []
        self.sequence = 1
        self.runs = 0
        self.process = self.new_process()
        self._run(self._start())

    def restart(self, keep: int = 0) -> None:
        """Kill the process, if it is not dead yet, and start another on what it left.

        Args:
            keep: So many records that were not durable have reached the disk by chance.
        """
        self.process.kill(keep)
        self._end_tasks()
        for mood in self.moods.values():
            mood.is_deaf = False  # or there would be no start: a person tries again when the venues answer
        self.process = self.new_process()
        self._run(self._start())

    def new_process(self) -> Process:
        """A bot on this data directory; not started."""
        self.runs += 1
        return Process(self, f"run{self.runs}")

    async def _start(self) -> None:
        starting = self.loop.create_task(self.process.start())
        while not starting.done():
            await self._play(self.clock.now_ns() + MS)
        await starting

    def on_sending(self, process: Process, order: Order) -> None:
        """The first byte of an order is about to leave."""
        if process.clock.is_dead:
            raise Killed
        for check in self.checks:
            check(process, order)

    # Time and the market

    def play(self, ms: int) -> None:
        """Let so much time pass, timer by timer."""
        self._run(self._play(self.clock.now_ns() + ms * MS))

    def quote(self, slot: int, bid: float, ask: float, bid_qty: float, ask_qty: float) -> None:
        """A book changes; sizes in base units."""
        self.sequence += 1
        units = float(self.world.market.instruments[slot].contract_multiplier)
        quote = TopOfBook(
            bid_price=bid, bid_qty=bid_qty / units, ask_price=ask, ask_qty=ask_qty / units, sequence=self.sequence
        )

        async def shown() -> None:
            self.world.show(slot, quote)
            self.process.engine.on_quote(slot, quote, self.clock.now_ns(), b"")

        self._run(shown())

    def end_batch(self) -> None:
        """Decisions are taken here."""

        async def ended() -> None:
            self.process.engine.on_batch_end(self.clock.now_ns())

        self._run(ended())

    def close(self) -> None:
        """Let go of everything."""
        if not self.process.journal.is_dead:
            self.process.kill(0)
        self._end_tasks()
        self.loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            await work
            await _settled()

        try:
            self.loop.run_until_complete(run())
        except Killed as killed:
            self.failure = self.failure or killed
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    async def _play(self, until_ns: int) -> None:
        while (due_ns := self.clock.next_due_ns()) is not None and due_ns <= until_ns:
            self.clock.advance_to(due_ns)
            await _settled()
            if self.failure is not None:
                return
        self.clock.advance_to(until_ns)
        await _settled()

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failure = self.failure or context.get("exception") or AssertionError(context["message"])

    def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.failure = None


def _later(clock: MortalClock, callback: Callable[[], None]) -> None:
    clock.call_later(0.05, callback)


async def _settled() -> None:
    """Until no task has anything to do that needs no time."""
    for _ in range(12):
        await asyncio.sleep(0)
