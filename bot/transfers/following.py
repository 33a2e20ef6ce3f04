"""What becomes of withdrawals: asked of the venue that they left and the one that they go to, until they end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bot.clock import Clock, pause
from bot.domain.network import canonical_transaction
from bot.errors import TransferRefused, VenueError
from bot.ports.transfers import AccountOperations, MoveState, Seen
from bot.settings.transfers import TransferSettings
from bot.transfers.on_its_way import Arrived, OnItsWay, body_of, read_back
from bot.transfers.spent import Sent
from bot.transfers.transfer_log import TransferLog

_EARLIER_NS = 60 * 10**9
"""A deposit may be dated before its withdrawal: two clocks."""
_ASKED_S = 60.0
"""So long, and the deadline, a venue is asked before what it knows nothing of never left: the wall clock may step."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What the venues told of a withdrawal."""

    is_whole: bool
    """Whether they could be asked."""
    seen: Seen | None = None
    end: Arrived | None = None


class Following:
    """Asks about withdrawals."""

    def __init__(
        self,
        operations: Mapping[str, AccountOperations],
        log: TransferLog,
        clock: Clock,
        settings: TransferSettings,
    ) -> None:
        """Nothing is asked yet."""
        self._operations = operations
        self._log = log
        self._clock = clock
        self._settings = settings

    def not_here(self, *venues: str) -> str:
        """Those of these venues that this run has no account at, and so cannot ask, in words; empty: it has."""
        return " and ".join(one for one in venues if one not in self._operations)

    async def arrived(self, sent: OnItsWay, on_found: Callable[[], None] | None = None) -> Arrived:
        """Wait for the end of a withdrawal, however long it takes; past the deadline there is an alarm.

        Args:
            sent: The withdrawal.
            on_found: Called when one whose outcome was unknown is found at its venue.

        Raises:
            TransferRefused: It never left: past the deadline its venue knows of none like it.
        """
        deadline_s = self._settings.deadline_s
        deadline_ns = sent.withdrawal.sent_ns + round(deadline_s * 1e9)
        asked_ns = self._clock.monotonic_ns() + round(min(_ASKED_S, deadline_s) * 1e9)
        is_unknown, is_late = sent.is_unknown, sent.deadline_s is not None  # who carries it tells of the delay
        body = body_of(sent)
        while True:
            look = await self._look(sent)
            if look.seen is not None and is_unknown:
                is_unknown = False
                self._log.record(sent.withdrawal.id, body, "in_transit", venue_id=look.seen.venue_id)
                if on_found is not None:
                    on_found()
            if (end := look.end) is not None:
                more = {"received": f"{end.amount:f}", "tx_id": end.tx_id}
                self._log.record(sent.withdrawal.id, body, end.state.value, **more)
                return end
            if self._clock.now_ns() >= deadline_ns:
                if is_unknown and look.is_whole and self._clock.monotonic_ns() >= asked_ns:
                    raise self._never_left(sent)
                if not is_late:
                    is_late = True
                    self._announce(sent, is_unknown=is_unknown)
            await pause(self._clock, self._settings.poll_s)

    def _never_left(self, sent: OnItsWay) -> TransferRefused:
        why = f"it never left: {sent.venue} knows of none like it"
        self._log.record(sent.withdrawal.id, body_of(sent), "not_taken", reason=why)
        self._log.event("warning", f"withdrawal {sent.withdrawal.id}: {why}")
        return TransferRefused(sent.withdrawal.id, why)

    def _announce(self, sent: OnItsWay, *, is_unknown: bool) -> None:
        amount = f"{sent.withdrawal.amount:f} {sent.withdrawal.asset}"
        words = f"withdrawal {sent.withdrawal.id} of {amount} from {sent.venue} to {sent.to.name}"
        state = "its outcome is unknown" if is_unknown else "it is on its way"
        self._log.event("error", f"ALARM: {words} has not arrived in {self._settings.deadline_s:g} s: {state}")

    async def deposits(self, venue: str, asset: str, since_ns: int) -> list[Seen]:
        """What was credited at a venue since then.

        Raises:
            VenueError: It cannot be asked.
        """
        if venue not in self._operations:
            return []
        found = await self._operations[venue].deposits(asset, since_ns - _EARLIER_NS)
        return [one for one in found if one.state is MoveState.DONE]

    async def settle(self) -> None:
        """Ask about what earlier runs left without an end; see `TransferDesk.settle`."""
        for one in self._log.spent.all_unfinished():
            operations = self._operations.get(one.venue)
            if operations is None or one.is_carriage:
                continue
            try:
                seen = await operations.withdrawn(read_back(one).withdrawal)
            except VenueError as error:
                self._log.event("error", f"ALARM: withdrawal {one.id} cannot be asked about: {error}")
                continue
            self._settle(one, seen)

    def _settle(self, one: Sent, seen: Seen | None) -> None:
        is_old = self._clock.now_ns() - one.sent_ns > self._settings.deadline_s * 1e9
        if seen is not None:
            self._log.record(one.id, one.body, seen.state.value, venue_id=seen.venue_id, tx_id=seen.tx_id)
            self._log.event("info", f"withdrawal {one.id} of an earlier run is {seen.state}")
        elif is_old and read_back(one).is_unknown:  # what its venue has taken once did leave, whatever its list lacks
            self._log.record(one.id, one.body, "not_taken", reason="its venue knows of none like it")
            self._log.event("warning", f"withdrawal {one.id} of an earlier run never left")
        else:
            self._log.event("error", f"ALARM: {one.venue} knows nothing of withdrawal {one.id} yet")

    async def _look(self, sent: OnItsWay) -> _Look:
        """What its venue tells of it now, and its end where it has one."""
        if self.not_here(sent.venue):
            return _Look(is_whole=False)  # of an earlier run, which had more accounts: a later one may again
        try:
            seen = await self._operations[sent.venue].withdrawn(sent.withdrawal)
            if seen is None:
                return _Look(is_whole=True)
            if seen.state is MoveState.FAILED:
                return _Look(True, seen, Arrived(MoveState.FAILED, Decimal(0), seen.tx_id))
            if sent.to.venue is None:
                end = Arrived(MoveState.DONE, seen.amount, seen.tx_id) if seen.state is MoveState.DONE else None
                return _Look(True, seen, end)
            # Its own venue may be the last to call it done: what counts is that it is credited.
            if not seen.tx_id or self.not_here(sent.to.venue):
                return _Look(True, seen)
            since_ns = sent.withdrawal.sent_ns - _EARLIER_NS
            deposits = await self._operations[sent.to.venue].deposits(sent.withdrawal.asset, since_ns)
        except VenueError:
            return _Look(is_whole=False)  # asked again after a while; the deadline runs
        found = (one for one in deposits if _is_credit(one, seen) and not self._is_of_another(one, sent, seen))
        ends = (Arrived(MoveState.DONE, one.amount, one.tx_id) for one in found)
        return _Look(True, seen, next(ends, None))

    def _is_of_another(self, deposit: Seen, sent: OnItsWay, seen: Seen) -> bool:
        """Whether one more of our withdrawals fits a deposit better: venues pay several in one transaction."""
        if deposit.amount == seen.amount:
            return False
        fee = sent.withdrawal.amount - deposit.amount
        others = (
            one.amount - deposit.amount
            for one in self._log.spent.beside(sent.withdrawal.id)
            if not one.is_over or _same_tx(str(one.body.get("tx_id", "")), deposit.tx_id)
        )
        return any(0 <= other < fee or fee < 0 <= other for other in others)


def _is_credit(deposit: Seen, sent: Seen) -> bool:
    return _same_tx(deposit.tx_id, sent.tx_id) and deposit.state is MoveState.DONE


def _same_tx(one: str, other: str) -> bool:
    # By chance no two ids differ in capitals alone, and a venue that prints another's may.
    return bool(one) and canonical_transaction(one).lower() == canonical_transaction(other).lower()
