"""The lives of orders: written down, prepared while the disk works, sent once that is durable, followed to their ends.

What an order is for is the business of the pair or chain that it belongs to. An order without an answer is UNKNOWN
after a time: it is never sent again, and its venue takes no new risk.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Generic, TypeVar

from bot.domain.order import Fill, Order, OrderStatus
from bot.errors import InvariantError, OrderRejected, StorageError
from bot.execution.context import ExecutionContext
from bot.execution.order_owner import OrderOwner
from bot.execution.order_record import order_record
from bot.execution.unanswered import Unanswered
from bot.ports import PreparesOrders, ReadyOrder, RecordKind, Spelled

_MOMENT_S = 0.5
"""What an order that has just left may take for its answer, where all that waited longer is given up."""
_TAKEN_BACK = "not sent: taken back before its intent was durable"

_Follow = Callable[[Order], None]
_Of = TypeVar("_Of", bound=OrderOwner)


class OrderRounds(Generic[_Of]):
    """Writes, sends and follows orders, a round of them at a time."""

    def __init__(
        self,
        context: ExecutionContext,
        *,
        opens: Callable[[_Of, list[Order]], bool],
        why_withheld: Callable[[_Of], str | None],
        on_sent: Callable[[Order], None],
        on_ended: Callable[[_Of, Order], None],
        on_lost: Callable[[_Of], None],
        on_alarm: Callable[[_Of, str], None],
        on_not_durable: Callable[[str], None],
        is_taken_back: Callable[[Order], bool] = lambda order: False,
        look_at: str,
    ) -> None:
        """Build it.

        Args:
            context: What it works with.
            opens: Whether a round adds to what its owner holds; any other reduces it.
            why_withheld: Asked before a round that opens leaves: why it must not; None: it may.
            on_sent: Hears every order as it is sent.
            on_ended: Hears of every order that has its final state, and takes it off what is pending.
            on_lost: Called when an order of an owner has had no answer in time.
            on_alarm: Hears what a person should know of an owner.
            on_not_durable: Called where an intent cannot be durable.
            is_taken_back: Whether an order is not wanted any more, before it has left.
            look_at: What a person looks at where an order's fills do not add up: `position`, `balances`.
        """
        journal, actions = context.journal, context.actions
        self._actions = actions
        self._journal = journal
        self._clock = context.clock
        self._timeout_s = context.settings.order_timeout_ms / 1e3
        self._opens = opens
        self._why_withheld = why_withheld
        self._on_sent = on_sent
        self._on_ended = on_ended
        self._on_lost = on_lost
        self._on_halt = context.on_halt
        self._on_not_durable = on_not_durable
        self._is_taken_back = is_taken_back
        self._look_at = look_at
        self._preparing = actions if isinstance(actions, PreparesOrders) else None
        self._ready: dict[str, ReadyOrder] = {}
        """By client order id, until they are sent or over."""
        self._owners: dict[str, _Of] = {}
        self._left: list[tuple[_Of, Order]] = []
        """What has left, and nobody was told of."""
        self._unanswered = Unanswered[_Of](self._record, on_alarm)
        self._is_stopped = False

    def unresolved(self, venue: str) -> int:
        """How many orders at a venue have an outcome that nobody knows."""
        return self._unanswered.at(venue)

    def knows(self, client_order_id: str) -> bool:
        """Whether the order was written down here, or taken over."""
        return client_order_id in self._owners

    def owner(self, client_order_id: str) -> _Of:
        """Whose order it is; `InvariantError` where nobody's."""
        owner = self._owners.get(client_order_id)
        if owner is None:
            raise InvariantError(f"news of order {client_order_id}, which this run never wrote down")
        return owner

    def adopt(self, owner: _Of) -> None:
        """Take over the orders of an earlier run: of those without a final state nobody knows what became of them."""
        for client_order_id in owner.orders:
            self._owners[client_order_id] = owner
        for client_order_id in sorted(owner.pending):
            self._unanswered.mark(owner, client_order_id)

    def stop(self) -> None:
        """The run has ended: nothing is sent any more; orders without an answer are the next run's to ask for."""
        self._is_stopped = True

    # Sending

    def begin(self, owner: _Of, orders: list[Order], heading: Callable[[], None] | None = None) -> None:
        """Write the intents; once they are durable, send.

        Args:
            owner: Whose they are.
            orders: In the order in which they leave.
            heading: Writes down what stands before them.
        """
        # All of it is put into words first: the first record wakes the journal's thread, which would lie down again
        # for the interpreter.
        bodies = [self._body(owner, order) for order in orders]
        if heading is not None:
            heading()
        for order, body in zip(orders, bodies, strict=True):
            owner.pending.add(order.client_order_id)
            self._owners[order.client_order_id] = owner
            self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)
        try:
            self._journal.when_durable(lambda: self._durable(owner, orders))
        except StorageError as error:
            self._not_durable(owner, orders, str(error))
        self._prepare_waiting(owner, orders)

    def _prepare_waiting(self, owner: _Of, orders: list[Order]) -> None:
        """Spell and sign what waits for the disk, while it does; a journal without a thread has let it go already."""
        if self._preparing is None:
            return
        for order in orders:
            if owner.orders[order.client_order_id][0].status is OrderStatus.INTENT:
                ready = self._preparing.prepare(order)
                if ready is not None:
                    self._ready[order.client_order_id] = ready

    def journal_failed(self, owner: _Of, why: str) -> None:
        """No intent of this owner becomes durable any more: what waited for it reduces risk, or never leaves."""
        waiting = [order for order in owner.waiting() if order.status is OrderStatus.INTENT]
        if waiting:
            self._not_durable(owner, waiting, why)

    def _durable(self, owner: _Of, orders: list[Order]) -> None:
        """What the journal's failure has settled meanwhile is not sent, or not again."""
        waiting = [one for one in orders if owner.orders[one.client_order_id][0].status is OrderStatus.INTENT]
        if waiting:
            self._send(owner, waiting)

    def _not_durable(self, owner: _Of, orders: list[Order], why: str) -> None:
        # Holding what nobody was told to hold is worse than an order that only stderr has.
        self._on_not_durable(f"the journal cannot be written: {why}")
        if self._opens(owner, orders):
            self._withhold(owner, orders, f"not sent: its intent is not durable: {why}")
        else:
            self._send(owner, orders)

    def _send(self, owner: _Of, orders: list[Order]) -> None:
        if self._is_stopped:
            return  # a journal that is closed writes what waited first; who would follow the order is gone
        taken_back = [order for order in orders if self._is_taken_back(order)]
        if taken_back:
            self._withhold(owner, taken_back, _TAKEN_BACK)
            orders = [order for order in orders if order not in taken_back]
        if self._opens(owner, orders) and (why := self._why_withheld(owner)) is not None:
            self._withhold(owner, orders, f"not sent: {why}")
            return
        now_ns = self._clock.now_ns()
        launched: list[tuple[Order, _Follow]] = []
        try:
            for order in orders:
                owner.sent_ns[order.client_order_id] = self._clock.monotonic_ns()
                launched.append((order, self._launched(order)))
        finally:
            self._follow_all(owner, launched, now_ns)

    def _follow_all(self, owner: _Of, launched: list[tuple[Order, _Follow]], now_ns: int) -> None:
        """What has been written is followed, whatever becomes of the one beside it."""
        if not launched:
            self.tell_sent()
            return
        (order, follow), *others = launched
        try:
            self._follow(owner, _leaving(order, now_ns), follow)
        finally:
            self._follow_all(owner, others, now_ns)

    def _launched(self, order: Order) -> _Follow:
        """Write an order, where that can be done at once; everything else comes after the one beside it."""
        if self._preparing is None:
            return self._actions.submit
        ready = self._ready.pop(order.client_order_id, None)
        if ready is not None and ready.leave():
            return ready.follow
        try:
            return self._preparing.launch(order)
        except OrderRejected as rejected:
            return partial(_refuse, rejected)

    def _follow(self, owner: _Of, sent: Order, follow: _Follow) -> None:
        """Send it where it is not yet; that it has left is told once the one beside it has left too, or before other
        news."""
        self._left.append((owner, sent))
        try:
            follow(sent)
        except OrderRejected as rejected:  # the venue was not asked: it will not tell either
            update = {"status": OrderStatus.REJECTED, "reason": str(rejected), "ts_final_ns": sent.ts_sent_ns}
            self.on_order(sent.model_copy(update=update))

    def tell_sent(self) -> None:
        """Of what has left; a venue may tell of an order within `submit`, and the journal is read in its order."""
        if not self._left:
            return
        left, self._left = self._left, []
        for owner, sent in left:  # all of them before the first record, which a full journal does not take
            self._put(owner, sent)
        for owner, sent in left:
            self._record(owner, sent)
        for owner, sent in left:
            if not sent.time_in_force.rests:
                self.expect_end(owner, sent)
            self._on_sent(sent)

    def _withhold(self, owner: _Of, orders: list[Order], reason: str) -> None:
        now_ns = self._clock.now_ns()
        for order in orders:
            update = {"status": OrderStatus.CANCELLED, "reason": reason, "ts_final_ns": now_ns}
            self.on_order(order.model_copy(update=update))

    # What the venues say

    def on_order(self, order: Order) -> None:
        """Take an order's new state; after a final one nothing more is taken."""
        self.tell_sent()
        owner = self.owner(order.client_order_id)
        before = owner.orders[order.client_order_id][0]
        if before.status.is_terminal:
            return
        self._put(owner, order)
        self._record(owner, order)
        self._unanswered.on_news(before, order)
        if order.status.is_terminal:
            self._check_filled(owner, order)
            owner.sent_ns.pop(order.client_order_id, None)
            self._ready.pop(order.client_order_id, None)
            self._on_ended(owner, order)

    def _check_filled(self, owner: _Of, order: Order) -> None:
        told = owner.filled.get(order.client_order_id, Decimal(0))
        if told != order.filled_quantity:
            figures = f"was filled {order.filled_quantity}, its fills sum to {told}"
            self._on_halt(
                f"order {order.client_order_id} on {order.instrument.id} {figures}: look at the {self._look_at}"
            )

    # Orders without an answer

    def expect_end(self, owner: _Of, order: Order) -> None:
        """From now on it has so long as orders have to come to its end."""
        self._clock.call_later(self._timeout_s, partial(self._check_outcome, owner, order.client_order_id))

    def stop_waiting(self, owner: _Of) -> None:
        """Answers that are late are not waited for any more: the outcome of their orders is unknown from now on.

        An order that left a moment ago is not late: it has that moment, or another would be sent beside it.
        """
        now_ns = self._clock.monotonic_ns()
        for order in self._unanswered.waited_for(owner):
            left_s = _MOMENT_S - (now_ns - owner.sent_ns.get(order.client_order_id, 0)) / 1e9
            if left_s > 0:
                self._clock.call_later(left_s, partial(self._check_outcome, owner, order.client_order_id))
            else:
                self._unanswered.lose_sight(owner, order.client_order_id)

    def _check_outcome(self, owner: _Of, client_order_id: str) -> None:
        order = owner.orders[client_order_id][0]
        if not (self._is_stopped or order.status.is_terminal or order.status is OrderStatus.UNKNOWN):
            self._unanswered.lose_sight(owner, client_order_id)
            self._on_lost(owner)

    # Writing down

    def _record(self, owner: _Of, order: Order) -> None:
        body = self._body(owner, order)
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)

    def _body(self, owner: _Of, order: Order) -> Spelled:
        _, leg_name, expected = owner.orders[order.client_order_id]
        return order_record(order, owner.id, leg_name, expected)

    def record_fill(self, owner: _Of, fill: Fill, leg_name: str, expected: Decimal) -> None:
        """Write a fill down: on which leg or link, and the price that was expected of it."""
        body = {**fill.model_dump(mode="json"), "pair": owner.id, "leg": leg_name, "expected_price": str(expected)}
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)

    def _put(self, owner: _Of, order: Order) -> None:
        _, leg_name, expected = owner.orders[order.client_order_id]
        owner.orders[order.client_order_id] = (order, leg_name, expected)


def _refuse(rejected: OrderRejected, sent: Order) -> None:
    raise rejected


def _leaving(order: Order, now_ns: int) -> Order:
    return order.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": now_ns})
