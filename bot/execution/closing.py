"""How a pair is closed: what it takes along, what is left of it, and the orders that trade that away.

Both legs go at once, each near its quote, one price cap further off with each try in vain. While a side has no
quote, or an order of an unknown end, only what the other leg is ahead is traded: an even pair stays even.
"""

from bot.domain.order import Order, Side
from bot.execution.context import Quotes
from bot.execution.dust import DustLedger
from bot.execution.grid import touch
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_orders import PairOrders, ahead_by, to_go
from bot.execution.unhedged import must_act


class Closing:
    """Says what goes; when, and whether it came to be, is the executor's business."""

    def __init__(self, orders: PairOrders, quotes: Quotes, dust: DustLedger) -> None:
        """`orders` makes them, `dust` is what earlier pairs left."""
        self._orders = orders
        self._quotes = quotes
        self._dust = dust

    def begin(self, pair: Pair, reason: str) -> None:
        """From now on the pair is closing; dust that lies on its instruments goes with it."""
        pair.state = PairState.CLOSING
        pair.close_reason = reason
        pair.fruitless_rounds = 0
        pair.must_pause = False
        self.expect_exit(pair)
        for leg in pair.legs:
            self._dust.offer(pair, leg)

    def expect_exit(self, pair: Pair) -> None:
        """Note the prices that closing starts at, as soon as both sides have one."""
        buy, sell = self._quotes(pair.buy.instrument), self._quotes(pair.sell.instrument)
        if pair.exit_expected is None and buy is not None and sell is not None:
            pair.exit_expected = (touch(sell, Side.BUY), touch(buy, Side.SELL))

    def left(self, pair: Pair) -> list[PairLeg]:
        """The legs that still have something that has to go."""
        return [leg for leg in pair.legs if self._orders.must_go(pair, leg)]

    def next_orders(self, pair: Pair, left: list[PairLeg]) -> list[Order]:
        """For all that is left; for the difference alone while there is one, a side has no quote, or an order no end.

        Both legs at once would carry a difference on: each round may fill one leg alone again.

        None where nothing can be sent now. What a leg is ahead is among the pair's `evening` orders.
        """
        wanted = [(leg, to_go(pair, leg)) for leg in left]
        is_held_up = any(pair.is_busy(leg) or self._quotes(leg.instrument) is None for leg in left)
        ahead = self._orders.leg_ahead(pair)
        if is_held_up or ahead is not None or any(pair.is_busy(leg) for leg in pair.legs):
            wanted = [] if ahead is None or pair.is_busy(ahead) else [(ahead, ahead_by(pair, ahead))]
        if len(wanted) > 1:
            wanted = self._orders.in_step(pair, wanted)
        orders = []
        for leg, quantity in wanted:
            order = self._orders.closing(pair, leg, quantity, at_any_price=leg is ahead and must_act(pair))
            if order is not None:
                orders.append(order)
                if leg is ahead:
                    pair.evening.add(order.client_order_id)
        return orders
