"""The accounts, from Python alone: transfer, withdraw, long, short (`docs/actions.md`).

Orders and transfers are written to the journal before they leave, as the bot's own are; strategy, gate and limits on
orders have no say here. In the simulated market and at the test systems alone.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from bot.clock import Clock, SystemClock
from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import Halted, OrderRejected, SettingsError
from bot.ports import Journal, QuoteDrivenVenue, RecordKind
from bot.risk.halt_flag import read_flag
from bot.settings import Settings
from bot.settings.loader import load_settings
from bot.storage.account_lock import AccountLock, key_fingerprint, state_directory
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from bot.transfers.desk import TransferDesk
from bot.transfers.durable import durable
from bot.transfers.guard import TransferGuard
from bot.transfers.on_its_way import Arrived, OnItsWay
from bot.transfers.spent import Spent
from bot.version import VERSION
from modes.house import MAIN
from modes.locks import unlocked_keys
from strategies.registry import strategy_settings

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket

_LEAST_DELAY_H = 24.0
"""At what is no simulation, whatever the settings say."""


class Account:
    """Everything that changes the accounts. Made by `opened_account`."""

    def __init__(
        self, run_id: str, venue: QuoteDrivenVenue, instruments: Sequence[Instrument], desk: TransferDesk,
        journal: Journal, clock: Clock,
    ) -> None:  # fmt: skip
        self._run_id = run_id
        self._venue = venue
        self._instruments = {(str(one.feed), one.symbol): one for one in instruments}
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._orders: dict[str, asyncio.Future[Order]] = {}
        self._count = 0
        venue.listener = self

    async def transfer(self, venue: str, asset: str, amount: str, source: str, target: str) -> None:
        """Move between two wallets of an account: `spot` and `linear` of Binance, `unified` and `fund` of Bybit.

        Raises:
            TransferRefused, TransferOutcomeUnknown, VenueError: As `TransferDesk.move`.
        """
        await self._desk.move(venue, asset, Decimal(amount), source, target)

    async def withdraw(self, venue: str, asset: str, amount: str, to: str) -> OnItsWay:
        """Send `amount`, fee included, to the address that the allow-list calls `to`.

        Raises:
            TransferRefused, VenueError: As `TransferDesk.withdraw`.
        """
        return await self._desk.withdraw(venue, asset, Decimal(amount), to)

    async def arrived(self, sent: OnItsWay) -> Arrived:
        """Wait for the end of a withdrawal."""
        return await self._desk.arrived(sent)

    async def long(self, feed: str, symbol: str, quantity: str) -> Order:
        """Buy at the market; returns the order in its final state. `feed` is `binance.linear`, `quantity` in the
        venue's units.

        Raises:
            SettingsError: If the instrument is not in the settings, or the quantity not on its grid.
            StorageError: If its intent cannot be made durable; it was not sent.
        """
        return await self._trade(feed, symbol, quantity, Side.BUY)

    async def short(self, feed: str, symbol: str, quantity: str) -> Order:
        """Sell at the market; as `long`.

        Raises:
            SettingsError, StorageError: As `long`.
        """
        return await self._trade(feed, symbol, quantity, Side.SELL)

    def balances(self) -> Sequence[Balance]:
        """Every wallet that trades, as it is known now."""
        return self._venue.balances()

    def positions(self) -> Sequence[Position]:
        """Every derivative position that is not flat."""
        return self._venue.positions()

    async def _trade(self, feed: str, symbol: str, quantity: str, side: Side) -> Order:
        instrument = self._instruments.get((feed, symbol))
        amount = Decimal(quantity)
        if instrument is None:
            raise SettingsError(f"{feed} {symbol} is not among the instruments of the settings")
        if not amount.is_finite() or amount <= 0 or amount % instrument.lot_size:
            raise SettingsError(f"{quantity} is no quantity of {symbol}: multiples of {instrument.lot_size:f}")
        self._count += 1
        order = Order(
            client_order_id=f"{self._run_id}-{self._count}", instrument=instrument, side=side, type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC, quantity=amount, price=None, ts_decision_ns=self._clock.now_ns(),
        )  # fmt: skip
        ended: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        self._orders[order.client_order_id] = ended
        self._write(order)
        await durable(self._journal)
        sent = order.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": self._clock.now_ns()})
        self._write(sent)
        try:
            self._venue.submit(sent)
        except OrderRejected as refused:  # the venue was not asked: it will not tell either
            self.on_order(sent.model_copy(update={"status": OrderStatus.REJECTED, "reason": str(refused)}))
        return await ended

    def on_order(self, order: Order) -> None:
        """An order's state changed; `bot.ports.OrderListener`."""
        self._write(order)
        waiting = self._orders.get(order.client_order_id)
        if order.status.is_terminal and waiting is not None and not waiting.done():
            waiting.set_result(order)

    def on_fill(self, fill: Fill) -> None:
        """Part of an order was done."""
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, _of_no_pair(fill.model_dump(mode="json")))

    def _write(self, order: Order) -> None:
        body = _of_no_pair(order.model_dump(mode="json"))
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)


