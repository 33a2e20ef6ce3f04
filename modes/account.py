"""The accounts, from Python alone: transfer, withdraw, long, short (`docs/actions.md`).

Orders and transfers are written to the journal before they leave, as the bot's own are; strategy, gate and limits on
orders have no say here. Real money stands behind the locks of a run that trades: argument, setting, keys, preflight.
An account is used by one process at a time, a bot or this.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

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
from bot.transfers.desk import TransferDesk
from bot.transfers.durable import durable
from bot.transfers.guard import TransferGuard
from bot.transfers.on_its_way import Arrived, OnItsWay
from bot.transfers.spent import Spent
from bot.version import VERSION
from modes.carriers import earlier_transfers, least_delay_h, new_id
from modes.house import MAIN
from modes.kill_accounts import remember_accounts
from modes.lease import leased
from modes.locks import is_real, unlocked_keys
from strategies.registry import strategy_settings

if TYPE_CHECKING:
    from exchanges.common.requests.api_keys import ApiKeys
    from exchanges.markets import OpenMarket


BY_HAND = "by hand"
"""The strategy of such a run, in the journal and in reports."""


class Account:
    """Everything that changes the accounts. Made by `opened_account`."""

    def __init__(
        self, run_id: str, venue: QuoteDrivenVenue, instruments: Sequence[Instrument], desk: TransferDesk,
        journal: Journal, clock: Clock, data_dir: Path,
    ) -> None:  # fmt: skip
        self._run_id = run_id
        self._data_dir = data_dir
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
            Halted: If the bot was halted meanwhile, and this does more than make a position smaller; it was not sent.
        """
        return await self._trade(feed, symbol, quantity, Side.BUY)

    async def short(self, feed: str, symbol: str, quantity: str) -> Order:
        """Sell at the market; as `long`.

        Raises:
            SettingsError, StorageError, Halted: As `long`.
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
        now_ns = self._clock.now_ns()
        try:
            allowed = self._obeying(order)
        except Halted as halted:
            update = {"status": OrderStatus.CANCELLED, "reason": f"not sent: {halted}", "ts_final_ns": now_ns}
            self._write(order.model_copy(update=update))
            raise
        sent = allowed.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": now_ns})
        self._write(sent)
        try:
            self._venue.submit(sent)
        except OrderRejected as refused:  # the venue was not asked: it will not tell either
            self.on_order(sent.model_copy(update={"status": OrderStatus.REJECTED, "reason": str(refused)}))
        return await ended

    def _obeying(self, order: Order) -> Order:
        """It as it may leave: once HALTED, nothing but what makes a derivative position smaller."""
        if (flag := read_flag(self._data_dir)) is None:
            return order
        held = (one.quantity for one in self._venue.positions() if one.instrument.id == order.instrument.id)
        if order.quantity > -order.side.sign * sum(held, Decimal(0)):
            raise Halted(flag.words())
        return order.model_copy(update={"reduce_only": True})

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
async def opened_account(
    settings: str | Path = "settings.yaml", *overrides: str, real_money: bool = False
) -> AsyncIterator[Account]:
    """The accounts of the market that the settings name, for the length of the block.

    Args:
        settings: The settings file.
        overrides: `section.key=value`, as `--set` takes them.
        real_money: Must be said in market `live`, as well as `real_money: true` in the settings.

    Raises:
        SettingsError: If something is missing, a lock on real money is closed, or the market knows no accounts.
        PreflightFailed: If another process uses one of the accounts, or they are not fit to trade on.
        Halted: If the bot was halted in this data directory, and nobody has taken that away.
        StorageError: If another program writes to the data directory.
        VenueError: If a venue cannot be asked.
    """
    loaded = load_settings(Path(settings), os.environ, overrides, {}, strategy_settings()).settings
    keys = _keys(loaded, real_money=real_money)
    if (flag := read_flag(loaded.data_dir)) is not None:
        raise Halted(flag.words())
    # Imported here, as everywhere: the client libraries take a second to load.
    from exchanges.markets import Wanted, opened_market

    async with opened_market(loaded, Wanted((), None, MAIN, keys), _log, lambda *_: None) as opened:
        held = () if opened.dies_with_run else [(one.venue, key_fingerprint(one.key)) for one in opened.accounts]
        lock = AccountLock(held, state_directory(os.environ))
        try:
            async with _on_market(opened, loaded) as account:
                yield account
        finally:
            lock.release()


def _keys(settings: Settings, *, real_money: bool) -> "Mapping[str, ApiKeys]":
    """Of the accounts; none where the exchanges are started for the block."""
    if settings.market not in ("simulated", "testnet", "live"):
        raise SettingsError(f"accounts are used from Python in market simulated, testnet or live: {settings.market}")
    keys = unlocked_keys(settings, flag=real_money, environ=os.environ, said="real_money=True")
    if settings.market == "live" and not keys:
        raise SettingsError("real money stays locked: real_money=True was not given, nor is it true in the settings")
    return keys


@asynccontextmanager
async def _on_market(opened: "OpenMarket", settings: Settings) -> AsyncIterator[Account]:
    from exchanges.transfers import MOVES_MONEY, account_operations
    from modes.preflight import require_preflight

    clock, real_money = opened.market.clock, is_real(settings, opened.keys)
    run_id = f"{datetime.fromtimestamp(clock.now_ns() / 1e9, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    venues = sorted({one.venue for one in opened.market.instruments} & MOVES_MONEY)
    async with (
        leased(opened, settings, run_id, _log),
        account_operations(venues, opened.settings, opened.keys, clock, opened.budgets) as operations,
    ):
        if settings.market != "simulated":
            await require_preflight(opened, settings, opened.keys, _log, real_money=real_money)
        journal = SqliteJournal(settings.data_dir, run_id, deliver=asyncio.get_running_loop().call_soon_threadsafe)
        try:
            # Once nobody else writes there: the daily cap counts what the process before has sent in its last moment.
            spent = Spent([] if opened.dies_with_run else earlier_transfers(settings.data_dir, settings.market))
            if opened.accounts:  # `--mode kill` looks for orders there
                remember_accounts(settings.data_dir, settings.market, opened.accounts, settings.keys)
            least_h = least_delay_h(settings.market)
            guard = TransferGuard(settings.transfers, settings.data_dir, operations, spent, clock, least_h)
            event = _events(journal, clock)
            desk = TransferDesk(operations, guard, spent, journal, clock, settings.transfers, event, new_id)
            await desk.settle()
            async with _trading(run_id, opened, desk, journal, settings) as account:
                yield account
        finally:
            await asyncio.to_thread(journal.close)


@asynccontextmanager
async def _trading(
    run_id: str, opened: "OpenMarket", desk: TransferDesk, journal: Journal, settings: Settings
) -> AsyncIterator[Account]:
    market = opened.market
    venue = opened.venue({})
    account = Account(run_id, venue, market.instruments, desk, journal, market.clock, settings.data_dir)
    body = {"run_id": run_id, "strategy": BY_HAND, "market": settings.market,
            "real_money": is_real(settings, opened.keys), "version": VERSION,
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


def _events(journal: Journal, clock: Clock) -> Callable[[str, str], None]:
    def event(level: str, text: str) -> None:
        journal.record(RecordKind.EVENT, level, clock.now_ns(), {"level": level, "text": text})
        _log(level, text)

    return event


def _log(level: str, text: str) -> None:
    print(f"{level}: {text}" if level != "info" else text)
