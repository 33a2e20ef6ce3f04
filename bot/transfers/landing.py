"""What has arrived is moved to where it can be traded.

Some venues credit deposits, and what comes back of a withdrawal, to another wallet than the one that trades. The last
step is a move within the account; such venues know a move of an id again (`AccountOperations.deposit_wallet`), so that
one whose outcome is not known is asked for and told again under its own id, until it is known to be done.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bot.clock import Clock, pause
from bot.errors import TransferOutcomeUnknown, TransferRefused, VenueError
from bot.ports.transfers import AccountOperations, InternalMove, MoveState
from bot.transfers.transfer_log import TransferLog

_LONGEST_S = 60.0
"""Between two tries of a move that the venue refuses."""


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
