"""Orders of one account from acceptance to their one final state.

refused            `Refusal`; nothing is recorded and nobody is told
FILLED             all of it was traded
EXPIRED            the rest of an IOC, FOK or market order; a recorded post-only order that would have taken; an
                   order of one's own that the next one would have met (self-trade prevention takes the resting one)
CANCELLED          by the owner; by the exchange before a liquidation or with the listing; a reduce-only order with
                   nothing to reduce

Faults on command bend the way there, not the ends: a late order is open and not in the book until its time comes, and
may EXPIRE then for what would have refused it now; of a part the rest EXPIRES; a cancel may find the order FILLED.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from bot.domain.instrument import Segment
from bot.matching.cash import exact
from exchanges.simulator.accounts import admission
from exchanges.simulator.accounts.booking import Booking
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import LiveOrder, OrderLog
from exchanges.simulator.accounts.money import Money
from exchanges.simulator.accounts.plan import Plan, plan_take
from exchanges.simulator.accounts.purse import refuse_cost
from exchanges.simulator.core.values import (
    SELF_TRADE,
    Kind,
    Lifetime,
    MarketEvent,
    NewOrder,
    OrderState,
    Refusal,
    RestingFilled,
    TradingStatus,
)

_NOTHING_TO_REDUCE = "reduce-only: nothing to reduce"
_STOPPED = "stopped after a part of it"

Traded = Callable[[int, int], None]
"""Told a listing and the time when an order has traded outside of the call that placed it."""


class Desk:
    """Places, fills and ends orders."""

    def __init__(self, house: House, orders: OrderLog, money: Money, booking: Booking) -> None:
        self._house = house
        self._orders = orders
        self._money = money
        self._booking = booking
        self._late: set[int] = set()
        """Orders that were accepted and have not come to the book yet."""

    def place(self, request: NewOrder, ts_ns: int, traded: Traded) -> LiveOrder | Refusal:
        """Take an order as far as it goes now; `traded` hears when it comes to the book later."""
        refusal = admission.refuse_form(self._house, self._orders, request)
        if refusal is not None:
            return refusal
        limit = self._limit_ticks(request)
        most = self._most_lots(request)
        if most == 0:
            return Refusal.REDUCE_ONLY
        plan = self._plan(request, limit, most)
        if request.quote_quantity is not None and not plan.lots and self._offers(request, limit):
            return Refusal.NOTIONAL_TOO_SMALL
        order = self._new_order(request, plan.lots if most is None else most, ts_ns)
        refusal = refuse_cost(self._house, self._money, order, plan)
        if refusal is not None:
            return refusal
        delay_ns = self._house.faults.delay_ns(order.listing.instrument)
        if delay_ns:
            return self._postpone(order, delay_ns, ts_ns, traded)
        unmatched = self._unmatched(order, plan, limit)
        if unmatched is not None:
            return self._turn_away(order, unmatched, ts_ns)
        self._booking.accept(order, ts_ns)
        self._match(order, plan, limit, ts_ns)
        return order

    def cancel(self, order: LiveOrder, reason: str, ts_ns: int, state: OrderState = OrderState.CANCELLED) -> bool:
        """Take an open order out of the book; False where fills that are still to be heard of came first."""
        if order.number in self._late:
            self._late.discard(order.number)
            self._booking.end(order, state, reason, ts_ns)
            return True
        left, events = self._withdraw(order, ts_ns)
        ended = left == order.left
        if ended:
            self._booking.end(order, state, reason, ts_ns)
        else:
            order.lots_withdrawn = left
            order.reason = reason
        self._house.show(events)
        return ended

    def shrink(self, order: LiveOrder, quantity: Decimal, ts_ns: int) -> Refusal | None:
        """Give a resting order a smaller quantity at its place in the queue; None when it is done."""
        refusal = admission.refuse_size(self._house, replace(order.request, quantity=quantity))
        if refusal is not None:
            return refusal
        lots = int(quantity // order.listing.instrument.lot_size)
        if not self._is_cancellable(order) or lots >= order.lots:
            return Refusal.NOT_CHANGED
        if order.number in self._late:
            self._booking.shrunk(order, lots, ts_ns)
            return None
        # By the difference: fills that are still to be heard of are off the book already.
        listing, market_ns = order.request.listing, self._house.market_ns(ts_ns)
        done, events = self._house.market.shrink(listing, order.number, order.lots - lots, market_ns)
        if not done:
            return Refusal.ALREADY_FINAL
        self._booking.shrunk(order, lots, ts_ns)
        self._house.show(events)
        return None

    def cancel_all(self, orders: list[LiveOrder], reason: str, ts_ns: int) -> list[LiveOrder]:
        """Cancel what is still open of `orders`; those that ended."""
        return [one for one in orders if self._is_cancellable(one) and self.cancel(one, reason, ts_ns)]

    def cancel_asked(self, orders: list[LiveOrder], ts_ns: int, traded: Traded) -> list[LiveOrder]:
        """The same for their owner, who may come too late: `traded` hears of that."""
        cancelled = []
        for order in orders:
            if not self._is_cancellable(order):
                continue
            if self._comes_too_late(order):
                self._fill_rest(order, ts_ns)
                traded(order.request.listing, ts_ns)
            elif self.cancel(order, "", ts_ns):
                cancelled.append(order)
        return cancelled

    def resting_filled(self, event: RestingFilled) -> bool:
        """Book what the market took of a resting order; False where it was none of this account."""
        order = self._orders.open_number(event.listing, event.order_number)
        if order is None:
            return False
        lots = min(event.lots, order.left, self._reducible(order.request))
        if lots:
            self._booking.fill(order, event.ticks, lots, event.trade_id, is_maker=True, ts_ns=event.ts_ns)
        if lots < event.lots and not order.state.is_final:
            # Another fill of the same moment closed the position first: what would open it again is not ours.
            self._house.show(self._withdraw(order, event.ts_ns)[1])
            self._booking.end(order, OrderState.CANCELLED, _NOTHING_TO_REDUCE, event.ts_ns)
        elif order.left and order.left == order.lots_withdrawn:
            self._booking.end(order, OrderState.CANCELLED, order.reason, event.ts_ns)
        self.drop_reduce_only(event.listing, event.ts_ns)
        return True

    def drop_reduce_only(self, listing: int, ts_ns: int) -> None:
        """End resting reduce-only orders that have nothing left to reduce."""
        idle = [
            one
            for one in self._orders.open(listing)
            if one.request.reduce_only and self._is_cancellable(one) and not self._reducible(one.request)
        ]
        self.cancel_all(idle, _NOTHING_TO_REDUCE, ts_ns)

    def _match(self, order: LiveOrder, plan: Plan, limit: int, ts_ns: int) -> None:
        part = self._part(order, plan)
        if part is not None:
            self._take_part(order, part, limit, ts_ns)
            return
        rests = self._rests(order)
        if self._end_own(order, limit if rests and plan.lots < order.lots else plan.worst_ticks, ts_ns):
            plan = self._plan_rest(order, limit)
        if order.request.lifetime is not Lifetime.FOK or plan.lots == order.lots:
            self._take(order, plan, ts_ns)
        if rests:
            # A market maker may have refilled the book below the limit, and a resting order must not cross it.
            while order.left and (plan := self._plan_rest(order, limit)).lots:
                self._take(order, plan, ts_ns)
        if order.state.is_final:
            return
        if rests:
            self._rest(order, limit, ts_ns)
        else:
            self._booking.end(order, OrderState.EXPIRED, "the book offered no more", ts_ns)

    def _take(self, order: LiveOrder, plan: Plan, ts_ns: int) -> None:
        if not plan.lots:
            return
        listing = order.request.listing
        filled, events = self._house.market.take(
            listing,
            buys=order.buys,
            lots=plan.lots,
            limit_ticks=plan.worst_ticks,
            ts_ns=self._house.market_ns(ts_ns),
        )
        self._house.show(events)
        self._booking.fill_taken(order, filled, events, ts_ns)
        self._house.settle(events)
        self.drop_reduce_only(listing, ts_ns)

    def _rest(self, order: LiveOrder, limit: int, ts_ns: int) -> None:
        events = self._house.market.rest(
            order.request.listing,
            order.number,
            buys=order.buys,
            ticks=limit,
            lots=order.left,
            ts_ns=self._house.market_ns(ts_ns),
        )
        self._booking.rested(order, ts_ns)
        self._house.show(events)
        self._house.settle(events)

    def _withdraw(self, order: LiveOrder, ts_ns: int) -> tuple[int, Sequence[MarketEvent]]:
        return self._house.market.withdraw(order.request.listing, order.number, self._house.market_ns(ts_ns))

    # Faults on command

    def _postpone(self, order: LiveOrder, delay_ns: int, ts_ns: int, traded: Traded) -> LiveOrder:
        self._booking.accept(order, ts_ns)
        if self._rests(order):
            self._booking.rested(order, ts_ns)
        self._late.add(order.number)

        def meet(market_ns: int) -> None:
            if order.number in self._late:
                self._late.discard(order.number)
                self._meet(order, self._house.own_ns(market_ns))
                traded(order.request.listing, self._house.own_ns(market_ns))

        self._house.agenda.at(self._house.market_ns(ts_ns) + delay_ns, meet)
        return order

    def _meet(self, order: LiveOrder, ts_ns: int) -> None:
        """A late order comes to the book of its moment, or ends for what would refuse it now."""
        request = order.request
        if not self._trades(request):
            self._booking.end(order, OrderState.EXPIRED, Refusal.NOT_TRADING, ts_ns)
            return
        most = None if request.quote_quantity is not None else min(order.lots, self._reducible(request))
        if most == 0:
            self._booking.end(order, OrderState.CANCELLED, _NOTHING_TO_REDUCE, ts_ns)
            return
        limit = self._limit_ticks(request)
        plan = self._plan(request, limit, most)
        # How much an order is for is settled where it meets the book, as if it had come now.
        order.lots = (plan.lots or order.lots) if most is None else most
        refusal = self._unmatched(order, plan, limit) or self._unpaid(order, plan)
        if refusal is None:
            self._match(order, plan, limit, ts_ns)
        else:
            self._booking.end(order, OrderState.EXPIRED, refusal, ts_ns)

    def _trades(self, request: NewOrder) -> bool:
        status = self._house.status(request.listing)
        return status is TradingStatus.TRADING or (status is TradingStatus.SETTLING and request.reduce_only)

    def _unpaid(self, order: LiveOrder, plan: Plan) -> Refusal | None:
        # A limit order has reserved its cost since it was accepted; a market order reserves nothing.
        return refuse_cost(self._house, self._money, order, plan) if order.ticks is None else None

    def _part(self, order: LiveOrder, plan: Plan) -> int | None:
        if not plan.lots or order.request.lifetime is Lifetime.FOK:
            return None
        return self._house.faults.part(order.listing.instrument, order.lots)

    def _take_part(self, order: LiveOrder, lots: int, limit: int, ts_ns: int) -> None:
        plan = self._plan_rest(order, limit, lots)
        if self._end_own(order, plan.worst_ticks, ts_ns):
            plan = self._plan_rest(order, limit, lots)
        self._take(order, plan, ts_ns)
        if not order.state.is_final:
            self._booking.end(order, OrderState.EXPIRED, _STOPPED, ts_ns)

    def _comes_too_late(self, order: LiveOrder) -> bool:
        is_met = order.number not in self._late and self._house.status(order.request.listing) is TradingStatus.TRADING
        return is_met and self._house.faults.fills_on_cancel(order.listing.instrument)

    def _fill_rest(self, order: LiveOrder, ts_ns: int) -> None:
        """Fill what is left of a resting order at its own price; fills that are still to be heard of come by then."""
        left, events = self._withdraw(order, ts_ns)
        self._house.show(events)
        lots = min(left, self._reducible(order.request))
        assert order.ticks is not None, "only limit orders rest"
        if lots:
            self._booking.fill(order, order.ticks, lots, self._house.next_number(), is_maker=True, ts_ns=ts_ns)
        if lots < left and not order.state.is_final:
            self._booking.end(order, OrderState.CANCELLED, _NOTHING_TO_REDUCE, ts_ns)
        self.drop_reduce_only(order.request.listing, ts_ns)

    def _turn_away(self, order: LiveOrder, refusal: Refusal, ts_ns: int) -> LiveOrder | Refusal:
        rules, segment = self._house.rules, order.segment
        recorded = rules.records_post_only if refusal is Refusal.WOULD_TAKE else rules.records_fill_or_kill
        if segment not in recorded:
            return refusal
        self._orders.add(order)
        self._booking.end(order, OrderState.EXPIRED, refusal, ts_ns, refusal)
        return order

    def _unmatched(self, order: LiveOrder, plan: Plan, limit: int) -> Refusal | None:
        lifetime = order.request.lifetime
        if lifetime is Lifetime.POST_ONLY and (plan.lots or self._meets_own(order, limit)):
            return Refusal.WOULD_TAKE
        if lifetime is Lifetime.FOK and plan.lots < order.lots:
            return Refusal.NOT_FILLABLE
        return None

    def _new_order(self, request: NewOrder, lots: int, ts_ns: int) -> LiveOrder:
        ticks = self._limit_ticks(request) if request.kind is Kind.LIMIT else None
        listing = self._house.listings[request.listing]
        return LiveOrder(self._house.next_number(), request, listing, lots, ticks, ts_ns)

    @exact
    def _limit_ticks(self, request: NewOrder) -> int:
        if request.price is None:
            return admission.market_limit(self._house, request)
        return int(request.price // self._house.listings[request.listing].instrument.tick_size)

    @exact
    def _most_lots(self, request: NewOrder) -> int | None:
        if request.quantity is None:
            return None
        lots = int(request.quantity // self._house.listings[request.listing].instrument.lot_size)
        left = self._reducible(request)
        if request.reduce_only and request.kind is Kind.LIMIT and self._house.rules.open_orders_reduce_first:
            left -= sum(one.left for one in self._orders.open(request.listing) if one.request.side is request.side)
        return max(0, min(lots, left))

    def _reducible(self, request: NewOrder) -> int:
        """How many lots the order may trade: without limit unless it is reduce-only."""
        if not request.reduce_only:
            return 1 << 62
        if self._house.listings[request.listing].instrument.segment is Segment.SPOT:
            return 0
        return max(0, -request.side.sign * self._money.position_lots(request.listing))

    @exact
    def _budget(self, request: NewOrder) -> int | None:
        if request.quote_quantity is None:
            return None
        instrument = self._house.listings[request.listing].instrument
        return int(request.quote_quantity // (instrument.tick_size * instrument.lot_size))

    def _plan(self, request: NewOrder, limit: int, lots: int | None) -> Plan:
        own: defaultdict[int, int] = defaultdict(int)
        for one in self._opposing(request):
            own[one.ticks or 0] += one.left
        return plan_take(
            self._house.market,
            request.listing,
            buys=request.side.sign > 0,
            limit_ticks=limit,
            own=own,
            lots=lots,
            budget=self._budget(request),
        )

    def _plan_rest(self, order: LiveOrder, limit: int, lots: int | None = None) -> Plan:
        """The same for what is left of an order, or `lots`; of one that names what to spend, what its plan came to."""
        request = replace(order.request, quantity=Decimal(order.left), quote_quantity=None)
        return self._plan(request, limit, order.left if lots is None else lots)

    def _offers(self, request: NewOrder, limit: int) -> bool:
        side = self._house.market.levels(request.listing, 1)[1 if request.side.sign > 0 else 0]
        return bool(side) and request.side.sign * (limit - side[0][0]) >= 0

    def _opposing(self, request: NewOrder) -> list[LiveOrder]:
        opened = self._orders.open(request.listing)
        return [one for one in opened if one.request.side is not request.side and one.number not in self._late]

    def _meets_own(self, order: LiveOrder, reach: int) -> list[LiveOrder]:
        sign = order.request.side.sign
        opposing = self._opposing(order.request)
        return [one for one in opposing if one.ticks is not None and sign * (reach - one.ticks) >= 0]

    def _end_own(self, order: LiveOrder, reach: int | None, ts_ns: int) -> bool:
        """Whether there was one of the account's own orders in the way."""
        met = [] if reach is None else [one for one in self._meets_own(order, reach) if self._is_cancellable(one)]
        for one in met:
            self.cancel(one, SELF_TRADE, ts_ns, OrderState.EXPIRED)
        return bool(met)

    def _is_cancellable(self, order: LiveOrder) -> bool:
        return not order.state.is_final and order.lots_withdrawn is None

    def _rests(self, order: LiveOrder) -> bool:
        return order.ticks is not None and order.request.lifetime in (Lifetime.GTC, Lifetime.POST_ONLY)
