"""Opens and closes pairs: both legs at once, then whatever it takes to end balanced, flat, or halted and announced.

What comes next is decided from what is held and what is on its way, after every fill, every final state and every
deadline, and never from a plan:

    an order that takes is on its way  -> wait for its answer
    one leg is ahead                   -> complete the other while that costs less, else unwind what it is ahead
    opening, even, nothing pending     -> open (closed, where the route holds nothing), or missed
    closing, something left            -> close what is left, both legs at once
    closing, nothing left              -> closed

An order without an answer is UNKNOWN after a time: it is never sent again, its leg takes no second one, its venue no
new risk; the other leg is evened by what is known, and evened again when the truth comes. `UnhedgedWatch` keeps the
time: an alarm, then acting at any price, then HALTED. Even pairs stay even: while one leg has no quote, only what the
other leg is ahead is traded.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TypedDict, Unpack

from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Opportunity
from bot.errors import InvariantError
from bot.execution.closing import Closing
from bot.execution.context import ExecutionContext
from bot.execution.dust import DustLedger, dust_records
from bot.execution.episode import Stage
from bot.execution.forced import leg_of_part, part_records, shares
from bot.execution.grid import decimal_price
from bot.execution.leg_recovery import LegRecovery
from bot.execution.netting import Netting
from bot.execution.order_rounds import OrderRounds
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_orders import PairOrders, is_to_be_hedged, less_than_a_lot
from bot.execution.pair_record import pair_record
from bot.execution.reasons import FLATTEN, TOO_SMALL
from bot.execution.retry_pause import RetryPause
from bot.execution.unhedged import Unhedged, UnhedgedWatch
from bot.ports import RecordKind


class ToldOfPairs(TypedDict):
    """Who is told of pairs; every executor of them takes the same."""

    on_pair: Callable[[Pair], None]
    """Hears every change of a pair's state."""
    on_pair_fill: Callable[[Pair, str, Fill], None]
    """Hears every fill, once, with its pair and leg name."""
    on_sent: Callable[[Order], None]
    """Hears every order as it is sent."""


