"""What has arrived is moved to where it can be traded.

Some venues credit deposits, and what comes back of a withdrawal, to another wallet than the one that trades. The last
step is a move within the account; such venues know a move of an id again (`AccountOperations.deposit_wallet`), so that
one whose outcome is not known is asked for and told again under its own id, until it is known to be done.

An account may be set to have its deposits moved on by the venue itself (Bybit: "deposit to unified"). Then each of our
moves is refused for want of money; after a few of them the wallet is looked into, and what is not there has been moved.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bot.clock import Clock, pause
from bot.errors import TransferOutcomeUnknown, TransferRefused, VenueError
from bot.ports.transfers import AccountOperations, InternalMove, MoveState, TellsDeposited
from bot.transfers.transfer_log import TransferLog

_LOOKS_AT = 3
"""Moves that were refused: a deposit may be told of a little before it is in its wallet."""
_LONGEST_S = 60.0
"""Between two tries of a move that the venue refuses."""
_BY_ITSELF = "it is not in the wallet for deposits: the venue has moved it on by itself, for all that is known"


class Landing:
    """The last step of transfers that end at one of our accounts."""

    def __init__(
        self, operations: Mapping[str, AccountOperations], log: TransferLog, clock: Clock, poll_s: float
    ) -> None:
        """Nothing is moved yet; `poll_s` is waited between two questions."""
        self._operations = operations
        self._log = log
        self._clock = clock
        self._poll_s = poll_s

    def is_due(self, id_: str, venue: str) -> bool:
        """Whether what came to `venue` for a withdrawal has to be moved on yet."""
        operations, known = self._operations.get(venue), self._log.spent.landings(id_)
        if operations is None or operations.deposit_wallet == operations.trading_wallet:
            return False
        return not known or known[-1]["state"] != "done"

    async def land(self, id_: str, venue: str, asset: str, amount: Decimal) -> None:
        """Return once what the withdrawal `id_` brought to `venue` can be traded there, however long it takes."""
        wait_s = self._poll_s
        while self.is_due(id_, venue) and not await self._try(self._operations[venue], id_, asset, amount):
            await pause(self._clock, wait_s)
            wait_s = min(2 * wait_s, max(_LONGEST_S, self._poll_s))

    async def _try(self, operations: AccountOperations, id_: str, asset: str, amount: Decimal) -> bool:
        """One step; whether it is there."""
        known = self._log.spent.landings(id_)
        last = known[-1] if known else None
        if last is not None and last["state"] in ("intent", "unknown"):
            return await self._settle(operations, last)
        if last is not None and await self._is_there_already(operations, known, asset, amount):
            self._log.record(last["transfer"], last, "done", reason=_BY_ITSELF)
            self._log.event("warning", f"transfer {id_}: {_BY_ITSELF}")
            return True
        move = InternalMove(
            str(uuid5(NAMESPACE_URL, f"{id_}/{len(known)}")),
            asset,
            amount,
            operations.deposit_wallet,
            operations.trading_wallet,
            self._clock.now_ns(),
        )
        body = {"kind": "internal", "venue": operations.venue, "asset": asset, "amount": f"{amount:f}",
                "source": move.source, "target": move.target, "sent_ns": move.sent_ns, "lands": id_}  # fmt: skip
        try:
            await self._log.intend(move.id, body)
        except TransferRefused:
            return False
        return await self._send(operations, move, body)

    async def _is_there_already(
        self, operations: AccountOperations, known: Sequence[Mapping[str, Any]], asset: str, amount: Decimal
    ) -> bool:
        """Whether the deposit wallet has not what it was credited with, and has refused to give it time after time."""
        refused = sum(one["state"] == "refused" for one in known)
        if refused < _LOOKS_AT or not isinstance(operations, TellsDeposited):
            return False
        try:
            return await operations.deposited(asset) < amount
        except VenueError:
            return False

    async def _settle(self, operations: AccountOperations, body: Mapping[str, Any]) -> bool:
        """What became of a move whose outcome nobody knew; told again where the venue has none of its id."""
        move = InternalMove(
            body["transfer"], body["asset"], Decimal(body["amount"]), body["source"], body["target"], body["sent_ns"]
        )
        try:
            state = await operations.moved(move)
        except VenueError:
            return False
        if state is None:
            return await self._send(operations, move, body)
        if state is not MoveState.IN_TRANSIT:
            self._log.record(move.id, body, state.value)
        return state is MoveState.DONE

    async def _send(self, operations: AccountOperations, move: InternalMove, body: Mapping[str, Any]) -> bool:
        try:
            await operations.move(move)
        except TransferOutcomeUnknown as unknown:
            self._log.record(move.id, body, "unknown", reason=str(unknown))
            return False
        except (TransferRefused, VenueError) as error:
            self._log.fell_through(move.id, body, error)
            return False
        self._log.record(move.id, body, "done")
        return True
