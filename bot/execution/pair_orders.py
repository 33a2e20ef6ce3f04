"""Which orders a pair needs: how much of a leg has to go, what a venue takes of it, and at which price."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.execution.context import ExecutionContext
from bot.execution.evening import decide
from bot.execution.grid import capped_price, is_one_order, meets_minimum, one_order, orders_for, part, plain, touch
from bot.execution.order_names import order_name
from bot.execution.pair import Pair, PairLeg, PairState, is_opening
from bot.pricing.sizing import size_grid


class PairOrders:
    """Makes the orders of pairs; sends none."""

    def __init__(self, pairs: Mapping[str, Pair], context: ExecutionContext) -> None:
        """Make orders for `pairs`, which may share positions."""
        self._pairs = pairs
        self._clock = context.clock
        self._settings = context.settings
        self._quotes = context.quotes
        self._taker_bps = context.taker_bps
        self._run_id = context.id_prefix
        self._count = 0

    # What can be traded

    def opening_limits(self, pair: Pair) -> list[Decimal]:
        """The worst price of what opens each of its legs."""
        return [self._capped(leg, leg.side, leg.expected_price) for leg in pair.legs]

    def too_small(self, pair: Pair, limits: Sequence[Decimal]) -> str | None:
        """What a venue would not take of the size that was decided on: `size binance:BTC/USDT`; None: they take it.

        Args:
            pair: Not begun yet.
            limits: Its `opening_limits`.
        """
        for leg, limit in zip(pair.legs, limits, strict=True):
            quantity = pair.opportunity.quantity / leg.instrument.contract_multiplier
            on_grid = quantity % leg.instrument.lot_size == 0
            price = min(leg.expected_price, limit)
            is_taken = on_grid and is_one_order(leg.instrument, quantity, limit)
            if not is_taken or not meets_minimum(leg.instrument, quantity, price, reduces=False):
                return f"size {leg.instrument.id}"
        return None

    def leg_ahead(self, pair: Pair) -> PairLeg | None:
        """The leg that holds more than the other hedges, if the venue takes an order for the difference."""
        leg = max(pair.legs, key=lambda leg: abs(leg.net))
        return leg if self._is_taken(pair, leg, ahead_by(pair, leg)) else None

    def is_held_up(self, pair: Pair) -> bool:
        """Whether a leg is ahead by what its venue takes of a position that shrinks, and others keep it from that."""
        leg = max(pair.legs, key=lambda leg: abs(leg.net))
        if pair.is_round_trip or not leg.instrument.is_perpetual or not ahead_by(pair, leg):
            return False
        return self.leg_ahead(pair) is None

    def must_go(self, pair: Pair, leg: PairLeg) -> bool:
        """Whether a closing pair still has something on this leg: any position, or spot above the venue's minimum."""
        if leg.instrument.is_perpetual:
            return to_go(pair, leg) > 0
        return self._is_taken(pair, leg, to_go(pair, leg))

    def is_stuck(self, pair: Pair, leg: PairLeg) -> bool:
        """Whether a closing pair holds a position here that its venue takes no order for, and nothing is on its way.

        It is less than the minimum, and what other pairs hold keeps it from shrinking the account's position; or less
        than a lot.
        """
        if pair.state is not PairState.CLOSING or pair.is_frozen or pair.pending:
            return False
        if not leg.instrument.is_perpetual or not leg.held or self._others_trade(pair, leg.instrument):
            return False
        return not self._is_taken(pair, leg, leg.closable())

    def can_complete(self, pair: Pair, behind: PairLeg) -> bool:
        """Whether the venue of the leg that is missing something takes an order for it."""
        quantity = ahead_by(pair, behind)
        quote = self._quotes(behind.instrument)
        expected = behind.expected_price if quote is None else touch(quote, behind.side)
        price = min(expected, self._capped(behind, behind.side, expected))
        return meets_minimum(behind.instrument, quantity, price, reduces=False)

    def _is_taken(self, pair: Pair, leg: PairLeg, quantity: Decimal) -> bool:
        """Whether the venue takes an order that reduces this leg by `quantity` (venue units); less is dust."""
        side = reducing_side(leg)
        quote = self._quotes(leg.instrument)
        expected = leg.expected_price if quote is None else touch(quote, side)
        price = min(expected, self._capped(leg, side, expected))
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
        if self._others_trade(pair, instrument):
            return False
        legs = (leg for other in self._pairs.values() for leg in other.legs)
        held = sum((leg.held for leg in legs if leg.instrument.id == instrument.id), Decimal(0))
        return -side.sign * held >= quantity * instrument.contract_multiplier

    def _others_trade(self, pair: Pair, instrument: Instrument) -> bool:
        """Whether another pair on this instrument has orders on their way."""
        others = (one for one in self._pairs.values() if one.pending and one is not pair)
        return any(leg.instrument.id == instrument.id for other in others for leg in other.legs)

    # Orders

    def opening(self, pair: Pair, leg: PairLeg, limit: Decimal) -> Order:
        """What was decided on, as an IOC order of this limit; no `too_small` pair's."""
        quantity = pair.opportunity.quantity / leg.instrument.contract_multiplier
        return self.make(pair, leg, leg.side, quantity, limit, leg.expected_price, f"open_{leg.side}", is_one=True)

    def completing(self, pair: Pair, ahead: PairLeg, behind: PairLeg) -> Order | None:
        """An IOC order for what is missing; None where it cannot be had for less than unwinding costs.

        Each try goes one more price cap beyond the quote, and all of them stay within so many of the decision.
        """
        cap_bps = self._settings.price_cap_bps
        at_behind = self._quotes(behind.instrument)
        evening = decide(
            ahead,
            behind,
            self._quotes(ahead.instrument),
            at_behind,
            net_edge_bps=pair.opportunity.net_edge_bps,
            taker_bps=self._taker_bps(ahead.instrument),
            step_bps=cap_bps * (pair.completions + 1),
            most_bps=cap_bps * (self._settings.complete_tries + 1),
        )
        if not evening.completes or at_behind is None or not self.can_complete(pair, behind):
            return None
        bound = behind.expected_price * (1 + behind.side.sign * evening.slippage_bps / 10_000)
        on_grid = behind.instrument.floor_price if behind.side is Side.BUY else behind.instrument.ceil_price
        expected = touch(at_behind, behind.side)
        price = max(on_grid(bound), behind.instrument.tick_size)
        return self.make(pair, behind, behind.side, ahead_by(pair, behind), price, expected, f"open_{behind.side}")

    def hedging(self, pair: Pair, behind: PairLeg) -> Order:
        """A market order for what is missing, where the leg ahead cannot be touched."""
        return self._at_market(pair, behind, behind.side, ahead_by(pair, behind), f"open_{behind.side}")

    def unwinding(self, pair: Pair, leg: PairLeg) -> Order:
        """A market order for what a leg is ahead: being uneven costs more than the spread."""
        side = reducing_side(leg)
        return self._at_market(pair, leg, side, ahead_by(pair, leg), f"hedge_{side}")

    def in_step(self, pair: Pair, wanted: list[tuple[PairLeg, Decimal]]) -> list[tuple[PairLeg, Decimal]]:
        """As much of both legs as each venue takes in one order near its quote: an even pair stays even."""
        count = max(self._orders_for(leg, quantity) for leg, quantity in wanted)
        if count == 1:
            return wanted
        least = min(quantity * leg.instrument.contract_multiplier for leg, quantity in wanted)
        base = part(least, count, size_grid(pair.buy.instrument, pair.sell.instrument).lot)
        return [(leg, base / leg.instrument.contract_multiplier or quantity) for leg, quantity in wanted]

    def _orders_for(self, leg: PairLeg, quantity: Decimal) -> int:
        side, quote = reducing_side(leg), self._quotes(leg.instrument)
        expected = leg.expected_price if quote is None else touch(quote, side)
        worst = self._capped(leg, side, expected, 1 + self._settings.complete_tries)
        return orders_for(leg.instrument, quantity, max(expected, worst), at_market=False)

    def closing(self, pair: Pair, leg: PairLeg, quantity: Decimal, *, at_any_price: bool) -> Order | None:
        """An IOC order near the quote, further off with each try in vain; None where it would not be taken now."""
        quote = self._quotes(leg.instrument)
        if not self._is_taken(pair, leg, quantity):
            return None
        side = reducing_side(leg)
        if at_any_price:
            return self._at_market(pair, leg, side, quantity, f"close_{side}")
        if quote is None:
            return None
        expected = touch(quote, side)
        price = self._capped(leg, side, expected, 1 + min(pair.fruitless_rounds, self._settings.complete_tries))
        return self.make(pair, leg, side, quantity, price, expected, f"close_{side}")

    def _at_market(self, pair: Pair, leg: PairLeg, side: Side, quantity: Decimal, leg_name: str) -> Order:
        quote = self._quotes(leg.instrument)
        expected = leg.expected_price if quote is None else touch(quote, side)
        return self.make(pair, leg, side, quantity, None, expected, leg_name)

    def make(
        self,
        pair: Pair,
        leg: PairLeg,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        expected: Decimal,
        leg_name: str,
        lifetime: TimeInForce = TimeInForce.IOC,
        *,
        is_one: bool = False,
    ) -> Order:
        """An order of a pair, entered there as an intent; `price` None is a market order.

        Of what a venue does not take in one order it is a part: what is left is found once the order has ended.
        `is_one`: that its venue takes it has been asked already.
        """
        opens = is_opening(leg_name)
        if not is_one:
            quantity = one_order(leg.instrument, quantity, price or expected, at_market=price is None)
        reduces = not opens and self._reduces_position(pair, leg.instrument, side, quantity)
        order = Order(
            client_order_id=self._next_id(pair),
            instrument=leg.instrument,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            time_in_force=lifetime,
            quantity=plain(quantity, leg.instrument.lot_size),
            price=None if price is None else plain(price, leg.instrument.tick_size),
            reduce_only=reduces,
            reduces_risk=not opens or bool(pair.fill_ids),
            ts_decision_ns=self._clock.now_ns(),
        )
        pair.orders[order.client_order_id] = (order, leg_name, expected)
        return order

    def _next_id(self, pair: Pair) -> str:
        while True:
            self._count += 1
            client_order_id = order_name(pair.id, self._run_id, self._count)
            if client_order_id not in pair.orders:
                return client_order_id

    def _capped(self, leg: PairLeg, side: Side, expected: Decimal, caps: int = 1) -> Decimal:
        return capped_price(leg.instrument, side, expected, self._settings.price_cap_bps * caps)


