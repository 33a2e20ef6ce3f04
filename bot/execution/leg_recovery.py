"""Which order evens a pair of which one leg is ahead: the missing leg completed, or what is too much unwound.

completing  while the pair is being opened, and that costs less; a few tries, each one price cap further off
unwinding   else, at the market, as soon as nothing on the leg ahead may still be filled
hedging     at the market, where the budget says act and the leg ahead cannot be touched
"""

from collections.abc import Callable

from bot.domain.order import Order
from bot.execution.context import ExecutionContext
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_orders import PairOrders
from bot.execution.unhedged import must_act


class LegRecovery:
    """Says which; when, and what becomes of it, is the executor's business."""

    def __init__(self, orders: PairOrders, context: ExecutionContext, takes_risk: Callable[[str], bool]) -> None:
        """`orders` makes them; `takes_risk`: whether anything that adds to a pair may be sent to a venue now."""
        self._orders = orders
        self._may_open = context.may_open
        self._tries = context.settings.complete_tries
        self._takes_risk = takes_risk

    def must_wait(self, pair: Pair, ahead: PairLeg) -> bool:
        """Whether the next try waits for a moment: the first to unwind does not wait for another venue's refusals."""
        return pair.must_pause and (pair.has_given_up or self._may_complete(pair, pair.other(ahead)))

    def next_order(self, pair: Pair, ahead: PairLeg) -> Order | None:
        """The order to send now, among the pair's `evening` ones; None while one that may be filled is in the way."""
        behind = pair.other(ahead)
        order = self._orders.completing(pair, ahead, behind) if self._may_complete(pair, behind) else None
        if order is not None:
            pair.completions += 1
        elif not pair.is_busy(ahead):
            pair.has_given_up = True
            order = self._orders.unwinding(pair, ahead)
        elif must_act(pair) and self._may_add(pair, behind):
            order = self._orders.hedging(pair, behind)
        if order is not None:
            pair.evening.add(order.client_order_id)
        return order

    def _may_complete(self, pair: Pair, behind: PairLeg) -> bool:
        if pair.has_given_up or pair.state is not PairState.OPENING:
            return False
        return pair.completions < self._tries and self._may_add(pair, behind)

    def _may_add(self, pair: Pair, leg: PairLeg) -> bool:
        """Whether an order that makes this leg larger may leave."""
        is_clear = not pair.is_busy(leg) and self._takes_risk(leg.instrument.venue)
        return is_clear and self._may_open() and self._orders.can_complete(pair, leg)
