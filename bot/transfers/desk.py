"""Money on its way: the intent is durable before a request leaves, the request is sent once, the end is waited for.

    intent       in the journal, fsynced; a crash leaves it, and nothing is withdrawn until it is clear
    in_transit   the venue took it
    unknown      no answer came: asked about, never sent again
    refused      by the guard or the venue; not_taken: the venue could not be reached, or turned us away
    done         credited where it went, as far as that is one of our accounts; else confirmed by the venue it left
    failed       the venue gave up

The deadline makes an alarm, once; it is followed all the same (`bot.transfers.following`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from bot.clock import Clock, pause
from bot.errors import TransferOutcomeUnknown, TransferRefused, VenueError
from bot.ports import Journal
from bot.ports.transfers import AccountOperations, Carriage, InternalMove, MoveState, Withdrawal
from bot.settings.transfers import TransferSettings
from bot.transfers.allow_list import Entry
from bot.transfers.following import Following
from bot.transfers.guard import Refusal, TransferGuard, check_grid, on_grid
from bot.transfers.landing import Landing
from bot.transfers.on_its_way import Arrived, OnItsWay, body_of
from bot.transfers.spent import Spent
from bot.transfers.transfer_log import TransferLog


class TransferDesk:
    """Moves money of some accounts. For one event loop."""

    def __init__(
        self,
        operations: Mapping[str, AccountOperations],
        guard: TransferGuard,
        spent: Spent,
        journal: Journal,
        clock: Clock,
        settings: TransferSettings,
        event: Callable[[str, str], None],
        new_id: Callable[[], UUID],
    ) -> None:
        """Nothing is sent yet; `event` takes a level and a line for a person."""
        self._new_id = new_id
        self._operations = operations
        self.guard = guard
        self._clock = clock
        self._settings = settings
        self._log = TransferLog(journal, spent, clock, event)
        self.spent = spent
        self.following = Following(operations, self._log, clock, settings)
        self.landing = Landing(operations, self._log, clock, settings.poll_s)
        # One at a time: what the guard has counted must not change until it is written down.
        self._turn = asyncio.Lock()

    async def move(self, venue: str, asset: str, amount: Decimal, source: str, target: str) -> None:
        """Move between two wallets of an account; returns once the venue has done it.

        Raises:
            TransferRefused: By the guard or the venue; nothing moved.
            TransferOutcomeUnknown: Nobody knew within the deadline.
            VenueError: It was not taken.
        """
        move = InternalMove(str(self._new_id()), asset, amount, source, target, self._clock.now_ns())
        async with self._turn:
            unknown = await self._move(move, venue)
        # What nobody knows of is asked about for as long as it takes: an amount of a chain must not wait for that.
        if unknown is not None:
            await self._ask_for(move, venue, unknown)

    async def _move(self, move: InternalMove, venue: str) -> Mapping[str, Any] | None:
        """Send it; returns its record where no answer came."""
        asset, amount, source, target = move.asset, move.amount, move.source, move.target
        body = {"kind": "internal", "venue": venue, "asset": asset, "amount": f"{amount:f}", "source": source,
                "target": target, "sent_ns": move.sent_ns}  # fmt: skip
        try:
            self.guard.check_enabled()
            wallets = self._wallets(venue)
            if source not in wallets or target not in wallets or source == target:
                raise Refusal(f"{venue} moves money between {' and '.join(wallets)}, not from {source} to {target}")
            if not amount.is_finite() or amount <= 0:
                raise Refusal("the amount is not above zero")
        except Refusal as refusal:
            raise self._log.refused(move.id, body, str(refusal)) from None
        await self._log.intend(move.id, body)
        try:
            self.guard.check_not_halted()  # what left before it, and the disk, were waited for
        except Refusal as refusal:
            raise self._log.refused(move.id, body, str(refusal)) from None
        try:
            await self._operations[venue].move(move)
        except TransferOutcomeUnknown as unknown:
            self._log.record(move.id, body, "unknown", reason=str(unknown))
            return body
        except (TransferRefused, VenueError) as error:
            self._log.fell_through(move.id, body, error)
            raise
        self._log.record(move.id, body, "done")
        return None

    async def withdraw(self, venue: str, asset: str, amount: Decimal, to: str) -> OnItsWay:
        """Send `amount` (fee included) to the address that the allow-list calls `to`; `arrived` waits for its end.

        Raises:
            TransferRefused: By the guard or the venue; nothing left.
            VenueError: It was not taken.
        """
        async with self._turn:
            return await self._withdraw(
                self._new_id().hex, venue, asset, amount, to, lambda: self.guard.entry(to, asset)
            )

    async def carry(self, carriage: Carriage) -> OnItsWay:
        """Send the amount of a chain, under its own id, to where the allow-list says that its other venue takes it.

        What is below the network's grid stays: the withdrawal tells how much left.

        Raises:
            TransferRefused: By the guard or the venue; nothing left.
            VenueError: It was not taken.
        """
        words = (carriage.to_venue, carriage.asset, carriage.network)
        async with self._turn:
            return await self._withdraw(
                carriage.id,
                carriage.from_venue,
                carriage.asset,
                carriage.amount,
                carriage.to_venue,
                lambda: self.guard.entry_to(*words),
                carriage.deadline_s,
            )

    async def _withdraw(
        self,
        id_: str,
        venue: str,
        asset: str,
        amount: Decimal,
        to: str,
        find: Callable[[], Entry],
        deadline_s: float | None = None,
    ) -> OnItsWay:
        body: dict[str, Any] = {"kind": "withdrawal", "venue": venue, "asset": asset, "amount": f"{amount:f}", "to": to,
                                "address": "", "sent_ns": self._clock.now_ns(), "deadline_s": deadline_s}  # fmt: skip
        try:
            self.guard.check_enabled()
            self._wallets(venue)
            entry = find()
            self.guard.check_amount(venue, asset, amount, entry.address)
            network = await self.guard.network(venue, entry)
            if deadline_s is not None:
                amount = on_grid(network, amount)
                self.guard.check_amount(venue, asset, amount, entry.address)
            check_grid(network, amount)
        except Refusal as refusal:
            raise self._log.refused(id_, body, str(refusal)) from None
        withdrawal = Withdrawal(id_, asset, network.name, amount, entry.address, entry.memo, self._clock.now_ns())
        sent = OnItsWay(withdrawal, venue, entry, is_unknown=False, deadline_s=deadline_s)
        body = body_of(sent)
        await self._log.intend(id_, body)
        try:
            self.guard.check_not_halted()
            # Once more when it leaves: the venue's budget, and other requests of its library, are waited for.
            venue_id = await self._operations[venue].withdraw(withdrawal, self.guard.check_not_halted)
        except Refusal as refusal:
            raise self._log.refused(id_, body, str(refusal)) from None
        except TransferOutcomeUnknown as unknown:
            self._log.record(id_, body, "unknown", reason=str(unknown))
            self._log.event("error", f"ALARM: {unknown}: it is asked about, and not sent again")
            return replace(sent, is_unknown=True)
        except (TransferRefused, VenueError) as error:
            self._log.fell_through(id_, body, error)
            raise
        self._log.record(id_, body, "in_transit", venue_id=venue_id)
        return sent

    async def arrived(self, sent: OnItsWay) -> Arrived:
        """Wait for the end of a withdrawal, however long it takes; past the deadline there is an alarm.

        What came to one of our accounts lies in the wallet that trades there.

        Raises:
            TransferRefused: It never left: long after the deadline its venue knows of none like it.
        """
        end = await self.following.arrived(sent)
        venue = sent.to.venue if end.state is MoveState.DONE else sent.venue
        if venue is not None:
            amount = end.amount if end.state is MoveState.DONE else sent.withdrawal.amount
            await self.landing.land(sent.withdrawal.id, venue, sent.withdrawal.asset, amount)
        return end

    async def settle(self) -> None:
        """Ask about what earlier runs left without an end; what stays in doubt keeps its venue shut, and is announced.

        What no venue took, or knows of once the deadline has long passed, never left: no request travels for hours.
        Amounts of chains are left to those who follow them.
        """
        await self.following.settle()

    async def _ask_for(self, move: InternalMove, venue: str, body: Mapping[str, Any]) -> None:
        deadline_ns = self._clock.monotonic_ns() + round(self._settings.deadline_s * 1e9)
        while self._clock.monotonic_ns() < deadline_ns:
            try:
                state = await self._operations[venue].moved(move)
            except VenueError:
                state = None
            if state is MoveState.DONE:
                self._log.record(move.id, body, "done")
                return
            if state is MoveState.FAILED:
                self._log.record(move.id, body, "failed")
                raise TransferRefused(move.id, f"{venue} gave it up")
            await pause(self._clock, self._settings.poll_s)
        self._log.event("error", f"ALARM: nobody knows what became of transfer {move.id} at {venue}")
        raise TransferOutcomeUnknown(move.id, f"{venue} knows of no such transfer yet")

    def _wallets(self, venue: str) -> Sequence[str]:
        if venue not in self._operations:
            raise Refusal(f"money of {venue or 'nobody'} is not moved by this run: {', '.join(self._operations)}")
        return self._operations[venue].wallets