def reducing_side(leg: PairLeg) -> Side:
    """The side that makes a leg smaller."""
    return Side.SELL if leg.net > 0 else Side.BUY


def ahead_by(pair: Pair, leg: PairLeg) -> Decimal:
    """What one leg holds beyond the other, in the units of `leg`'s venue, in whole lots."""
    return leg.instrument.floor_quantity(abs(pair.imbalance) / leg.instrument.contract_multiplier)


def to_go(pair: Pair, leg: PairLeg) -> Decimal:
    """What closing trades away of a leg, in the units of its venue, in whole lots.

    All of it, but what hedges a position on the other leg that is less than a lot there: no order closes that.
    """
    other = pair.other(leg)
    stays = Decimal(0)
    if other.instrument.is_perpetual and other.net * leg.net < 0:
        stays = abs(other.net) - other.closable() * other.instrument.contract_multiplier
    if not stays:
        return leg.closable()
    return leg.instrument.floor_quantity(max(abs(leg.net) - stays, Decimal(0)) / leg.instrument.contract_multiplier)


def is_to_be_hedged(pair: Pair) -> bool:
    """Whether what one leg is ahead is a fault: a round trip is a bet on purpose, until it is to be closed."""
    return not pair.is_round_trip or pair.state is PairState.CLOSING


def less_than_a_lot(pair: Pair) -> str | None:
    """What is left of a derivative that no order closes, and hedges it, in words: its venue has made its lots larger.

    None: nothing. Of a pair that has nothing left to close. A rest of spot alone is dust, and waits for the next pair.
    """
    left = [leg for leg in pair.legs if leg.instrument.is_perpetual and leg.held and not leg.closable()]
    if not left:
        return None
    held = " and ".join(f"{leg.held:+f} {leg.instrument.base} on {leg.instrument.id}" for leg in pair.legs if leg.held)
    where = " and ".join(leg.instrument.id for leg in left)
    return f"pair {pair.id} ({pair.state}) holds {held}: less than a lot on {where}, and only a person can close it"
