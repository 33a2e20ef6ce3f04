"""Opens and closes pairs: both legs at once, then whatever it takes to end balanced, flat, or halted and announced.

A pair moves in **rounds**. A round writes the intents of its orders, waits until they are durable, sends them, and
ends when every order of it is final. What the round left decides the next one:

    opening  both legs filled alike -> open; nothing filled -> missed; one leg ahead -> unwind what it is ahead
    closing  nothing left on either leg -> closed; something left -> another round

A round that was needed to get even and filled nothing is fruitless; too many of them halt the bot.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.domain.route import Opportunity
from bot.errors import InvariantError
from bot.execution.pair import Pair, PairLeg, PairState
from bot.ports import Actions, Journal, RecordKind
from bot.settings import ExecutionSettings

Quotes = Callable[[Instrument], TopOfBook | None]


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
            on_pair: Hears every change of a pair's state.
            on_pair_fill: Hears every fill with its pair and leg name.
            on_sent: Hears every order as it is sent.
            on_halt: Called when a pair cannot be made even.
        """
        self._actions = actions
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._quotes = quotes
        self._id_prefix = id_prefix
        self._on_pair = on_pair
        self._on_pair_fill = on_pair_fill
        self._on_sent = on_sent
        self._on_halt = on_halt
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
        self._pair_count += 1
        route = opportunity.route
        pair = Pair(
            id=f"{self._id_prefix}-{self._pair_count}",
            opportunity=opportunity,
            buy=PairLeg(route.buy, Side.BUY, _decimal(opportunity.buy_price)),
            sell=PairLeg(route.sell, Side.SELL, _decimal(opportunity.sell_price)),
            opened_ns=opportunity.ts_ns,
        )
        self._pairs[pair.id] = pair
        self._changed(pair)
        self._round(
            pair,
            [
                self._order(
                    pair,
                    leg,
                    leg.side,
                    opportunity.quantity / leg.instrument.contract_multiplier,
                    leg.expected_price,
                    f"open_{leg.side}",
                )
                for leg in pair.legs
            ],
        )
        return pair

    def close(self, pair: Pair, reason: str) -> None:
        """Start to close an open pair; a pair in any other state is left to what it is doing."""
        if pair.state is not PairState.OPEN:
            return
        pair.state = PairState.CLOSING
        pair.close_reason = reason
        pair.fruitless_rounds = 0
        buy, sell = (self._quotes(leg.instrument) for leg in pair.legs)
        if buy is not None and sell is not None:
            pair.exit_expected = (_decimal(sell.ask_price), _decimal(buy.bid_price))
        self._changed(pair)
        self._close_round(pair)

    # What the venues say

    def on_fill(self, fill: Fill) -> None:
        """Count a fill of one of our orders."""
        pair = self._pair_of(fill.client_order_id)
        pair.fruitless_rounds = 0
        _, leg_name, expected = pair.orders[fill.client_order_id]
        pair.leg_of(fill.instrument).on_fill(fill)
        body = {**fill.model_dump(mode="json"), "pair": pair.id, "leg": leg_name, "expected_price": str(expected)}
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)
        self._on_pair_fill(pair, leg_name, fill)

    def on_order(self, order: Order) -> None:
        """Take an order's new state; the last final one of a round ends the round."""
        pair = self._pair_of(order.client_order_id)
        before, leg_name, expected = pair.orders[order.client_order_id]
        if before.status.is_terminal:
            return
        pair.orders[order.client_order_id] = (order, leg_name, expected)
        self._record_order(pair, order)
        if order.status.is_terminal:
            pair.pending.discard(order.client_order_id)
            if not pair.pending:
                self._round_over(pair)

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
        self._journal.when_durable(lambda: self._send(pair, orders))

    def _send(self, pair: Pair, orders: list[Order]) -> None:
        now_ns = self._clock.now_ns()
        for order in orders:
            sent = order.model_copy(update={"status": OrderStatus.SENT, "ts_sent_ns": now_ns})
            _, leg_name, expected = pair.orders[order.client_order_id]
            pair.orders[order.client_order_id] = (sent, leg_name, expected)
            self._record_order(pair, sent)
            check = partial(self._check_outcome, pair, order.client_order_id)
            self._clock.call_later(self._settings.order_timeout_ms / 1e3, check)
            self._on_sent(sent)
            self._actions.submit(sent)

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
            pair.state = PairState.OPEN
            self._changed(pair)
        else:
            filled = pair.buy.opened_quantity or pair.sell.opened_quantity
            self._over(pair, PairState.FAILED if filled else PairState.MISSED)

    def _leg_ahead(self, pair: Pair) -> PairLeg | None:
        """The leg that holds more than the other hedges, if the difference can be traded at all."""
        leg = max(pair.legs, key=lambda leg: abs(leg.held))
        return leg if _tradable(leg, pair.imbalance) else None

    def _unwind(self, pair: Pair, leg: PairLeg) -> None:
        """Trade away what one leg is ahead; market orders, since being uneven costs more than the spread."""
        wait_s = self._count_round(pair)
        side = Side.SELL if leg.held > 0 else Side.BUY
        quantity = leg.instrument.floor_quantity(abs(pair.imbalance) / leg.instrument.contract_multiplier)
        self._clock.call_later(
            wait_s, lambda: self._round(pair, [self._market_order(pair, leg, side, quantity, f"hedge_{side}")])
        )

    def _close_round(self, pair: Pair) -> None:
        orders = []
        for leg in pair.legs:
            quantity = leg.closable()
            quote = self._quotes(leg.instrument)
            if not quantity or quote is None:
                continue
            side = Side.SELL if leg.held > 0 else Side.BUY
            price = _decimal(quote.bid_price if side is Side.SELL else quote.ask_price)
            if _meets_minimum(leg.instrument, quantity, price):
                orders.append(self._order(pair, leg, side, quantity, price, f"close_{side}", reduces=True))
        if orders:
            self._round(pair, orders)
        else:
            self._after_closing(pair)

    def _after_closing(self, pair: Pair) -> None:
        if not any(_tradable(leg, leg.held) for leg in pair.legs):
            self._over(pair, PairState.CLOSED)
            return
        # Even, and both sides unfilled (no depth, no quote), is not urgent; uneven is.
        wait_s = self._count_round(pair) if self._leg_ahead(pair) else self._settings.retry_wait_ms / 1e3
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
        return self._settings.retry_wait_ms / 1e3 if pair.fruitless_rounds > 1 else 0.0

    def _over(self, pair: Pair, state: PairState) -> None:
        pair.state = state
        pair.closed_ns = self._clock.now_ns()
        del self._pairs[pair.id]
        self._changed(pair)

    # Orders

    def _order(
        self,
        pair: Pair,
        leg: PairLeg,
        side: Side,
        quantity: Decimal,
        expected_price: Decimal,
        leg_name: str,
        *,
        reduces: bool = False,
    ) -> Order:
        """An IOC order that may be `price_cap_bps` worse than expected, and no worse."""
        cap = Decimal(repr(self._settings.price_cap_bps)) / 10_000
        instrument = leg.instrument
        if side is Side.BUY:
            price = max(expected_price, instrument.floor_price(expected_price * (1 + cap)))
        else:
            price = min(expected_price, instrument.ceil_price(expected_price * (1 - cap)))
        order = Order(
            client_order_id=self._next_id(pair),
            instrument=instrument,
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            quantity=quantity,
            price=price,
            reduce_only=reduces and self._reduces_position(pair, instrument, side, quantity),
            ts_decision_ns=self._clock.now_ns(),
        )
        pair.orders[order.client_order_id] = (order, leg_name, expected_price)
        return order

    def _market_order(self, pair: Pair, leg: PairLeg, side: Side, quantity: Decimal, leg_name: str) -> Order:
        quote = self._quotes(leg.instrument)
        expected = leg.expected_price
        if quote is not None:
            expected = _decimal(quote.bid_price if side is Side.SELL else quote.ask_price)
        order = Order(
            client_order_id=self._next_id(pair),
            instrument=leg.instrument,
            side=side,
            type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            quantity=quantity,
            reduce_only=self._reduces_position(pair, leg.instrument, side, quantity),
            ts_decision_ns=self._clock.now_ns(),
        )
        pair.orders[order.client_order_id] = (order, leg_name, expected)
        return order

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

    def _next_id(self, pair: Pair) -> str:
        self._order_count += 1
        return f"{pair.id}-{self._order_count}"

    def _record_order(self, pair: Pair, order: Order) -> None:
        _, leg_name, expected = pair.orders[order.client_order_id]
        body = {**order.model_dump(mode="json"), "pair": pair.id, "leg": leg_name, "expected_price": str(expected)}
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)

    def _changed(self, pair: Pair) -> None:
        self._journal.record(RecordKind.PAIR, pair.id, self._clock.now_ns(), pair.record())
        self._on_pair(pair)


def _decimal(price: float) -> Decimal:
    """The shortest decimal that reads back as this float: what the venue printed, for up to fifteen digits."""
    return Decimal(repr(price))


def _meets_minimum(instrument: Instrument, quantity: Decimal, price: Decimal) -> bool:
    """Whether a rest of this size is worth an order: any lot of a derivative is, since a position must not stay."""
    if instrument.is_perpetual:
        return quantity > 0
    return quantity >= instrument.min_quantity and quantity * price >= instrument.min_notional


def _tradable(leg: PairLeg, base_quantity: Decimal) -> bool:
    """Whether this much (signed base units) can be traded on the leg's instrument; the rest is dust."""
    quantity = leg.instrument.floor_quantity(abs(base_quantity) / leg.instrument.contract_multiplier)
    return quantity > 0 and _meets_minimum(leg.instrument, quantity, leg.expected_price)
