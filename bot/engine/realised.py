"""What pairs and chains that are over came to: counted once each, and again where a fill comes late."""

from decimal import Decimal

from bot.engine.desk_context import DeskContext
from bot.engine.route_state import RouteState
from bot.execution.in_quote import profit_in_quote

FAILED_IN_A_ROW = 5
"""Pairs or chains of one route that a venue refused an order of, or that had to be unwound or brought back: then a
person has to look."""


class Realised:
    """Keeps the results of one desk, and halts a route that fails time after time."""

    def __init__(self, context: DeskContext) -> None:
        """Nothing is over yet."""
        self._context = context
        self._counted: dict[str, Decimal] = {}
        """As the results know it, by pair or chain."""
        self._base_prices: dict[str, Decimal] = {}
        """What a rest of base of each is worth."""

    def was_over(self, pair_id: str) -> bool:
        """Whether it was over before: what comes now came late."""
        return pair_id in self._counted

    def count(self, pair_id: str, base_price: Decimal, now_ns: int) -> Decimal:
        """Count what one that is over came to by now; returns it, in its route's quote units.

        Args:
            pair_id: Of a pair or a chain, closed in the ledger.
            base_price: What a rest of base is worth, quote units.
            now_ns: UTC.
        """
        profit = profit_in_quote(self._context.ledger.pair(pair_id), base_price, self._context.fees)
        self._context.portfolio.on_realised(profit - self._counted.get(pair_id, Decimal(0)), now_ns)
        self._counted[pair_id], self._base_prices[pair_id] = profit, base_price
        return profit

    def remember(self, pair_id: str, base_price: Decimal) -> None:
        """One that is over is counted by the run that it ended in: what is booked to it from now on counts here."""
        self._counted[pair_id] = profit_in_quote(self._context.ledger.pair(pair_id), base_price, self._context.fees)
        self._base_prices[pair_id] = base_price

    def take_late(self, pair_id: str) -> None:
        """One that an earlier run had counted as over is in hand again: what it comes to counts, and its route does not
        wait for it."""
        self._counted[pair_id] = Decimal(0)

    def recount(self, pair_id: str, now_ns: int) -> bool:
        """Count one anew that is over; False where it is not, or a late fill has opened it again: its end will."""
        is_over = pair_id in self._counted and self._context.ledger.pair(pair_id).is_closed
        if is_over:
            self.count(pair_id, self._base_prices[pair_id], now_ns)
        return is_over

    def failed(self, state: RouteState, what: str, why: str) -> None:
        """One more of a route's `what` (`pairs`, `chains`) failed: each costs something, and too many halt."""
        state.failed_in_a_row += 1
        if state.failed_in_a_row >= FAILED_IN_A_ROW:
            self._context.gate.halt(f"{state.route.id}: {state.failed_in_a_row} {what} in a row failed; {why}")
