"""Money on its way: the intent is durable before a request leaves, the request is sent once, the end is waited for.

    intent       in the journal, fsynced; a crash leaves it, and nothing is withdrawn until it is clear
    in_transit   the venue took it
    unknown      no answer came: asked about, never sent again
    refused      by the guard or the venue; not_taken: the venue could not be reached, or turned us away
    done         credited where it went, as far as that is one of our accounts; else confirmed by the venue it left
    failed       the venue gave up

The deadline makes an alarm, once; it is followed all the same.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from bot.clock import Clock, pause
from bot.errors import StorageError, TransferOutcomeUnknown, TransferRefused, VenueError
from bot.ports import Journal, RecordKind
from bot.ports.transfers import AccountOperations, InternalMove, MoveState, Seen, Withdrawal
from bot.settings.transfers import TransferSettings
from bot.transfers.allow_list import Entry
from bot.transfers.durable import durable
from bot.transfers.guard import Refusal, TransferGuard
from bot.transfers.spent import Sent, Spent

_EARLIER_NS = 60 * 10**9
"""A deposit may be dated before its withdrawal: two clocks."""


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A withdrawal that a venue took, or may have taken."""

    withdrawal: Withdrawal
    venue: str
    to: Entry
    is_unknown: bool
    """Whether no answer came."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """How a withdrawal ended."""

    state: MoveState
    amount: Decimal
    """What arrived; 0 where it failed."""
    tx_id: str


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
        self._guard = guard
        self._spent = spent
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._event = event
        # One at a time: what the guard has counted must not change until it is written down.
        self._turn = asyncio.Lock()

    async def move(self, venue: str, asset: str, amount: Decimal, source: str, target: str) -> None:
        """Move between two wallets of an account; returns once the venue has done it.

        Raises:
            TransferRefused: By the guard or the venue; nothing moved.
            TransferOutcomeUnknown: Nobody knew within the deadline.
            VenueError: It was not taken.
        """
        async with self._turn:
            await self._move(
                InternalMove(str(self._new_id()), asset, amount, source, target, self._clock.now_ns()), venue
            )

    async def _move(self, move: InternalMove, venue: str) -> None:
        asset, amount, source, target = move.asset, move.amount, move.source, move.target
        body = {"kind": "internal", "venue": venue, "asset": asset, "amount": f"{amount:f}", "source": source,
                "target": target, "sent_ns": move.sent_ns}  # fmt: skip
        try:
            self._guard.check_enabled()
            wallets = self._wallets(venue)
            if source not in wallets or target not in wallets or source == target:
                raise Refusal(f"{venue} moves money between {' and '.join(wallets)}, not from {source} to {target}")
            if not amount.is_finite() or amount <= 0:
                raise Refusal("the amount is not above zero")
        except Refusal as refusal:
            raise self._refused(move.id, body, str(refusal)) from None
        await self._intend(move.id, body)
        try:
            await self._operations[venue].move(move)
        except TransferOutcomeUnknown as unknown:
            self._record(move.id, body, "unknown", reason=str(unknown))
            await self._ask_for(move, venue, body)
            return
        except (TransferRefused, VenueError) as error:
            self._fell_through(move.id, body, error)
            raise
        self._record(move.id, body, "done")

    async def withdraw(self, venue: str, asset: str, amount: Decimal, to: str) -> OnItsWay:
        """Send `amount` (fee included) to the address that the allow-list calls `to`; `arrived` waits for its end.

        Raises:
            TransferRefused: By the guard or the venue; nothing left.
            VenueError: It was not taken.
        """
        async with self._turn:
            return await self._withdraw(self._new_id().hex, venue, asset, amount, to)

    async def _withdraw(self, id_: str, venue: str, asset: str, amount: Decimal, to: str) -> OnItsWay:
        body: dict[str, Any] = {"kind": "withdrawal", "venue": venue, "asset": asset, "amount": f"{amount:f}", "to": to,
                                "address": "", "sent_ns": self._clock.now_ns()}  # fmt: skip
        try:
            self._guard.check_enabled()
            self._wallets(venue)
            entry = self._guard.entry(to, asset)
            self._guard.check_amount(venue, asset, amount, entry.address)
            network = await self._guard.network(venue, entry, amount)
        except Refusal as refusal:
            raise self._refused(id_, body, str(refusal)) from None
        sent_ns = self._clock.now_ns()
        withdrawal = Withdrawal(id_, asset, network.name, amount, entry.address, entry.memo, sent_ns)
        body |= {"address": entry.address, "memo": entry.memo, "network": network.name, "sent_ns": sent_ns}
        await self._intend(id_, body)
        try:
            venue_id = await self._operations[venue].withdraw(withdrawal)
        except TransferOutcomeUnknown as unknown:
            self._record(id_, body, "unknown", reason=str(unknown))
            self._event("error", f"ALARM: {unknown}: it is asked about, and not sent again")
            return OnItsWay(withdrawal, venue, entry, is_unknown=True)
        except (TransferRefused, VenueError) as error:
            self._fell_through(id_, body, error)
            raise
        self._record(id_, body, "in_transit", venue_id=venue_id)
        return OnItsWay(withdrawal, venue, entry, is_unknown=False)

    async def arrived(self, sent: OnItsWay) -> Arrived:
        """Wait for the end of a withdrawal, however long it takes; past the deadline there is an alarm."""
        deadline_ns = self._clock.monotonic_ns() + round(self._settings.deadline_s * 1e9)
        is_unknown, is_late = sent.is_unknown, False
        body = self._body_of(sent)
        while True:
            seen, end = await self._look(sent)
            if seen is not None and is_unknown:
                is_unknown = False
                self._record(sent.withdrawal.id, body, "in_transit", venue_id=seen.venue_id)
            if end is not None:
                more = {"received": f"{end.amount:f}", "tx_id": end.tx_id}
                self._record(sent.withdrawal.id, body, end.state.value, **more)
                return end
            if not is_late and self._clock.monotonic_ns() >= deadline_ns:
                is_late = True
                amount = f"{sent.withdrawal.amount:f} {sent.withdrawal.asset}"
                words = f"withdrawal {sent.withdrawal.id} of {amount} from {sent.venue} to {sent.to.name}"
                state = "its outcome is unknown" if is_unknown else "it is on its way"
                self._event("error", f"ALARM: {words} has not arrived in {self._settings.deadline_s:g} s: {state}")
            await pause(self._clock, self._settings.poll_s)

    async def settle(self) -> None:
        """Ask about what earlier runs left without an end; what stays in doubt keeps its venue shut, and is announced.

        What no venue knows of once the deadline has long passed never left: a request does not travel for hours.
        """
        for one in self._spent.all_unfinished():
            operations = self._operations.get(one.venue)
            if operations is None:
                continue
            withdrawal = Withdrawal(
                one.id, one.asset, one.body["network"], one.amount, one.address, one.body["memo"], one.sent_ns
            )
            try:
                seen = await operations.withdrawn(withdrawal)
            except VenueError as error:
                self._event("error", f"ALARM: withdrawal {one.id} cannot be asked about: {error}")
                continue
            self._settle(one, seen)

    def _settle(self, one: Sent, seen: Seen | None) -> None:
        old = self._clock.now_ns() - one.sent_ns > self._settings.deadline_s * 1e9
        body = {name: value for name, value in one.body.items() if name not in ("transfer", "state")}
        if seen is not None:
            self._record(one.id, body, seen.state.value, venue_id=seen.venue_id, tx_id=seen.tx_id)
            self._event("info", f"withdrawal {one.id} of an earlier run is {seen.state}")
        elif old:
            self._record(one.id, body, "not_taken", reason="its venue knows of none like it")
            self._event("warning", f"withdrawal {one.id} of an earlier run never left")
        else:
            self._event("error", f"ALARM: {one.venue} knows nothing of withdrawal {one.id} yet")

    async def _look(self, sent: OnItsWay) -> tuple[Seen | None, Arrived | None]:
        """What its venue tells of it now, and its end where it has one."""
        try:
            seen = await self._operations[sent.venue].withdrawn(sent.withdrawal)
            if seen is None or seen.state is MoveState.IN_TRANSIT:
                return seen, None
            if seen.state is MoveState.FAILED:
                return seen, Arrived(MoveState.FAILED, Decimal(0), seen.tx_id)
            there = None if sent.to.venue is None else self._operations[sent.to.venue]
            if there is None:
                return seen, Arrived(MoveState.DONE, seen.amount, seen.tx_id)
            since_ns = sent.withdrawal.sent_ns - _EARLIER_NS
            deposits = await there.deposits(sent.withdrawal.asset, since_ns)
        except VenueError:
            return None, None  # asked again after a while; the deadline runs
        return seen, next(
            (Arrived(MoveState.DONE, one.amount, one.tx_id) for one in deposits if _is_credit(one, seen)), None
        )

    async def _ask_for(self, move: InternalMove, venue: str, body: Mapping[str, Any]) -> None:
        deadline_ns = self._clock.monotonic_ns() + round(self._settings.deadline_s * 1e9)
        while self._clock.monotonic_ns() < deadline_ns:
            try:
                state = await self._operations[venue].moved(move)
            except VenueError:
                state = None
            if state is MoveState.DONE:
                self._record(move.id, body, "done")
                return
            if state is MoveState.FAILED:
                self._record(move.id, body, "failed")
                raise TransferRefused(move.id, f"{venue} gave it up")
            await pause(self._clock, self._settings.poll_s)
        self._event("error", f"ALARM: nobody knows what became of transfer {move.id} at {venue}")
        raise TransferOutcomeUnknown(move.id, f"{venue} knows of no such transfer yet")

    # Writing down

    async def _intend(self, id_: str, body: Mapping[str, Any]) -> None:
        """Write the intent; returns once it is on the disk."""
        self._record(id_, body, "intent")
        try:
            await durable(self._journal)
        except StorageError:
            raise self._refused(id_, body, "its intent is not durable: the journal cannot be written") from None

    def _refused(self, id_: str, body: Mapping[str, Any], why: str) -> TransferRefused:
        self._record(id_, body, "refused", reason=why)
        self._event("warning", f"transfer {id_} refused: {why}")
        return TransferRefused(id_, why)

    def _fell_through(self, id_: str, body: Mapping[str, Any], error: TransferRefused | VenueError) -> None:
        state = "refused" if isinstance(error, TransferRefused) else "not_taken"
        self._record(id_, body, state, reason=str(error))
        self._event("warning", f"transfer {id_}: {error}")

    def _record(self, id_: str, body: Mapping[str, Any], state: str, **more: str) -> None:
        whole = {"transfer": id_, **body, "state": state, **more}
        self._spent.take(whole)
        self._journal.record(RecordKind.TRANSFER, id_, self._clock.now_ns(), whole)

    def _body_of(self, sent: OnItsWay) -> dict[str, Any]:
        one = sent.withdrawal
        return {"kind": "withdrawal", "venue": sent.venue, "asset": one.asset, "amount": f"{one.amount:f}",
                "to": sent.to.name, "address": one.address, "memo": one.memo, "network": one.network,
                "sent_ns": one.sent_ns}  # fmt: skip

    def _wallets(self, venue: str) -> Sequence[str]:
        if venue not in self._operations:
            raise Refusal(f"money of {venue or 'nobody'} is not moved by this run: {', '.join(self._operations)}")
        return self._operations[venue].wallets


def _is_credit(deposit: Seen, sent: Seen) -> bool:
    same = deposit.tx_id and deposit.tx_id.lower() == sent.tx_id.lower()
    return bool(same) and deposit.state is MoveState.DONE
