"""Maker first: a post-only leg rests until somebody comes, and every fill of it is hedged on the other side at once.

    opening  the maker leg rests at its price. A fill makes the pair uneven, and the pair executor completes the other
             leg by an IOC order (or unwinds, where that costs less); fills too small for the other venue wait for more
             until the budget says act. Taken back when it is not wanted at its price any more, or has rested for too
             long -> missed, or open with what was filled
    both     rest, where both legs are makers: the first that is filled has the other taken back, and hedged
    closing  where the edge is what says leave, a maker leg rests once more; what is left after that goes by IOC orders

Nothing is sent on a leg while an order of it rests: it is taken back first, and its final state comes before the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Unpack

from bot.domain.order import Fill, Order, OrderStatus, Side, TimeInForce
from bot.domain.route import Route
from bot.execution.context import ExecutionContext
from bot.execution.grid import own_touch, resting_price
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_executor import PairExecutor, ToldOfPairs
from bot.execution.pair_orders import reducing_side, to_go


@dataclass(slots=True)
class Rest:
    """An order that waits in a book."""

    order_id: str
    pair_id: str
    since_ns: int
    """Monotonic."""
    is_called_back: bool = False


class MakerExecutor(PairExecutor):
    """Runs pairs, and pairs with post-only legs."""

    def __init__(self, context: ExecutionContext, **told: Unpack[ToldOfPairs]) -> None:
        """Build it with what `PairExecutor` takes."""
        super().__init__(context, **told)
        self._actions = context.actions
        self._rests: dict[str, Rest] = {}
        self._is_ending = False
        self.is_wanted: Callable[[Pair], bool] = lambda pair: True
        """Whether a post-only entry would be placed now as it was."""
        self.leaves_patiently: Callable[[str], bool] = lambda reason: False
        """Whether a pair that is closed for this reason may wait for somebody to come."""
        self.on_withdrawn: Callable[[], None] = lambda: None
        """Called after `withdraw`, once no order rests any more, and what was filled meanwhile is hedged."""

    @property
    def resting(self) -> int:
        """Orders that rest, or are on their way to."""
        return len(self._rests)

    @property
    def unsettled(self) -> int:
        """Orders that rest, and pairs of which an order is on its way, or a leg ahead that may still be evened."""
        moving = (pair.is_live or pair.uneven is not None for pair in self._pairs.values() if not pair.is_frozen)
        return len(self._rests) + sum(moving)

    def rests_of(self, pair: Pair) -> list[Rest]:
        """The orders of a pair that rest."""
        return [rest for rest in self._rests.values() if rest.pair_id == pair.id]

    def look(self) -> None:
        """Once a second: entries that have rested for too long, or are not wanted any more."""
        now_ns = self._clock.monotonic_ns()
        for rest in list(self._rests.values()):
            pair = self._pairs[rest.pair_id]
            if not pair.is_round_trip:
                self._look_at(pair, rest, now_ns)

    def _look_at(self, pair: Pair, rest: Rest, now_ns: int) -> None:
        is_old = now_ns - rest.since_ns >= self._settings.maker_rest_s * 1e9
        is_entry = pair.state is PairState.OPENING
        if is_old or (is_entry and not (self._may_open() and self.is_wanted(pair))):
            self._call_back(rest)

    def take_back(self, pair: Pair) -> None:
        """What rests of a pair is not wanted any more; what was filled of it is hedged as ever."""
        pair.leaves_by_maker = False
        for rest in self.rests_of(pair):
            self._call_back(rest)

    def take_back_entries(self) -> None:
        """Nothing new may be opened: no entry waits any longer."""
        for pair in list(self._pairs.values()):
            if pair.state is PairState.OPENING:
                self.take_back(pair)

    def withdraw(self) -> None:
        """The run ends: no order stays behind; what is held is."""
        self._is_ending = True
        for rest in list(self._rests.values()):
            self._call_back(rest)
        self._tell_withdrawn()

    # What comes next

    def _enter(self, pair: Pair, limits: Sequence[Decimal]) -> None:
        makers = _maker_legs(pair)
        if makers:
            self._changed(pair)
            quantity = pair.opportunity.quantity
            for leg in makers:
                leg.expected_price = self._resting_price(leg, leg.side, leg.expected_price)
            wanted = [(leg, leg.side, quantity / leg.instrument.contract_multiplier, "open") for leg in makers]
            self._let_rest(pair, wanted)
        else:
            super()._enter(pair, limits)

    def _flatten(self, pair: Pair) -> None:
        self.take_back(pair)
        super()._flatten(pair)

    def _lose(self, pair: Pair, fill: Fill) -> None:
        self.take_back(pair)  # a pair that is being closed because of it waits for nobody's price
        super()._lose(pair, fill)

    def _even(self, pair: Pair, ahead: PairLeg) -> None:
        behind = pair.other(ahead)
        if self._rests_on(pair, behind) and not pair.has_given_up:
            self._take_back_from(pair, behind)  # the leg that is behind is to be taken, and not waited for
            return
        if self._rests_on(pair, ahead) and not pair.has_given_up and not self._orders.can_complete(pair, behind):
            return  # more may come, until the other venue takes it
        super()._even(pair, ahead)

    def _clear_the_way(self, pair: Pair, ahead: PairLeg) -> None:
        pair.has_given_up = True
        self._take_back_from(pair, ahead)

    def _close_step(self, pair: Pair) -> None:
        ahead = self._orders.leg_ahead(pair)
        if ahead is not None:
            self._take_back_from(pair, ahead)  # what is too much of it is to be taken, and not waited for
        elif pair.leaves_by_maker and not pair.pending:
            pair.leaves_by_maker = False
            makers = [leg for leg in _maker_legs(pair) if self._orders.must_go(pair, leg)]
            if makers and not self._is_ending and all(self._quotes(leg.instrument) is not None for leg in pair.legs):
                self._let_rest(pair, [(leg, reducing_side(leg), to_go(pair, leg), "close") for leg in makers])
                return
        super()._close_step(pair)

    def _start_closing(self, pair: Pair, reason: str) -> None:
        pair.leaves_by_maker = self.leaves_patiently(reason)
        super()._start_closing(pair, reason)

    # Orders that rest

    def _let_rest(self, pair: Pair, wanted: list[tuple[PairLeg, Side, Decimal, str]]) -> None:
        orders = []
        for leg, side, quantity, what in wanted:
            price = leg.expected_price if what == "open" else self._own_touch(leg, side)
            orders.append(self._resting_order(pair, leg, side, quantity, price, f"{what}_{side}"))
        self._rounds.begin(pair, orders)

    def _resting_order(
        self, pair: Pair, leg: PairLeg, side: Side, quantity: Decimal, price: Decimal, leg_name: str
    ) -> Order:
        order = self._orders.make(pair, leg, side, quantity, price, price, leg_name, TimeInForce.POST_ONLY)
        self._rests[order.client_order_id] = Rest(order.client_order_id, pair.id, self._clock.monotonic_ns())
        return order

    def _own_touch(self, leg: PairLeg, side: Side) -> Decimal:
        quote = self._quotes(leg.instrument)
        assert quote is not None, "asked before it was decided to rest"
        return self._resting_price(leg, side, own_touch(quote, side))

    def _resting_price(self, leg: PairLeg, side: Side, price: Decimal) -> Decimal:
        return resting_price(leg.instrument, side, price, self._quotes(leg.instrument))

    def _is_taken_back(self, order: Order) -> bool:
        rest = self._rests.get(order.client_order_id)
        return rest is not None and rest.is_called_back

    def _ended(self, pair: Pair, order: Order) -> None:
        self._rests.pop(order.client_order_id, None)
        super()._ended(pair, order)
        self._tell_withdrawn()

    def _rests_on(self, pair: Pair, leg: PairLeg) -> bool:
        return any(self._instrument_of(pair, rest) == leg.instrument.id for rest in self.rests_of(pair))

    def _take_back_from(self, pair: Pair, leg: PairLeg) -> None:
        for rest in self.rests_of(pair):
            if self._instrument_of(pair, rest) == leg.instrument.id:
                self._call_back(rest)

    def _instrument_of(self, pair: Pair, rest: Rest) -> str:
        return pair.orders[rest.order_id][0].instrument.id

    def _call_back(self, rest: Rest) -> None:
        """Cancel what rests; its final state says what comes next. An order that is not sent yet never is."""
        if rest.is_called_back:
            return
        rest.is_called_back = True
        pair = self._pairs[rest.pair_id]
        order = pair.orders[rest.order_id][0]
        if order.status is not OrderStatus.INTENT:
            pair.sent_ns[rest.order_id] = self._clock.monotonic_ns()  # until now no answer was what it should give
            self._rounds.expect_end(pair, order)
            self._actions.cancel(order)

    def _tell_withdrawn(self) -> None:
        if self._is_ending and not self.unsettled:
            self.on_withdrawn()


def _maker_legs(pair: Pair) -> list[PairLeg]:
    """The legs of a pair on two sides that rest."""
    if pair.is_round_trip:
        return []
    waiting = _makers(pair.opportunity.route)
    return [leg for leg in pair.legs if leg.instrument.id in waiting]


def _makers(route: Route) -> frozenset[str]:
    return frozenset(leg.instrument.id for leg in route.opening if leg.is_maker)
