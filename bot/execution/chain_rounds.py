"""The lives of a chain's orders: written down, sent once that is durable, and followed to their ends.

An order without an answer is UNKNOWN after a time: it is never sent again, nothing else spends what it may have spent,
and its venue takes no new risk.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

from bot.clock import Clock
from bot.domain.order import Fill, Order, OrderStatus
from bot.errors import InvariantError, OrderRejected, StorageError
from bot.execution.chain import Chain
from bot.ports import Actions, Journal, RecordKind
from bot.settings import ExecutionSettings


class ChainRounds:
    """Writes, sends and follows the orders of chains."""

    def __init__(
        self,
        actions: Actions,
        journal: Journal,
        clock: Clock,
        settings: ExecutionSettings,
        *,
        why_withheld: Callable[[Chain], str | None],
        on_sent: Callable[[Order], None],
        on_ended: Callable[[Chain, Order], None],
        on_lost: Callable[[Chain, Order], None],
        on_halt: Callable[[str], None],
        on_not_durable: Callable[[str], None],
    ) -> None:
        """Build it.

        Args:
            actions: Where orders go.
            journal: Where intents must be durable first.
            clock: For deadlines.
            settings: How long an answer is waited for.
            why_withheld: Asked before link 0 of a chain leaves: why it must not; None: it may.
            on_sent: Hears every order as it is sent.
            on_ended: Hears of every order that has its final state.
            on_lost: Hears of every order that has no answer in time.
            on_halt: Called when what a venue tells does not add up.
            on_not_durable: Called where an intent cannot be durable.
        """
        self._actions = actions
        self._journal = journal
        self._clock = clock
        self._timeout_s = settings.order_timeout_ms / 1e3
        self._why_withheld = why_withheld
        self._on_sent = on_sent
        self._on_ended = on_ended
        self._on_lost = on_lost
        self._on_halt = on_halt
        self._on_not_durable = on_not_durable
        self._chain_of: dict[str, Chain] = {}
        self._unresolved: Counter[str] = Counter()
        self._is_stopped = False

    def unresolved(self, venue: str) -> int:
        """How many orders at a venue have an outcome that nobody knows."""
        return self._unresolved[venue]

    def knows(self, client_order_id: str) -> bool:
        """Whether the order was written down here, or taken over."""
        return client_order_id in self._chain_of

    def chain_of(self, client_order_id: str) -> Chain:
        """Whose order it is; `InvariantError` where nobody's."""
        chain = self._chain_of.get(client_order_id)
        if chain is None:
            raise InvariantError(f"news of order {client_order_id}, which this run never wrote down")
        return chain

    def adopt(self, chain: Chain) -> None:
        """Take over the orders of a chain: of those without a final state nobody knows what became of them."""
        for client_order_id in chain.orders:
            self._chain_of[client_order_id] = chain
        for client_order_id in sorted(chain.pending):
            self._mark_unknown(chain, client_order_id)

    # Sending

    def send(self, chain: Chain, orders: list[Order]) -> None:
        """Write the intents; once they are durable, send."""
        for order in orders:
            chain.pending.add(order.client_order_id)
            self._chain_of[order.client_order_id] = chain
            self._record(chain, order)
        try:
            self._journal.when_durable(lambda: self._submit(chain, orders))
        except StorageError as error:
            self.not_durable(chain, orders, str(error))

    def not_durable(self, chain: Chain, orders: list[Order], why: str) -> None:
        """The intents cannot be durable: what opens a chain never leaves, what brings it home does all the same."""
        # Holding what nobody was told to hold is worse than an order that only stderr has.
        self._on_not_durable(f"the journal cannot be written: {why}")
        if _opens(chain, orders):
            self._withhold(chain, orders, f"not sent: its intent is not durable: {why}")
        else:
            self._submit(chain, orders)

    def _submit(self, chain: Chain, orders: list[Order]) -> None:
        if _opens(chain, orders) and (why := self._why_withheld(chain)) is not None:
            self._withhold(chain, orders, f"not sent: {why}")
            return
        now_ns = self._clock.now_ns()
        for order in orders:
            sent = order.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": now_ns})
            self._put(chain, sent)
            chain.sent_ns[order.client_order_id] = self._clock.monotonic_ns()
            self._record(chain, sent)
            self._clock.call_later(self._timeout_s, partial(self._check_outcome, chain, order.client_order_id))
            self._on_sent(sent)
            try:
                self._actions.submit(sent)
            except OrderRejected as rejected:  # the venue was not asked: it will not tell either
                update = {"status": OrderStatus.REJECTED, "reason": str(rejected), "ts_final_ns": now_ns}
                self.on_order(sent.model_copy(update=update))

    def _withhold(self, chain: Chain, orders: list[Order], reason: str) -> None:
        now_ns = self._clock.now_ns()
        for order in orders:
            update = {"status": OrderStatus.CANCELLED, "reason": reason, "ts_final_ns": now_ns}
            self.on_order(order.model_copy(update=update))

    # What the venues say

    def on_order(self, order: Order) -> None:
        """Take an order's new state."""
        chain = self.chain_of(order.client_order_id)
        before = chain.orders[order.client_order_id][0]
        if before.status.is_terminal:
            return
        self._put(chain, order)
        self._record(chain, order)
        if before.status is OrderStatus.UNKNOWN and order.status is not OrderStatus.UNKNOWN:
            self._unresolved[order.instrument.venue] -= 1
        if order.status.is_terminal:
            self._check_filled(chain, order)
            self.settle(chain, order)
            chain.sent_ns.pop(order.client_order_id, None)
            self._on_ended(chain, order)

    def settle(self, chain: Chain, order: Order) -> None:
        """Forget an order that has ended, once all its fills are told: until then it may have spent what they tell."""
        if order.status.is_terminal and chain.filled.get(order.client_order_id, 0) >= order.filled_quantity:
            chain.pending.discard(order.client_order_id)

    def record_fill(self, chain: Chain, fill: Fill) -> str:
        """Write a fill down; returns the name of its order."""
        _, name, expected = chain.orders[fill.client_order_id]
        body = {**fill.model_dump(mode="json"), "pair": chain.id, "leg": name, "expected_price": str(expected)}
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)
        return name

    def _check_filled(self, chain: Chain, order: Order) -> None:
        told = chain.filled.get(order.client_order_id, 0)
        if told != order.filled_quantity:
            figures = f"was filled {order.filled_quantity}, its fills sum to {told}"
            self._on_halt(f"order {order.client_order_id} on {order.instrument.id} {figures}: look at the balances")

    # Orders without an answer

    def _check_outcome(self, chain: Chain, client_order_id: str) -> None:
        order = chain.orders[client_order_id][0]
        if not (self._is_stopped or order.status.is_terminal or order.status is OrderStatus.UNKNOWN):
            self._on_lost(chain, self._mark_unknown(chain, client_order_id))

    def stop(self) -> None:
        """The run has ended: orders without an answer are the next run's to ask for."""
        self._is_stopped = True

    def stop_waiting(self, chain: Chain) -> None:
        """Answers that are late are not waited for any more: their orders are UNKNOWN from now on."""
        for order in chain.waiting():
            if order.status in (OrderStatus.SENT, OrderStatus.PARTIALLY_FILLED):
                self._mark_unknown(chain, order.client_order_id)

    def _mark_unknown(self, chain: Chain, client_order_id: str) -> Order:
        unknown = chain.orders[client_order_id][0].model_copy(update={"status": OrderStatus.UNKNOWN})
        self._put(chain, unknown)
        self._unresolved[unknown.instrument.venue] += 1
        self._record(chain, unknown)
        return unknown

    def _put(self, chain: Chain, order: Order) -> None:
        _, name, expected = chain.orders[order.client_order_id]
        chain.orders[order.client_order_id] = (order, name, expected)

    def _record(self, chain: Chain, order: Order) -> None:
        _, name, expected = chain.orders[order.client_order_id]
        body = {**order.model_dump(mode="json"), "pair": chain.id, "leg": name, "expected_price": str(expected)}
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)


def _opens(chain: Chain, orders: list[Order]) -> bool:
    """Whether they are link 0's, of which nothing was filled yet."""
    return not chain.fill_ids and any(chain.orders[order.client_order_id][1] == "link_0" for order in orders)
