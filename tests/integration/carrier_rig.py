"""A carrier over both simulated exchanges, and the test's hand on its journal, its process and the chain."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from bot.clock import SystemClock
from bot.ports import RecordKind
from bot.ports.transfers import AccountOperations, Carriage, CarryNews, CarryState
from bot.settings.transfers import TransferSettings
from bot.transfers.carrier import DeskCarrier
from bot.transfers.desk import TransferDesk
from bot.transfers.guard import TransferGuard
from bot.transfers.spent import Spent
from exchanges.simulator.accounts.chain import Chain, Payment, Sender
from exchanges.transfers import account_operations
from tests.integration.actions_rig import VENUES, Rig, rig, until
from tests.unit.executor_bench import MemoryJournal

D = Decimal
OTHER = {"binance": "bybit", "bybit": "binance"}
TRADES_IN = {"binance": "spot", "bybit": "unified"}
WITHDRAW = {"binance": "POST /sapi/v1/capital/withdraw/apply", "bybit": "POST /v5/asset/withdraw/create"}
MOVE = "POST /v5/asset/transfer/inter-transfer"
LIMITS = {"USDT": D(1000)}


def carriage(source: str, amount: str = "50", id_: str = "c1", deadline_s: float = 3600.0) -> Carriage:
    return Carriage(id_, "USDT", source, OTHER[source], "tron", D(amount), deadline_s)


class Killed(BaseException):
    """The process ends here: nothing after it happens."""


class DyingJournal(MemoryJournal):
    """Ends the process after, or before, a transfer record, counted from one."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at = 0
        self.is_kept = True
        """Whether the record that it dies at is in the file."""
        self.is_dead = False

    def record(self, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        if self.is_dead:
            raise Killed
        self.is_dead = kind is RecordKind.TRANSFER and len(self.bodies()) + 1 == self.dies_at
        if not self.is_dead or self.is_kept:
            super().record(kind, key, ts_ns, body)
        if self.is_dead:
            raise Killed

    def when_durable(self, callback: Any) -> None:
        if self.is_dead:
            raise Killed
        super().when_durable(callback)

    def bodies(self) -> list[Mapping[str, Any]]:
        return [body for kind, _, body in self.records if kind is RecordKind.TRANSFER]


class Process:
    """One run of the bot, as far as transfers go."""

    def __init__(self, world: "World", earlier: "Process | None" = None, **changed: Any) -> None:
        told = {"enabled": True, "allow_list": world.data_dir / "allowed.yaml", "delay_h": 0, "daily_cap": LIMITS,
                "max_per_transfer": LIMITS, "poll_s": 0.01, "deadline_s": 60}  # fmt: skip
        settings = TransferSettings.model_validate({**told, **changed})
        clock = SystemClock()
        self.journal = DyingJournal()
        before = [] if earlier is None else earlier.all_bodies
        self.all_bodies: list[Mapping[str, Any]] = before
        spent = Spent(before)
        guard = TransferGuard(settings, world.data_dir, world.operations, spent, clock)
        ids = (UUID(int=number, version=4) for number in itertools.count(1))
        self.events: list[tuple[str, str]] = []
        event = lambda level, text: self.events.append((level, text))  # noqa: E731
        self.desk = TransferDesk(world.operations, guard, spent, self.journal, clock, settings, event, ids.__next__)
        self.carrier = DeskCarrier(self.desk, clock, event)
        self.carrier.carry_listener = self
        self.news: list[CarryNews] = []
        self.moved: list[tuple[str, str, Decimal | None]] = []
        self.carrier.cash = self
        world.runs.append(self)

    def on_carry(self, news: CarryNews) -> None:
        self.news.append(news)

    def on_moved(self, venue: str, asset: str, amount: Decimal) -> None:
        self.moved.append((venue, asset, amount))

    def on_unsettled(self, venue: str, asset: str) -> None:
        self.moved.append((venue, asset, None))

    def told(self) -> list[CarryState]:
        return [one.state for one in self.news]

    def states(self) -> list[str]:
        return [body["state"] for body in self.journal.bodies()]

    async def end(self, patience_s: float = 60) -> CarryNews:
        await until(lambda: bool(self.news) and self.news[-1].state.is_final, patience_s)
        return self.news[-1]

    async def die(self) -> None:
        """As by `kill -9`: what it has written down is all that is left of it."""
        self.carrier.stop()
        await asyncio.sleep(0)
        self.all_bodies = [*self.all_bodies, *self.journal.bodies()]


class HeldChain(Chain):
    """Sends nothing while it is held."""

    is_held = False
    common_tx = ""
    """Of the one transaction that pays everything; empty: each has its own."""

    def _broadcast(self, payment: Payment, sender: Sender, ts_ns: int) -> None:
        if self.is_held:
            self._held.append(lambda now: self._broadcast(payment, sender, now))
        else:
            super()._broadcast(payment, sender, ts_ns)
            payment.tx_id = self.common_tx or payment.tx_id


class World:
    """What outlives a process."""

    def __init__(
        self, here: Rig, operations: Mapping[str, AccountOperations], chain: HeldChain, data_dir: Path
    ) -> None:
        self.here = here
        self.chain = chain
        self.operations = operations
        self.data_dir = data_dir
        self.runs: list[Process] = []

    def release(self) -> None:
        """Let the chain send what it holds."""
        self.chain.is_held = False
        self.chain.resume(self.here.pump.now_ns())

    async def allow(self) -> None:
        """Both venues' deposit addresses of USDT on tron."""
        entries = []
        for venue in VENUES:
            network = next(one for one in await self.operations[venue].networks("USDT") if one.chain == "tron")
            address, _ = await self.operations[venue].deposit_address(network)
            entries.append({"name": venue, "asset": "USDT", "network": "tron", "address": address, "venue": venue})
        (self.data_dir / "allowed.yaml").write_text(yaml.safe_dump(entries))

    def held(self, venue: str, wallet: str | None = None) -> Decimal:
        exchange = self.here.exchanges[venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        wallet = TRADES_IN[venue] if wallet is None else wallet
        return sum((one.total for one in account.balances() if (one.wallet, one.asset) == (wallet, "USDT")), D(0))

    def withdrawals(self, venue: str) -> int:
        exchange = self.here.exchanges[venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        return len(account.withdrawals())

    def sent(self, key: str) -> int:
        return sum(f"{method} {path}" == key for method, path in self.here.requests.seen)


@asynccontextmanager
async def world(data_dir: Path, time_scale: float = 1e6) -> AsyncIterator[World]:
    """Both exchanges on one chain that is so much faster than life."""
    chain = HeldChain(3, time_scale=time_scale)
    async with rig(chain=chain) as here:
        keys = {venue: here.keys(venue) for venue in VENUES}
        async with account_operations(VENUES, here.settings(), keys, SystemClock()) as operations:
            one = World(here, operations, chain, data_dir)
            await one.allow()
            pumping = asyncio.create_task(_pump(here))
            try:
                yield one
            finally:
                pumping.cancel()
                for run in one.runs:
                    await run.die()


async def _pump(here: Rig) -> None:
    """The market of the rig has nothing to do for hours, and would sleep through what the chain does."""
    while True:
        here.pump.advance_to(here.pump.now_ns())
        await asyncio.sleep(0.002)
