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
from decimal import Decimal
from typing import Unpack

from bot.domain.order import Fill, Side
from bot.domain.route import Opportunity
from bot.execution.context import ExecutionContext
from bot.execution.grid import decimal_price, resting_price
from bot.execution.maker_executor import MakerExecutor, Rest
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_executor import ToldOfPairs
from bot.execution.reasons import REVERTED


class QuoteExecutor(MakerExecutor):
    """Runs pairs, and round trips on one instrument."""

    def __init__(
        self,
        context: ExecutionContext,
        *,
        wanted_entry: Callable[[Pair], float | None],
        rest_s: Callable[[Pair], float],
        **told: Unpack[ToldOfPairs],
    ) -> None:
        """Build it.

        Args:
            context: What it works with.
            wanted_entry: The price at which an entry would be placed now; None: not at all.
            rest_s: An entry rests at one price for at least so long.
            told: Who is told of its pairs.
        """
        super().__init__(context, **told)
        self._wanted_entry = wanted_entry
        self._rest_s = rest_s

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
        self._rest(pair, side, opportunity.quantity / route.buy.contract_multiplier, price, f"open_{side}")
        return pair

    def close(self, pair: Pair, reason: str) -> None:
        """Leave an open pair; of a round trip the exit that rests is taken back first."""
        if not pair.is_round_trip:
            super().close(pair, reason)
        elif pair.state is PairState.OPEN and pair.close_reason is None and not pair.is_frozen:
            pair.close_reason = reason
            if self.rests_of(pair):
                self.take_back(pair)
            else:
                self._start_closing(pair, reason)

    def look(self) -> None:
        """Once a second: entries that are not wanted any more, exits that do not rest yet."""
        super().look()
        now_ns = self._clock.monotonic_ns()
        for pair in [pair for pair in self._pairs.values() if pair.is_round_trip]:
            rest = next(iter(self.rests_of(pair)), None)
            if pair.state is PairState.OPENING and rest is not None:
                self._look_at_entry(pair, rest, now_ns)
            elif pair.state is PairState.OPEN and not (pair.pending or pair.close_reason or pair.is_frozen):
                self._offer(pair)

    def on_fill(self, fill: Fill) -> None:
        """Count a fill; a part of an entry that can be traded away again ends the waiting for the rest."""
        super().on_fill(fill)
        pair = self._rounds.owner(fill.client_order_id)
        if not pair.is_round_trip or pair.state is not PairState.OPENING:
            return
        whole = pair.filled[fill.client_order_id] >= pair.orders[fill.client_order_id][0].quantity
        if not whole and self._orders.must_go(pair, pair.buy):
            self.take_back(pair)

    # What comes next

    def _open_step(self, pair: Pair) -> None:
        if not pair.is_round_trip:
            super()._open_step(pair)
        elif pair.pending:
            return
        elif pair.state is PairState.OPENING:
            self._entered(pair)
        else:
            self._offered(pair)

    def _entered(self, pair: Pair) -> None:
        """The entry is final: go out again with what it brought."""
        leg = pair.buy
        if self._orders.must_go(pair, leg):
            pair.state = PairState.OPEN
            self._plan_exit(pair)
            self._changed(pair)
            if pair.close_reason is not None:
                self._start_closing(pair, pair.close_reason)
            else:
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
        self._rest(pair, side, leg.closable(), price, f"close_{side}")

    def _offered(self, pair: Pair) -> None:
        """The exit is final: filled, taken back, or refused."""
        if not self._orders.must_go(pair, pair.buy):
            pair.close_reason = pair.close_reason or REVERTED
            self._over(pair, PairState.CLOSED)
        elif pair.close_reason is not None:
            self._start_closing(pair, pair.close_reason)
        # Else the venue would not have it, or the run ends: the next look tries again, and not at the venue's own pace.

    # Orders that rest

    def _rest(self, pair: Pair, side: Side, quantity: Decimal, price: Decimal, leg_name: str) -> None:
        self._rounds.begin(pair, [self._resting_order(pair, pair.buy, side, quantity, price, leg_name)])

    def _look_at_entry(self, pair: Pair, rest: Rest, now_ns: int) -> None:
        leg = pair.buy
        quote = self._quotes(leg.instrument)
        if quote is None or not self._may_open():
            self._call_back(rest)
        elif now_ns - rest.since_ns >= self._rest_s(pair) * 1e9:
            wanted = self._wanted_entry(pair)
            if wanted is None or leg.expected_price != resting_price(
                leg.instrument, leg.side, decimal_price(wanted), quote
            ):
                self._call_back(rest)
