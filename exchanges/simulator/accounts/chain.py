"""Blockchains: payments between simulated venues, confirmed block by block.

Time between blocks is exponential (proof of work; taken for every network), so n confirmations take an Erlang(n) time.
A network's blocks are drawn while a payment waits for them, which the exponential law allows: it has no memory.
"""

import hashlib
import itertools
from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Protocol

from bot.matching.cash import exact
from exchanges.simulator.accounts.agenda import Action, Agenda
from exchanges.simulator.core.values import Network, TransferState, TransferView

_NS = 1_000_000_000


class Payment:
    """Money that left one account; the sender's withdrawal and the receiver's deposit."""

    def __init__(
        self, number: int, network: Network, amount: Decimal, address: str, tag: str, client_id: str, ts_ns: int
    ) -> None:
        self.number = number
        self.network = network
        self.amount = amount
        self.address = address
        self.client_id = client_id
        self.state = TransferState.PROCESSING
        self.confirmations = 0
        self.needed = network.confirmations
        self.tx_id = ""
        self.goes_astray = False
        """Whether it was sent as another token than the receiver's: the chain confirms it and nobody has it."""
        self.receiver: Receiver | None = None
        """Whose deposit it is; known once it is on the chain."""
        self._tag = tag
        self._created_ns = self._updated_ns = ts_ns

    def enter(self, state: TransferState, ts_ns: int) -> None:
        """Take the next step."""
        self.state = state
        self._updated_ns = ts_ns

    def withdrawal(self) -> TransferView:
        """As the sender sees it."""
        return self._view(self.network.withdraw_fee, self.client_id)

    def deposit(self) -> TransferView:
        """As the receiver sees it."""
        return self._view(Decimal(0), "")

    def _view(self, fee: Decimal, client_id: str) -> TransferView:
        return TransferView(
            number=self.number,
            asset=self.network.asset,
            network=self.network.id,
            amount=self.amount,
            fee=fee,
            address=self.address,
            tag=self._tag,
            state=self.state,
            confirmations=min(self.confirmations, self.needed),
            confirmations_needed=self.needed,
            tx_id=self.tx_id,
            client_id=client_id,
            created_ns=self._created_ns,
            updated_ns=self._updated_ns,
        )


class Receiver(Protocol):
    """Who owns an address."""

    def expect(self, payment: Payment) -> bool:
        """See it on the chain; False where this venue does not take the asset from there: it is lost."""

    def may_arrive(self, payment: Payment) -> bool:
        """Whether it may be credited now; asked again after `Chain.resume`."""

    def credit(self, payment: Payment, ts_ns: int) -> None:
        """Book it: it is confirmed."""


class Sender(Protocol):
    """Who withdraws."""

    def gives_up(self, payment: Payment) -> bool:
        """Whether it will not be sent at all, and comes back."""

    def may_leave(self, payment: Payment) -> bool:
        """Whether it may be sent now; asked again after `Chain.resume`."""

    def take_back(self, payment: Payment, ts_ns: int) -> None:
        """Book it back, fee and all."""


class Chain:
    """All networks; one for all venues that send to one another."""

    def __init__(self, seed: int = 0, *, time_scale: float = 1.0) -> None:
        """The same seed and the same payments give the same times; `time_scale` 600 makes ten minutes one second."""
        self._seed = seed
        self._scale = time_scale
        self._randoms: dict[str, Random] = {}
        self._agenda = Agenda()
        self._broadcasts = itertools.count()
        self._pending: defaultdict[str, list[Payment]] = defaultdict(list)
        self._held: list[Action] = []
        self._owners: dict[str, Receiver] = {}
        self._on_its_way: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.outside: defaultdict[str, Decimal] = defaultdict(Decimal)
        """What was sent to addresses that no simulated account owns, or where nobody takes it; by asset."""

    def own(self, address: str, receiver: Receiver) -> None:
        """Payments to `address` go to `receiver`."""
        self._owners[address] = receiver

    def send(self, payment: Payment, processing_s: float, sender: Sender, ts_ns: int) -> None:
        """Take money; it is broadcast after a processing time of that mean, once `sender` lets it leave."""
        self._add(self._on_its_way, payment, 1)
        due_ns = ts_ns + self._delay_ns("processing", processing_s)
        self._agenda.at(due_ns, lambda now: self._broadcast(payment, sender, now))

    def on_its_way(self, asset: str) -> Decimal:
        """What was taken and not yet delivered."""
        return self._on_its_way[asset]

    def next_event_ns(self) -> int | None:
        """When something happens next; None while nothing is under way."""
        return self._agenda.next_event_ns()

    def advance_to(self, ts_ns: int) -> None:
        """Do what is due up to `ts_ns`, in order."""
        self._agenda.advance_to(ts_ns)

    def resume(self, ts_ns: int) -> None:
        """A suspension ended: try again what was held up."""
        held, self._held = self._held, []
        for action in held:
            action(ts_ns)

    def _broadcast(self, payment: Payment, sender: Sender, ts_ns: int) -> None:
        if sender.gives_up(payment):
            self._add(self._on_its_way, payment, -1)
            payment.enter(TransferState.FAILED, ts_ns)
            sender.take_back(payment, ts_ns)
            return
        if not sender.may_leave(payment):
            self._held.append(lambda now: self._broadcast(payment, sender, now))
            return
        named = f"{self._seed}:{payment.network.id}:{next(self._broadcasts)}"
        payment.tx_id = "0x" + hashlib.sha256(named.encode()).hexdigest()
        payment.enter(TransferState.CONFIRMING, ts_ns)
        owner = None if payment.goes_astray else self._owners.get(payment.address)
        payment.receiver = owner if owner is not None and owner.expect(payment) else None
        waiting = self._pending[payment.network.id]
        waiting.append(payment)
        if len(waiting) == 1:
            self._next_block(payment.network, ts_ns)

    def _next_block(self, network: Network, ts_ns: int) -> None:
        self._agenda.at(ts_ns + self._delay_ns(network.id, network.block_s), lambda now: self._block(network, now))

    def _block(self, network: Network, ts_ns: int) -> None:
        for payment in list(self._pending[network.id]):
            payment.confirmations += 1
            payment.enter(TransferState.CONFIRMING, ts_ns)
            if payment.confirmations >= payment.needed:
                self._pending[network.id].remove(payment)
                self._deliver(payment, ts_ns)
        if self._pending[network.id]:
            self._next_block(network, ts_ns)

    def _deliver(self, payment: Payment, ts_ns: int) -> None:
        receiver = payment.receiver
        if receiver is not None and not receiver.may_arrive(payment):
            self._held.append(lambda now: self._deliver(payment, now))
            return
        self._add(self._on_its_way, payment, -1)
        payment.enter(TransferState.DONE, ts_ns)
        if receiver is None:
            self._add(self.outside, payment, 1)
        else:
            receiver.credit(payment, ts_ns)

    @exact
    def _add(self, amounts: defaultdict[str, Decimal], payment: Payment, sign: int) -> None:
        amounts[payment.network.asset] += sign * payment.amount

    def _delay_ns(self, name: str, mean_s: float) -> int:
        # A generator for each network: how busy one is must not move another's blocks.
        random = self._randoms.setdefault(name, Random(f"{self._seed}:{name}"))  # noqa: S311 - a simulation
        return max(1, round(random.expovariate(1 / mean_s) / self._scale * _NS))
