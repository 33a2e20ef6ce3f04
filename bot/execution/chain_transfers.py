"""The transfers of chains: written down, handed to the run's carrier once that is durable, and whose they are.

A transfer that an earlier run began is asked about and never sent again. One whose intent cannot be durable, or that
nothing new may be opened for by then, never leaves: that is told as any refusal is.
"""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

from bot.clock import Clock
from bot.domain.legs import TransferLeg
from bot.errors import InvariantError, StorageError
from bot.execution.chain import Chain, Travel
from bot.ports import Journal
from bot.ports.transfers import Carriage, Carrier, CarryNews, CarryState

_SENDABLE = Decimal("1e-8")
"""Venues take amounts of at most so many digits."""


class ChainTransfers:
    """Sends amounts from venue to venue, each once."""

    def __init__(
        self,
        carrier: Carrier | None,
        journal: Journal,
        clock: Clock,
        deadline_s: float,
        *,
        may_open: Callable[[], bool],
        on_refused: Callable[[CarryNews], None],
        on_not_durable: Callable[[str], None],
    ) -> None:
        """Build it.

        Args:
            carrier: Moves the amounts; None: nobody does.
            journal: Where an intent must be durable first.
            clock: Dates intents and refusals.
            deadline_s: A transfer that has not ended by then is late.
            may_open: Asked again when an intent is durable: whether an amount may still be sent away.
            on_refused: Hears of what never left.
            on_not_durable: Called where an intent cannot be durable.
        """
        self._carrier = carrier
        self._journal = journal
        self._clock = clock
        self._deadline_s = deadline_s
        self._may_open = may_open
        self._on_refused = on_refused
        self._on_not_durable = on_not_durable
        self._chain_of: dict[str, Chain] = {}
        self._unsent: dict[str, Travel] = {}
        """Those whose intents are not durable yet."""
        self._untold: set[str] = set()
        """Ids of those that nobody has told anything of yet: for all that is known they lie where they lay."""

    @property
    def untold(self) -> int:
        """How many wait for the disk, or for the carrier's first word."""
        return len(self._untold)

    def told(self, travel_id: str) -> None:
        """The first word has come, or one more."""
        self._untold.discard(travel_id)

    def chain_of(self, travel_id: str) -> Chain:
        """Whose transfer it is; `InvariantError` where nobody's."""
        chain = self._chain_of.get(travel_id)
        if chain is None:
            raise InvariantError(f"news of transfer {travel_id}, which this run never wrote down")
        return chain

    def adopt(self, chain: Chain) -> str | None:
        """Ask what became of a transfer without an end; what a person has to know where nobody can be asked."""
        travel = chain.underway
        if travel is None:
            return None
        one = travel.carriage
        self._chain_of[one.id] = chain
        if self._carrier is None:
            what = f"{one.amount:f} {one.asset} from {one.from_venue} to {one.to_venue}"
            return f"chain {chain.id} sent {what}, and nothing in this run can ask about it: look yourself"
        self._untold.add(one.id)
        self._carrier.resume(one)
        return None

    def depart(self, chain: Chain, at: int) -> Travel:
        """Take all that lies at a place for its link's transfer; it is sent by `send`, once it is written down."""
        leg = chain.links[at]
        assert isinstance(leg, TransferLeg)
        assert leg.network is not None, "a chain that was opened names its networks"
        name = _unused_id(chain, at)
        amount = chain.held(at).quantize(_SENDABLE, ROUND_DOWN).normalize()
        carriage = Carriage(name, leg.asset, leg.from_venue, leg.to_venue, leg.network, amount, self._deadline_s)
        travel = self._unsent[name] = Travel(at, carriage, self._clock.now_ns())
        self._chain_of[name] = chain
        self._untold.add(name)
        chain.depart(travel)
        return travel

    def send(self, chain: Chain, travel: Travel) -> None:
        """Hand it to the carrier as soon as what was recorded of it is durable."""
        try:
            self._journal.when_durable(lambda: self._send(chain, travel))
        except StorageError as error:
            self._on_not_durable(f"the journal cannot be written: {error}")
            self._refuse(travel, f"its intent is not durable: {error}")

    def journal_failed(self, why: str) -> None:
        """No intent becomes durable any more: what waited for it never leaves."""
        for travel in list(self._unsent.values()):
            self._refuse(travel, f"its intent is not durable: {why}")

    def stop(self) -> None:
        """The run has ended: what is not sent never leaves, and the next run is told so."""
        self._unsent.clear()
        self._untold.clear()

    def _send(self, chain: Chain, travel: Travel) -> None:
        if travel.carriage.id not in self._unsent:
            return  # the journal failed meanwhile, or the run has ended
        if chain.has_given_up or not self._may_open():
            self._refuse(travel, "nothing new may be opened any more")
            return
        del self._unsent[travel.carriage.id]
        assert self._carrier is not None, "a chain with a transfer is opened only with a carrier"
        self._carrier.send(travel.carriage)

    def _refuse(self, travel: Travel, reason: str) -> None:
        one = travel.carriage
        del self._unsent[one.id]
        self._on_refused(CarryNews(one.id, CarryState.REFUSED, one.amount, f"not sent: {reason}", self._clock.now_ns()))


def _unused_id(chain: Chain, at: int) -> str:
    """Of a link's transfer. A fill that came late, or a rest of the network's grid, leaves its place by one more:
    under the first one's id nothing would be sent, and what that brought would be counted again."""
    count = sum(travel.link == at for travel in chain.travels.values())
    name = f"{chain.id}t{at}{f'n{count}' if count else ''}"
    return "".join(letter for letter in name if letter.isalnum())[-32:]


def in_words(chain: Chain, travel: Travel) -> str:
    """What became of a transfer that did not go as it should, for a person."""
    one, state = travel.carriage, travel.state
    what = f"{travel.left:f} {one.asset} from {one.from_venue} to {one.to_venue} on {one.network}"
    words = {
        CarryState.LATE: f"has not arrived within {one.deadline_s:g} s; it is followed all the same",
        CarryState.REFUSED: "did not leave; it is sold where it lies",
    }
    told = words.get(state, "came back; it is sold where it lies") if state is not None else ""
    return f"chain {chain.id}: {what} {told}{f': {travel.reason}' if travel.reason else ''}"