def _of_no_pair(body: dict[str, object]) -> dict[str, object]:
    return {**body, "pair": None, "leg": None, "expected_price": None}


@asynccontextmanager
async def opened_account(settings: str | Path = "settings.yaml", *overrides: str) -> AsyncIterator[Account]:
    """The accounts of the market that the settings name, for the length of the block.

    Args:
        settings: The settings file.
        overrides: `section.key=value`, as `--set` takes them.

    Raises:
        SettingsError: If something is missing, or the market is another than `simulated` and `testnet`.
        PreflightFailed: If another process trades on one of the accounts.
        Halted: If the bot was halted in this data directory, and nobody has taken that away.
        StorageError: If another program writes to the data directory.
        VenueError: If a venue cannot be asked.
    """
    loaded = load_settings(Path(settings), os.environ, overrides, {}, strategy_settings()).settings
    if loaded.market not in ("simulated", "testnet"):
        raise SettingsError(f"accounts are used from Python in market simulated or testnet, not in {loaded.market}")
    if (flag := read_flag(loaded.data_dir)) is not None:
        raise Halted(flag.words())
    keys = unlocked_keys(loaded, flag=False, environ=os.environ)
    # Imported here, as everywhere: the client libraries take a second to load.
    from exchanges.markets import Wanted, opened_market

    async with opened_market(loaded, Wanted((), None, MAIN, keys), _log, lambda *_: None) as opened:
        clock = opened.market.clock
        # Before anything is sent: a bot, or another program of ours, may be on one of these accounts.
        held = () if opened.dies_with_run else [(one.venue, key_fingerprint(one.key)) for one in opened.accounts]
        lock = AccountLock(held, state_directory(os.environ))
        try:
            async with _operated(opened, loaded, clock) as account:
                yield account
        finally:
            lock.release()


@asynccontextmanager
async def _operated(opened: "OpenMarket", loaded: Settings, clock: Clock) -> AsyncIterator[Account]:
    from exchanges.transfers import MOVES_MONEY, account_operations

    venues = sorted({one.venue for one in opened.market.instruments} & MOVES_MONEY)
    async with account_operations(venues, opened.settings, opened.keys, clock) as operations:
        spent = _earlier(loaded.data_dir)
        run_id = f"{datetime.fromtimestamp(clock.now_ns() / 1e9, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        deliver = asyncio.get_running_loop().call_soon_threadsafe
        journal = SqliteJournal(loaded.data_dir, run_id, deliver=deliver)
        try:
            least_h = 0.0 if loaded.market == "simulated" else _LEAST_DELAY_H
            guard = TransferGuard(loaded.transfers, loaded.data_dir, operations, spent, clock, least_h)
            event = _events(journal, clock)
            desk = TransferDesk(operations, guard, spent, journal, clock, loaded.transfers, event, _new_id)
            await desk.settle()
            async with _trading(run_id, opened, desk, journal, loaded) as account:
                yield account
        finally:
            await asyncio.to_thread(journal.close)


@asynccontextmanager
async def _trading(
    run_id: str, opened: "OpenMarket", desk: TransferDesk, journal: Journal, settings: Settings
) -> AsyncIterator[Account]:
    market = opened.market
    venue = opened.venue({})
    account = Account(run_id, venue, market.instruments, desk, journal, market.clock)
    body = {"run_id": run_id, "strategy": "by hand", "market": settings.market, "real_money": False, "version": VERSION,
            "started_ns": SystemClock().now_ns(),
            "instruments": [one.model_dump(mode="json") for one in market.instruments]}  # fmt: skip
    journal.record(RecordKind.RUN, run_id, market.clock.now_ns(), body)
    await venue.start()
    try:
        yield account
    finally:
        await venue.stop()
        body = {"finished_ns": SystemClock().now_ns(), "complete": True, "summary": {}, "marks": {}}
        journal.record(RecordKind.RUN, run_id, market.clock.now_ns(), body)


def _earlier(data_dir: Path) -> Spent:
    """What earlier runs in this data directory withdrew."""
    with JournalReader.open(data_dir) as reader:
        runs = reader.runs()
        return Spent(one.body for run in runs for one in reader.records(run.run_id, RecordKind.TRANSFER))


def _new_id() -> UUID:
    return UUID(bytes=secrets.token_bytes(16), version=4)


def _events(journal: Journal, clock: Clock) -> Callable[[str, str], None]:
    def event(level: str, text: str) -> None:
        journal.record(RecordKind.EVENT, level, clock.now_ns(), {"level": level, "text": text})
        _log(level, text)

    return event


def _log(level: str, text: str) -> None:
    print(f"{level}: {text}" if level != "info" else text)
