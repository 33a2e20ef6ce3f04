"""Opens and closes pairs: both legs at once, then whatever it takes to end balanced, flat, or halted and announced.

A pair moves in **rounds**. A round writes the intents of its orders, waits until they are durable, sends them, and
ends when every order of it is final. What the round left decides the next one:

    opening  both legs filled alike -> open (closed, where the route holds nothing); nothing filled -> missed;
             one leg ahead -> unwind what it is ahead
    closing  nothing left on either leg -> closed; something left -> another round

A round that was needed to get even and filled nothing is fruitless; too many of them halt the bot. Even pairs stay
even: while one leg has no quote, only what the other leg is ahead is traded.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.domain.route import Opportunity
from bot.errors import InvariantError, StorageError
from bot.execution.grid import capped_price, decimal_price, meets_minimum, touch
from bot.execution.pair import Pair, PairLeg, PairState
from bot.ports import Actions, Journal, RecordKind
from bot.settings import ExecutionSettings

Quotes = Callable[[Instrument], TopOfBook | None]

TOO_SMALL = "too_small"
"""Why a pair is closed at once: a side was filled with less than it could ever sell."""

_LEAST_WAIT_S = 0.01
"""Between two looks at a pair that waits for a quote: without a pause time itself would stand still."""


class PairExecutor:
    """Runs every pair of a run. All calls come on the engine's thread."""

    def __init__(
        self,
        *,
        actions: Actions,
        journal: Journal,
        clock: Clock,
        settings: ExecutionSettings,
        quotes: Quotes,
        id_prefix: str,
        may_open: Callable[[], bool],
        on_pair: Callable[[Pair], None],
        on_pair_fill: Callable[[Pair, str, Fill], None],
        on_sent: Callable[[Order], None],
        on_halt: Callable[[str], None],
    ) -> None:
        """Build it.

        Args:
            actions: Where orders go.
            journal: Where intents must be durable first.
            clock: For retries and order timeouts.
            settings: Price cap, retries, waits.
            quotes: The newest quote of an instrument, None when it must not be traded on.
            id_prefix: Start of every client order id; unique to the run.
            may_open: Asked again when intents are durable: whether orders that add risk may still leave.
            on_pair: Hears every change of a pair's state.
            on_pair_fill: Hears every fill, once, with its pair and leg name.
            on_sent: Hears every order as it is sent.
            on_halt: Called when a pair cannot be made even, or what a venue tells does not add up.
        """
        self._actions = actions
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._quotes = quotes
        self._id_prefix = id_prefix
        self._may_open = may_open
        self._on_pair = on_pair
        self._on_pair_fill = on_pair_fill
        self._on_sent = on_sent
        self._on_halt = on_halt
        self.on_not_durable = on_halt
        """Called where an intent cannot be durable; a disk that may come back need not halt."""
        self.why_not_now: Callable[[Pair], str | None] = lambda pair: None
        """Asked when the intents of what opens a pair are durable: what refuses it by now. None: it is sent."""
        self._retry_wait_s = max(settings.retry_wait_ms / 1e3, _LEAST_WAIT_S)
        self._pairs: dict[str, Pair] = {}
        self._pair_of_order: dict[str, Pair] = {}
        self._order_count = 0
        self._pair_count = 0

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """Pairs that are not over, by id."""
        return self._pairs

    def open(self, opportunity: Opportunity) -> Pair:
        """Start a pair on both sides of an approved opportunity."""
        route = opportunity.route
        buy = PairLeg(route.buy, Side.BUY, decimal_price(opportunity.buy_price))
        pair = self._begin(opportunity, buy, PairLeg(route.sell, Side.SELL, decimal_price(opportunity.sell_price)))
        self._round(pair, [self._opening_order(pair, leg) for leg in pair.legs])
        return pair

    def _begin(self, opportunity: Opportunity, buy: PairLeg, sell: PairLeg) -> Pair:
        self._pair_count += 1
        pair_id = f"{self._id_prefix}-{self._pair_count}"
        pair = self._pairs[pair_id] = Pair(pair_id, opportunity, buy, sell, opened_ns=opportunity.ts_ns)
        self._changed(pair)
        return pair

    def close(self, pair: Pair, reason: str) -> None:
        """Start to close an open pair; a pair in any other state is left to what it is doing."""
        if pair.state is PairState.OPEN:
            self._start_closing(pair, reason)

    def journal_failed(self, why: str) -> None:
        """No intent becomes durable any more: what waited for it reduces risk and is sent, or never leaves."""
        for pair in list(self._pairs.values()):
            waiting = [order for order, _, _ in pair.orders.values() if order.status is OrderStatus.INTENT]
            if waiting:
                self._not_durable(pair, waiting, why)

    # What the venues say

    def on_fill(self, fill: Fill) -> None:
        """Count a fill of one of our orders; told a second time it changes nothing."""
        pair = self._pair_of(fill.client_order_id)
        if not pair.count(fill):
            return
        pair.fruitless_rounds = 0
        order, leg_name, expected = pair.orders[fill.client_order_id]
        body = {**fill.model_dump(mode="json"), "pair": pair.id, "leg": leg_name, "expected_price": str(expected)}
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)
        self._on_pair_fill(pair, leg_name, fill)
        if order.status.is_terminal:
            held = f"pair {pair.id} ({pair.state}) holds {pair.buy.held} and {pair.sell.held}"
            self._on_halt(f"a fill of order {order.client_order_id} came after its final state: {held}")

    def on_order(self, order: Order) -> None:
        """Take an order's new state; the last final one of a round ends the round."""
        pair = self._pair_of(order.client_order_id)
        before, leg_name, expected = pair.orders[order.client_order_id]
        if before.status.is_terminal:
            return
        pair.orders[order.client_order_id] = (order, leg_name, expected)
        self._record_order(pair, order)
        if order.status.is_terminal:
            self._check_filled(pair, order)
            pair.pending.discard(order.client_order_id)
            if not pair.pending:
                self._round_over(pair)

    def _check_filled(self, pair: Pair, order: Order) -> None:
        told = pair.filled.get(order.client_order_id, Decimal(0))
        if told != order.filled_quantity:
            figures = f"was filled {order.filled_quantity}, its fills sum to {told}"
            self._on_halt(f"order {order.client_order_id} on {order.instrument.id} {figures}: look at the position")

    def _pair_of(self, client_order_id: str) -> Pair:
        pair = self._pair_of_order.get(client_order_id)
        if pair is None:
            raise InvariantError(f"news of order {client_order_id}, which this run never wrote down")
        return pair

    # Rounds

    def _round(self, pair: Pair, orders: list[Order]) -> None:
        """Write the intents; once they are durable, send."""
        for order in orders:
            pair.pending.add(order.client_order_id)
            self._pair_of_order[order.client_order_id] = pair
            self._record_order(pair, order)
        try:
            self._journal.when_durable(lambda: self._send(pair, orders))
        except StorageError as error:
            self._not_durable(pair, orders, str(error))

    def _send(self, pair: Pair, orders: list[Order]) -> None:
        if any(pair.opens(order) for order in orders):
            why = self._why_withheld(pair)
            if why is not None:
                self._withhold(pair, orders, f"not sent: {why}")
                return
        now_ns = self._clock.now_ns()
        for order in orders:
            sent = order.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": now_ns})
            _, leg_name, expected = pair.orders[order.client_order_id]
            pair.orders[order.client_order_id] = (sent, leg_name, expected)
            self._record_order(pair, sent)
            if not order.time_in_force.rests:
                self._expect_end(pair, order)
            self._on_sent(sent)
            self._actions.submit(sent)

    def _expect_end(self, pair: Pair, order: Order) -> None:
        check = partial(self._check_outcome, pair, order.client_order_id)
        self._clock.call_later(self._settings.order_timeout_ms / 1e3, check)

    def _why_withheld(self, pair: Pair) -> str | None:
        if not self._may_open():
            return "nothing new may be opened any more"
        why = self.why_not_now(pair)
        if why is not None:
            pair.close_reason = why
        return why

    def _not_durable(self, pair: Pair, orders: list[Order], why: str) -> None:
        # Being uneven with nobody told is worse than an order that only stderr has.
        self.on_not_durable(f"the journal cannot be written: {why}")
        if any(pair.opens(order) for order in orders):
            self._withhold(pair, orders, f"not sent: its intent is not durable: {why}")
        else:
            self._send(pair, orders)

    def _withhold(self, pair: Pair, orders: list[Order], reason: str) -> None:
        now_ns = self._clock.now_ns()
        for order in orders:
            update = {"status": OrderStatus.CANCELLED, "reason": reason, "ts_final_ns": now_ns}
            self.on_order(order.model_copy(update=update))

    def _check_outcome(self, pair: Pair, client_order_id: str) -> None:
        order, leg_name, expected = pair.orders[client_order_id]
        if order.status.is_terminal:
            return
        unknown = order.model_copy(update={"status": OrderStatus.UNKNOWN})
        pair.orders[client_order_id] = (unknown, leg_name, expected)
        self._record_order(pair, unknown)
        self._on_halt(f"order {client_order_id} on {order.instrument.id} has no final state: its outcome is unknown")

    def _round_over(self, pair: Pair) -> None:
        if pair.state is PairState.CLOSING:
            self._after_closing(pair)
        else:
            self._after_opening(pair)

    def _after_opening(self, pair: Pair) -> None:
        ahead = self._leg_ahead(pair)
        if ahead is not None:
            self._unwind(pair, ahead)
        elif pair.buy.closable() and pair.sell.closable():
            if pair.opportunity.route.closing:
                pair.state = PairState.OPEN
                self._changed(pair)
            else:
                self._over(pair, PairState.CLOSED)
        elif any(self._must_go(pair, leg) for leg in pair.legs):
            self._start_closing(pair, TOO_SMALL)
        else:
            filled = pair.buy.opened_quantity or pair.sell.opened_quantity
            self._over(pair, PairState.FAILED if filled else PairState.MISSED)

    def _unwind(self, pair: Pair, leg: PairLeg) -> None:
        """Trade away what one leg is ahead; market orders, since being uneven costs more than the spread."""
        wait_s = self._count_round(pair)
        side, quantity = _reducing_side(leg), _ahead_by(pair, leg)
        self._clock.call_later(
            wait_s, lambda: self._round(pair, [self._market_order(pair, leg, side, quantity, f"hedge_{side}")])
        )

    def _start_closing(self, pair: Pair, reason: str) -> None:
        pair.state = PairState.CLOSING
        pair.close_reason = reason
        pair.fruitless_rounds = 0
        self._expect_exit(pair)
        self._changed(pair)
        self._close_round(pair)

    def _expect_exit(self, pair: Pair) -> None:
        """Note the prices that closing starts at, as soon as both sides have one."""
        buy, sell = self._quotes(pair.buy.instrument), self._quotes(pair.sell.instrument)
        if pair.exit_expected is None and buy is not None and sell is not None:
            pair.exit_expected = (touch(sell, Side.BUY), touch(buy, Side.SELL))

    def _close_round(self, pair: Pair) -> None:
        self._expect_exit(pair)
        left = [leg for leg in pair.legs if self._must_go(pair, leg)]
        wanted = [(leg, leg.closable()) for leg in left]
        if any(self._quotes(leg.instrument) is None for leg in left):
            ahead = self._leg_ahead(pair)
            wanted = [] if ahead is None else [(ahead, _ahead_by(pair, ahead))]
        orders = [order for leg, quantity in wanted if (order := self._closing_order(pair, leg, quantity)) is not None]
        if orders:
            self._round(pair, orders)
        else:
            self._after_closing(pair)

    def _after_closing(self, pair: Pair) -> None:
        if not any(self._must_go(pair, leg) for leg in pair.legs):
            self._over(pair, PairState.CLOSED)
            return
        # Even, and both sides unfilled (no depth, no quote), is not urgent; uneven is.
        wait_s = self._count_round(pair) if self._leg_ahead(pair) else self._retry_wait_s
        self._clock.call_later(wait_s, lambda: self._close_round(pair))

    def _count_round(self, pair: Pair) -> float:
        """Count one more try to get even; halts the bot after too many in vain, and goes on trying.

        Returns:
            Seconds to wait before this try.
        """
        pair.fruitless_rounds += 1
        if pair.fruitless_rounds > self._settings.hedge_retries:
            tries = f"{pair.fruitless_rounds - 1} tries without a fill"
            uneven = f"uneven by {pair.imbalance} {pair.buy.instrument.base}"
            instruments = f"{pair.buy.instrument.id} and {pair.sell.instrument.id}"
            self._on_halt(f"pair {pair.id} is {uneven} after {tries}: look at {instruments}")
        return self._retry_wait_s if pair.fruitless_rounds > 1 else 0.0

    def _over(self, pair: Pair, state: PairState) -> None:
        pair.state = state
        pair.closed_ns = self._clock.now_ns()
        del self._pairs[pair.id]
        self._changed(pair)

    # What can be traded away

    def _leg_ahead(self, pair: Pair) -> PairLeg | None:
        """The leg that holds more than the other hedges, if the venue takes an order for the difference."""
        leg = max(pair.legs, key=lambda leg: abs(leg.held))
        return leg if self._is_taken(pair, leg, _ahead_by(pair, leg)) else None

    def _must_go(self, pair: Pair, leg: PairLeg) -> bool:
        """Whether a closing pair still has something on this leg: any position, or spot above the venue's minimum."""
        if leg.instrument.is_perpetual:
            return leg.closable() > 0
        return self._is_taken(pair, leg, leg.closable())

    def _is_taken(self, pair: Pair, leg: PairLeg, quantity: Decimal) -> bool:
        """Whether the venue takes an order that reduces this leg by `quantity` (venue units); less is dust."""
        side = _reducing_side(leg)
        quote = self._quotes(leg.instrument)
        expected = leg.expected_price if quote is None else touch(quote, side)
        price = min(expected, capped_price(leg.instrument, side, expected, self._settings.price_cap_bps))
        reduces = self._reduces_position(pair, leg.instrument, side, quantity)
        return meets_minimum(leg.instrument, quantity, price, reduces=reduces)

    def _reduces_position(self, pair: Pair, instrument: Instrument, side: Side, quantity: Decimal) -> bool:
        """Whether the account's one position of a derivative surely shrinks by all of this.

        Pairs of several routes share that position: where one holds it long and another short, an order that closes
        one of them opens the other way for the account, and the venue would refuse it as reduce-only. What another
        pair's orders on their way will do to it is not known yet.
        """
        if not instrument.is_perpetual:
            return False
        held = Decimal(0)
        for other in self._pairs.values():
            for leg in other.legs:
                if leg.instrument.id == instrument.id:
                    held += leg.held
                    if other.pending and other is not pair:
                        return False
        return -side.sign * held >= quantity * instrument.contract_multiplier

    # Orders

    def _opening_order(self, pair: Pair, leg: PairLeg) -> Order:
        quantity = pair.opportunity.quantity / leg.instrument.contract_multiplier
        price = capped_price(leg.instrument, leg.side, leg.expected_price, self._settings.price_cap_bps)
        return self._order(pair, leg, leg.side, quantity, price, leg.expected_price, f"open_{leg.side}")

    def _closing_order(self, pair: Pair, leg: PairLeg, quantity: Decimal) -> Order | None:
        """An IOC order near the quote; None where there is no quote, or the venue would not take it now."""
        quote = self._quotes(leg.instrument)
        if quote is None or not self._is_taken(pair, leg, quantity):
            return None
        side = _reducing_side(leg)
        expected = touch(quote, side)
        price = capped_price(leg.instrument, side, expected, self._settings.price_cap_bps)
        return self._order(pair, leg, side, quantity, price, expected, f"close_{side}")

    def _market_order(self, pair: Pair, leg: PairLeg, side: Side, quantity: Decimal, leg_name: str) -> Order:
        quote = self._quotes(leg.instrument)
        expected = leg.expected_price if quote is None else touch(quote, side)
        return self._order(pair, leg, side, quantity, None, expected, leg_name)

    def _order(
        self,
        pair: Pair,
        leg: PairLeg,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        expected: Decimal,
        leg_name: str,
        lifetime: TimeInForce = TimeInForce.IOC,
    ) -> Order:
        self._order_count += 1
        reduces = side is not leg.side and self._reduces_position(pair, leg.instrument, side, quantity)
        order = Order(
            client_order_id=f"{pair.id}-{self._order_count}",
            instrument=leg.instrument,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            time_in_force=lifetime,
            quantity=quantity,
            price=price,
            reduce_only=reduces,
            reduces_risk=not leg_name.startswith("open_"),
            ts_decision_ns=self._clock.now_ns(),
        )
        pair.orders[order.client_order_id] = (order, leg_name, expected)
        return order

    def _record_order(self, pair: Pair, order: Order) -> None:
        _, leg_name, expected = pair.orders[order.client_order_id]
        body = {**order.model_dump(mode="json"), "pair": pair.id, "leg": leg_name, "expected_price": str(expected)}
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)

    def _changed(self, pair: Pair) -> None:
        self._journal.record(RecordKind.PAIR, pair.id, self._clock.now_ns(), pair.record())
        self._on_pair(pair)


def _reducing_side(leg: PairLeg) -> Side:
    return Side.SELL if leg.held > 0 else Side.BUY


def _ahead_by(pair: Pair, leg: PairLeg) -> Decimal:
    """What one leg holds beyond the other, in its venue's units, in whole lots."""
    return leg.instrument.floor_quantity(abs(pair.imbalance) / leg.instrument.contract_multiplier)
