"""Round trips: an order rests on one instrument until somebody comes, and what it brought goes out the same way.

    opening  the entry rests; taken back when it is not wanted at its price any more -> missed
    open     the entry was filled, whole or in a part that can be traded away again: its rest is taken back, and the
             exit rests at the other price of the decision until it is filled -> closed
    closing  told to leave: the exit is taken back, and what is left goes out like any pair, by IOC orders

One order of a round trip lives at a time: nothing is sent before the one ahead of it has its final state, so no two of
them can ever meet. While the bot may open nothing new, entries are taken back; an exit reduces, and stays. Everything
else (intents before orders, fills once, unknown outcomes, getting flat) is a pair's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.domain.order import Fill, Order, OrderStatus, Side, TimeInForce
from bot.domain.route import Opportunity
from bot.execution.grid import decimal_price, resting_price
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_executor import PairExecutor

REVERTED = "reverted"
"""Why a round trip is closed whose exit was filled."""


@dataclass(slots=True)
class _Rest:
    """The order of a round trip that waits."""

    order_id: str
    since_ns: int
    """Monotonic."""
    is_called_back: bool = False


class QuoteExecutor(PairExecutor):
    """Runs pairs, and round trips on one instrument."""

    def __init__(
        self,
        *,
        wanted_entry: Callable[[Pair], float | None],
        rest_s: Callable[[Pair], float],
        **of_pairs: Any,
    ) -> None:
        """Build it.

        Args:
            wanted_entry: The price at which an entry would be placed now; None: not at all.
            rest_s: An entry rests at one price for at least so long.
            of_pairs: What `PairExecutor` takes.
        """
        super().__init__(**of_pairs)
        self._wanted_entry = wanted_entry
        self._rest_s = rest_s
        self._rests: dict[str, _Rest] = {}
        self._is_ending = False
        self.on_withdrawn: Callable[[], None] = _nothing
        """Called after `withdraw`, once no order rests any more."""

    @property
    def resting(self) -> int:
        """Orders that rest, or are on their way to."""
        return len(self._rests)

    def open(self, opportunity: Opportunity) -> Pair:
        """Start on an approved opportunity: a pair, or a round trip's entry."""
        route = opportunity.route
        if not route.is_round_trip:
            return super().open(opportunity)
        side = route.opening[0].side
        price = decimal_price(opportunity.buy_price if side is Side.BUY else opportunity.sell_price)
        price = resting_price(route.buy, side, price, self._quotes(route.buy))
        leg = PairLeg(route.buy, side, price)
        pair = self._begin(opportunity, leg, leg)
        self._let_rest(pair, side, opportunity.quantity / route.buy.contract_multiplier, price, f"open_{side}")
        return pair

    def close(self, pair: Pair, reason: str) -> None:
        """Leave an open pair; of a round trip the exit that rests is taken back first."""
        if not pair.is_round_trip:
            super().close(pair, reason)
        elif pair.state is PairState.OPEN and pair.close_reason is None:
            pair.close_reason = reason
            if pair.id in self._rests:
                self._call_back(pair)
            else:
                self._start_closing(pair, reason)

    def look(self) -> None:
        """Once a second: entries that are not wanted any more, exits that do not rest yet."""
        now_ns = self._clock.monotonic_ns()
        for pair in [pair for pair in self._pairs.values() if pair.is_round_trip]:
            rest = self._rests.get(pair.id)
            if pair.state is PairState.OPENING and rest is not None:
                self._look_at_entry(pair, rest, now_ns)
            elif pair.state is PairState.OPEN and rest is None and pair.close_reason is None:
                self._offer(pair)

    def take_back_entries(self) -> None:
        """Nothing new may be opened: no entry waits any longer."""
        for pair in list(self._pairs.values()):
            if pair.is_round_trip and pair.state is PairState.OPENING:
                self._call_back(pair)

    def withdraw(self) -> None:
        """The run ends: no order stays behind; what is held is."""
        self._is_ending = True
        for pair in [self._pairs[pair_id] for pair_id in self._rests]:
            self._call_back(pair)
        self._tell_withdrawn()

    def on_fill(self, fill: Fill) -> None:
        """Count a fill; a part of an entry that can be traded away again ends the waiting for the rest."""
        super().on_fill(fill)
        pair = self._pair_of(fill.client_order_id)
        if not pair.is_round_trip or pair.state is not PairState.OPENING:
            return
        whole = pair.filled[fill.client_order_id] >= pair.orders[fill.client_order_id][0].quantity
        if not whole and self._must_go(pair, pair.buy):
            self._call_back(pair)

    # Rounds

    def _send(self, pair: Pair, orders: list[Order]) -> None:
        rest = self._rests.get(pair.id)
        if rest is not None and rest.is_called_back and rest.order_id == orders[0].client_order_id:
            self._withhold(pair, orders, "not sent: taken back before its intent was durable")
        else:
            super()._send(pair, orders)

    def _round_over(self, pair: Pair) -> None:
        rest = self._rests.pop(pair.id, None)
        if not pair.is_round_trip or rest is None:
            super()._round_over(pair)
        elif pair.state is PairState.OPENING:
            self._entered(pair)
        else:
            self._offered(pair)
        self._tell_withdrawn()

    def _entered(self, pair: Pair) -> None:
        """The entry is final: go out again with what it brought."""
        leg = pair.buy
        if self._must_go(pair, leg):
            pair.state = PairState.OPEN
            self._plan_exit(pair)
            self._changed(pair)
            self._offer(pair)
        else:
            # Less than the venue would take back is dust: an amount, and no position.
            self._over(pair, PairState.FAILED if leg.opened_quantity else PairState.MISSED)

    def _plan_exit(self, pair: Pair) -> None:
        opportunity = pair.opportunity
        planned = opportunity.sell_price if pair.buy.side is Side.BUY else opportunity.buy_price
        pair.exit_expected = (decimal_price(planned), decimal_price(planned))

    def _offer(self, pair: Pair) -> None:
        """Let the exit rest at the price that the decision planned, or at a better one if that would trade at once."""
        leg, side = pair.buy, pair.buy.side.opposite
        quote = self._quotes(leg.instrument)
        if self._is_ending or quote is None or pair.exit_expected is None:
            return  # the next look tries again
        price = resting_price(leg.instrument, side, pair.exit_expected[0], quote)
        self._let_rest(pair, side, leg.closable(), price, f"close_{side}")

    def _offered(self, pair: Pair) -> None:
        """The exit is final: filled, taken back, or refused."""
        if not self._must_go(pair, pair.buy):
            pair.close_reason = pair.close_reason or REVERTED
            self._over(pair, PairState.CLOSED)
        elif pair.close_reason is not None:
            self._start_closing(pair, pair.close_reason)
        # Else the venue would not have it, or the run ends: the next look tries again, and not at the venue's own pace.

    # Orders that rest

    def _let_rest(self, pair: Pair, side: Side, quantity: Decimal, price: Decimal, leg_name: str) -> None:
        order = self._order(pair, pair.buy, side, quantity, price, price, leg_name, TimeInForce.POST_ONLY)
        self._rests[pair.id] = _Rest(order.client_order_id, self._clock.monotonic_ns())
        self._round(pair, [order])

    def _look_at_entry(self, pair: Pair, rest: _Rest, now_ns: int) -> None:
        leg = pair.buy
        quote = self._quotes(leg.instrument)
        if quote is None or not self._may_open():
            self._call_back(pair)
        elif now_ns - rest.since_ns >= self._rest_s(pair) * 1e9:
            wanted = self._wanted_entry(pair)
            if wanted is None or leg.expected_price != resting_price(
                leg.instrument, leg.side, decimal_price(wanted), quote
            ):
                self._call_back(pair)

    def _call_back(self, pair: Pair) -> None:
        """Cancel what rests; its final state ends the round. An order that is not sent yet never is."""
        rest = self._rests.get(pair.id)
        if rest is None or rest.is_called_back:
            return
        rest.is_called_back = True
        order = pair.orders[rest.order_id][0]
        if order.status is not OrderStatus.INTENT:
            self._expect_end(pair, order)
            self._actions.cancel(order)

    def _tell_withdrawn(self) -> None:
        if self._is_ending and not self._rests:
            self.on_withdrawn()


def _nothing() -> None:
    """Nobody waits."""