class PairExecutor:
    """Runs every pair of a run. All calls come on the engine's thread."""

    def __init__(self, context: ExecutionContext, **told: Unpack[ToldOfPairs]) -> None:
        """Build it with what it works with, and those who are told of its pairs."""
        clock, settings, journal = context.clock, context.settings, context.journal
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._quotes = context.quotes
        self._id_prefix = context.id_prefix
        self._may_open = context.may_open
        self._on_pair = told["on_pair"]
        self._on_pair_fill = told["on_pair_fill"]
        self._on_halt = context.on_halt
        self.on_not_durable = context.on_halt
        """Called where an intent cannot be durable; a disk that may come back need not halt."""
        self.on_alarm: Callable[[Pair, str], None] = lambda pair, text: None
        """Called with what a person should know of a pair: uneven for too long, an unknown order, a fill too late."""
        self._is_stopped = False
        self.is_shut: Callable[[str], bool] = lambda venue: False
        """Whether a venue takes no new risk now, whatever is missing there."""
        self.why_not_now: Callable[[Pair], str | None] = lambda pair: None
        """Asked when the intents of what opens a pair are durable: what refuses it by now. None: it is sent."""
        self._pairs: dict[str, Pair] = {}
        self._pair_count = 0
        self._rounds = OrderRounds[Pair](
            context,
            opens=_opens,
            why_withheld=self._why_withheld,
            on_sent=told["on_sent"],
            on_ended=self._ended,
            on_lost=self._next,
            on_alarm=lambda pair, text: self.on_alarm(pair, text),
            on_not_durable=lambda why: self.on_not_durable(why),
            is_taken_back=self._is_taken_back,
            look_at="position",
        )
        self._pause = RetryPause[Pair](clock, settings.retry_wait_ms, self._next)
        self._orders = PairOrders(self._pairs, context)
        self._watch = UnhedgedWatch(clock, settings, self._on_stage, context.taker_bps)
        self.dust = DustLedger(dust_records(journal, clock))
        self._recovery = LegRecovery(self._orders, context, self._takes_risk)
        self._closing = Closing(self._orders, context.quotes, self.dust)
        self._netting = Netting(self._pairs, self._orders, context.quotes, journal, clock)

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """Pairs that are not over, by id."""
        return self._pairs

    def unresolved(self, venue: str) -> int:
        """How many orders at a venue have an outcome that nobody knows: it takes no new risk meanwhile."""
        return self._rounds.unresolved(venue)

    def unhedged(self) -> list[Unhedged]:
        """Every pair that is uneven now, or may be for all that is known."""
        return [found for pair in self._pairs.values() if (found := self._watch.unhedged(pair)) is not None]

    def open(self, opportunity: Opportunity) -> Pair:
        """Start a pair on both sides of an approved opportunity; MISSED at once where a side cannot take its size."""
        route = opportunity.route
        buy = PairLeg(route.buy, Side.BUY, decimal_price(opportunity.buy_price))
        pair = self._new(opportunity, buy, PairLeg(route.sell, Side.SELL, decimal_price(opportunity.sell_price)))
        limits = self._orders.opening_limits(pair)
        why = self._orders.too_small(pair, limits)
        if why is not None:
            self._changed(pair)
            pair.close_reason = why
            self._over(pair, PairState.MISSED)
        else:
            self._enter(pair, limits)
        return pair

    def _enter(self, pair: Pair, limits: Sequence[Decimal]) -> None:
        orders = [self._orders.opening(pair, leg, limit) for leg, limit in zip(pair.legs, limits, strict=True)]
        self._rounds.begin(pair, orders, heading=partial(self._changed, pair))

    def _begin(self, opportunity: Opportunity, buy: PairLeg, sell: PairLeg) -> Pair:
        pair = self._new(opportunity, buy, sell)
        self._changed(pair)
        return pair

    def _new(self, opportunity: Opportunity, buy: PairLeg, sell: PairLeg) -> Pair:
        self._pair_count += 1
        pair_id = f"{self._id_prefix}-{self._pair_count}"
        pair = self._pairs[pair_id] = Pair(pair_id, opportunity, buy, sell, opened_ns=opportunity.ts_ns)
        return pair

    def close(self, pair: Pair, reason: str) -> None:
        """Start to close an open pair; a pair in any other state is left to what it is doing."""
        if pair.state is PairState.OPEN and not pair.is_frozen:
            self._start_closing(pair, reason)

    def stop(self) -> None:
        """The run has ended: no timer does anything any more, and what pairs hold stays as it is."""
        self._is_stopped = True
        self._rounds.stop()
        for pair in self._pairs.values():
            self._pause.end(pair)
            self._watch.stop(pair)

    def thaw(self, route_id: str | None = None) -> None:
        """A person has said what is to become of pairs that were left alone (`Pair.is_frozen`): go on with them."""
        for pair in list(self._pairs.values()):
            if pair.is_frozen and route_id in (None, pair.opportunity.route.id):
                pair.is_frozen = False
                self._next(pair)

    def flatten(self, route_id: str | None = None) -> int:
        """Close everything now, or every pair of one route; returns how many pairs that are.

        A pair that is being opened is closed as soon as it is even; one that is being closed goes on.
        """
        wanted = [p for p in self._pairs.values() if route_id in (None, p.opportunity.route.id)]
        for pair in wanted:
            self._flatten(pair)
        return len(wanted)

    def _flatten(self, pair: Pair) -> None:
        if pair.state is PairState.OPEN:
            self.close(pair, FLATTEN)
        elif pair.state is PairState.OPENING:
            pair.close_reason = FLATTEN
            pair.has_given_up = True
            self._next(pair)

    def adopt(self, pair: Pair) -> None:
        """Go on with a pair that an earlier run began, from whatever state: open, uneven, closing.

        Its orders without a final state (`Pair.pending`) have an unknown outcome, and are never sent again; what the
        venue tells of them comes through `on_fill` and `on_order`, before or after. It is not completed any more:
        the prices of its decision are gone. `on_pair` hears of its next change, not of the adoption.

        Raises:
            InvariantError: If it is over, or known already.
        """
        if pair.state.is_over or pair.id in self._pairs:
            raise InvariantError(f"pair {pair.id} ({pair.state}) was to be adopted")
        self._pairs[pair.id] = pair
        self._rounds.adopt(pair)
        pair.has_given_up = True
        self._next(pair)

    def journal_failed(self, why: str) -> None:
        """No intent becomes durable any more: what waited for it reduces risk and is sent, or never leaves."""
        for pair in list(self._pairs.values()):
            self._rounds.journal_failed(pair, why)

    # What the venues say

    def on_fill(self, fill: Fill) -> None:
        """Count a fill of one of our orders; told a second time it changes nothing."""
        self._rounds.tell_sent()
        pair = self._rounds.owner(fill.client_order_id)
        if not pair.count(fill):
            return
        pair.fruitless_rounds = 0
        order, leg_name, expected = pair.orders[fill.client_order_id]
        # A venue that tells again has more to tell: its final state, and what became of the other leg.
        pair.must_pause = order.status is OrderStatus.UNKNOWN
        if order.status.is_terminal:
            self._came_late(pair, order)
        self._rounds.record_fill(pair, fill, leg_name, expected)
        self._on_pair_fill(pair, leg_name, fill)
        if fill.client_order_id in pair.evening:
            self._watch.count(pair, leg_name, fill)
            if leg_name.startswith("open"):
                pair.completions = 0
        self._next(pair)

    def on_forced(self, fill: Fill) -> bool:
        """The venue itself traded a position of ours: it liquidated it, or took it to save another (ADL).

        The pairs that held it count what they lost, and are closed: their other legs stand alone. What no pair held is
        announced by whoever compares positions. Returns whether a pair held any of it.
        """
        self._rounds.tell_sent()
        found = list(shares(fill, self._pairs.values()))
        lost = [(pair, part) for pair, part in found if pair.count(part)]
        for body in part_records(lost):  # all of them before anything is done for one
            self._journal.record(RecordKind.FILL, body["fill_id"], fill.ts_event_ns, body)
        for pair, part in lost:
            self._on_pair_fill(pair, leg_of_part(part), part)
        for pair, part in lost:
            self._lose(pair, part)
        return bool(found)

    def _lose(self, pair: Pair, fill: Fill) -> None:
        what = f"{fill.quantity:f} of {fill.instrument.id} at {fill.price:f}"
        self.on_alarm(pair, f"the venue took {what} away ({fill.forced}): the other leg of pair {pair.id} is closed")
        pair.has_given_up = True
        pair.close_reason = pair.close_reason or fill.forced
        if pair.state is PairState.OPEN:
            self._start_closing(pair, fill.forced)
        else:
            self._next(pair)

    def _came_late(self, pair: Pair, order: Order) -> None:
        held = f"pair {pair.id} ({pair.state}) holds {pair.buy.net} and {pair.sell.net}"
        self.on_alarm(pair, f"a fill of order {order.client_order_id} came after its final state: {held}")
        if not pair.state.is_over:
            return
        pair.reopen()
        self._pairs[pair.id] = pair
        self._changed(pair)

    def on_order(self, order: Order) -> None:
        """Take an order's new state; the last final one of a round ends the round."""
        self._rounds.on_order(order)

    def _ended(self, pair: Pair, order: Order) -> None:
        """An order of the pair has its final state."""
        pair.pending.discard(order.client_order_id)
        if order.status is OrderStatus.REJECTED and pair.opens(order):
            pair.completions += 1  # a venue that refuses is asked once less
        elif order.status is OrderStatus.REJECTED:
            self.dust.refused(pair, pair.leg_of(order.instrument))
        self._next(pair)

    def knows(self, client_order_id: str) -> bool:
        """Whether it wrote this order down, in this run or with a pair that it took over."""
        return self._rounds.knows(client_order_id)

    # Rounds

    def _why_withheld(self, pair: Pair) -> str | None:
        if not self._may_open():
            return "nothing new may be opened any more"
        if pair.fill_ids:
            return None  # what it is missing hedges what it has: the edge of the decision is not asked for again
        why = self.why_not_now(pair)
        if why is not None:
            pair.close_reason = why
        return why

    def _is_taken_back(self, order: Order) -> bool:
        """Whether an order is not wanted any more before it has left: one that takes always is."""
        return False

    def _on_stage(self, pair: Pair, stage: Stage) -> None:
        """A deadline of the budget has come."""
        text = self._watch.words(pair)
        if stage is Stage.ALARMED:
            self.on_alarm(pair, text)
        elif stage is Stage.ACTING:
            pair.has_given_up = True
            self._stop_waiting(pair)
            self._next(pair)
        else:
            instruments = " and ".join(leg.instrument.id for leg in pair.legs)
            self._on_halt(f"{text}: look at {instruments}")

    def _stop_waiting(self, pair: Pair) -> None:
        """Neither answers that are late nor a pause keep it from acting now."""
        self._rounds.stop_waiting(pair)
        pair.must_pause = False
        self._pause.end(pair)

    # What comes next

    def _next(self, pair: Pair) -> None:
        """Decide from what is held and what is on its way."""
        if pair.state.is_over or self._is_stopped:
            return
        ahead = self._orders.leg_ahead(pair) if is_to_be_hedged(pair) else None
        self._watch.look(pair, ahead)
        if ahead is None and pair.state is not PairState.CLOSING:
            self._pause.end(pair)
        if pair.is_frozen:
            return
        if pair.is_live or pair.retry is not None:
            return
        if pair.state is PairState.CLOSING:
            self._close_step(pair)
        else:
            self._open_step(pair)

    def _open_step(self, pair: Pair) -> None:
        ahead = self._orders.leg_ahead(pair)
        if ahead is not None:
            self._even(pair, ahead)
        elif pair.pending:
            return  # what became of it, or of what rests, comes
        elif pair.state is PairState.OPENING:
            self._after_opening(pair)
        elif not any(self._orders.must_go(pair, leg) for leg in pair.legs):
            self._over(pair, PairState.CLOSED)
        if pair.state is PairState.OPEN and not pair.is_live and self._orders.is_held_up(pair):
            self._pause.begin(pair)  # nothing else would look at it before it is closed

    def _after_opening(self, pair: Pair) -> None:
        """Even, and nothing is on its way any more."""
        if pair.buy.closable() and pair.sell.closable():
            if not pair.opportunity.route.closing:
                self._over(pair, PairState.CLOSED)
                return
            pair.state = PairState.OPEN
            self._changed(pair)
            if pair.close_reason is not None:
                self.close(pair, pair.close_reason)
        elif any(self._orders.must_go(pair, leg) for leg in pair.legs):
            self._start_closing(pair, TOO_SMALL)
        else:
            filled = pair.buy.opened_quantity or pair.sell.opened_quantity
            self._over(pair, PairState.FAILED if filled else PairState.MISSED)

    def _even(self, pair: Pair, ahead: PairLeg) -> None:
        """Send what evens a pair now, or look again after a moment."""
        if self._recovery.must_wait(pair, ahead):
            self._pause.begin(pair)
        elif (order := self._recovery.next_order(pair, ahead)) is not None:
            self._try(pair, [order])
        else:
            self._clear_the_way(pair, ahead)

    def _clear_the_way(self, pair: Pair, ahead: PairLeg) -> None:
        """Nothing is sent beside an order whose outcome is not known: its end comes, or the budget does."""

    def _takes_risk(self, venue: str) -> bool:
        """Whether a venue is open for what is missing there, and has no order of an unknown end."""
        return not self.unresolved(venue) and not self.is_shut(venue)

    def _try(self, pair: Pair, orders: list[Order]) -> None:
        pair.fruitless_rounds += 1
        pair.must_pause = True
        self._rounds.begin(pair, orders)

    # Closing

    def _start_closing(self, pair: Pair, reason: str) -> None:
        self._pause.end(pair)
        self._closing.begin(pair, reason)
        self._changed(pair)
        self._next(pair)

    def _close_step(self, pair: Pair) -> None:
        self._closing.expect_exit(pair)
        left = self._closing.left(pair)
        if not left:
            if not pair.pending and not self._net(pair):
                self._over(pair, PairState.CLOSED)
            return
        if pair.must_pause:
            self._pause.begin(pair)
            return
        orders = self._closing.next_orders(pair, left)
        if orders:
            self._try(pair, orders)
        elif not pair.pending and not self._net(pair):
            self._tell_waiting(pair)
            self._pause.begin(pair)

    def _tell_waiting(self, pair: Pair) -> None:
        """Say once of a rest that the venue takes no order for: nothing else tells how long it stays."""
        for instrument_id, what in self._netting.waits(pair):
            if instrument_id not in pair.told_waiting:
                pair.told_waiting.add(instrument_id)
                self.on_alarm(pair, f"pair {pair.id} cannot be closed before others: it holds {what}")

    def _net(self, pair: Pair) -> bool:
        """What no venue takes of it goes to a pair that holds as little the other way round; False: there is none."""
        found = self._netting.match(pair)
        for one, leg_name, fill in found or ():
            one.count(fill)
            one.fruitless_rounds = 0
            self._on_pair_fill(one, leg_name, fill)
        for one, _, _ in found or ():
            self._pause.end(one)
            self._next(one)
        return found is not None

    def _over(self, pair: Pair, state: PairState) -> None:
        if (stuck := less_than_a_lot(pair)) is not None:
            self._on_halt(stuck)  # it is not over: somebody has to know of it, at the next start too
            return
        pair.state = state
        pair.closed_ns = self._clock.now_ns()
        self._pause.end(pair)
        self._watch.end(pair)
        del self._pairs[pair.id]
        self.dust.ended(pair)  # before anybody can read that it is over: after that nobody looks at its rest again
        self._changed(pair)

    # Writing down

    def _changed(self, pair: Pair) -> None:
        self._journal.record(RecordKind.PAIR, pair.id, self._clock.now_ns(), pair_record(pair))
        self._on_pair(pair)


def _opens(pair: Pair, orders: list[Order]) -> bool:
    return any(pair.opens(order) for order in orders)
