"""The budget of being uneven, in time: an alarm, then acting at any price, then HALTED.

An episode begins with the fill that makes one leg of a pair larger than the other by more than dust, and ends with the
one that makes them even. An order whose outcome nobody knows may have made a pair uneven: it counts as if it had, from
when it was sent.
"""

from dataclasses import dataclass
from decimal import Decimal

from bot.domain.order import Fill, OrderStatus, Side
from bot.execution.budget import BudgetClock
from bot.execution.episode import Stage
from bot.execution.pair import Pair, PairLeg, PairState

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Unhedged:
    """A pair that is uneven now, or may be for all that is known."""

    pair_id: str
    route_id: str
    seconds: float
    quantity: Decimal
    """Absolute base units that are, or may be, unhedged."""
    notional: Decimal
    """Quote units, at the opening price of the leg ahead."""
    stage: Stage


class UnhedgedWatch(BudgetClock[Pair]):
    """Begins and ends the episodes of pairs, and says when a deadline of one has come."""

    def look(self, pair: Pair, leg_ahead: PairLeg | None) -> None:
        """Bring a pair's episode up to date.

        Args:
            pair: After a fill, or news of an order.
            leg_ahead: What holds more than the other leg hedges; None while that is dust, or not meant to be hedged.
        """
        if leg_ahead is None and not pair.has_unknown:
            self.end(pair)
            return
        leg = leg_ahead or max(pair.legs, key=lambda leg: abs(leg.net))
        quantity = possible(pair)
        self.note(pair, quantity, quantity * leg.expected_price, is_known=leg_ahead is not None)

    def count(self, pair: Pair, leg_name: str, fill: Fill) -> None:
        """Count a fill of an order that was to make the pair even; `leg_name` says what it was for.

        A trade that was not planned (`hedge_sell`) costs its fee too.
        """
        episode = pair.uneven
        if episode is None:
            return
        planned = _planned(pair, pair.leg_of(fill.instrument), completes=leg_name.startswith("open"))
        base = fill.quantity * fill.instrument.contract_multiplier
        fee = self._fee(episode, fill) if leg_name.startswith("hedge") else _NOTHING
        episode.loss += fill.side.sign * (fill.price - planned) * base + fee
        episode.traded += base * fill.price

    def unhedged(self, pair: Pair) -> Unhedged | None:
        """What of a pair stands unhedged now; None while it is even."""
        episode = pair.uneven
        if episode is None:
            return None
        seconds = episode.seconds(self._clock.monotonic_ns())
        leg = max(pair.legs, key=lambda leg: abs(leg.net))
        quantity = possible(pair)
        return Unhedged(
            pair.id, pair.opportunity.route.id, seconds, quantity, quantity * leg.expected_price, episode.stage
        )

    def words(self, pair: Pair) -> str:
        """An uneven pair for a person: by how much, since when, and which orders have no answer."""
        found = self.unhedged(pair)
        assert found is not None, "a deadline comes while it is uneven"
        base, quote = pair.buy.instrument.base, pair.buy.instrument.quote
        unknown = [order.client_order_id for order in pair.waiting() if order.status is OrderStatus.UNKNOWN]
        words = f"; the outcome of {', '.join(unknown)} is unknown" if unknown else ""
        amount = f"{pair.imbalance:f} {base} (may be {found.quantity:f} {base}, {found.notional:.2f} {quote})"
        return f"pair {pair.id} is uneven by {amount} for {found.seconds:.1f} s{words}"


def must_act(pair: Pair) -> bool:
    """Whether its budget is so far used up that any price is better than waiting; a bet never has to."""
    return pair.uneven is not None and pair.uneven.stage >= Stage.ACTING and not pair.is_round_trip


def _planned(pair: Pair, leg: PairLeg, *, completes: bool) -> Decimal:
    """The price that a leg was to be traded at, or had been opened at: its quote units per base unit."""
    if completes:
        return leg.expected_price
    if pair.state is PairState.CLOSING and pair.exit_expected is not None:
        return pair.exit_expected[0 if leg.side is Side.SELL else 1]
    return leg.average_open_price or leg.expected_price


def possible(pair: Pair) -> Decimal:
    """The most of a pair that may stand unhedged, absolute base units: its orders without a known end count both ways.

    Of orders that are on their way the answer decides; until they are given up they count as not filled.
    """
    low = high = pair.imbalance
    for order in pair.waiting():
        if order.status is OrderStatus.UNKNOWN:
            base = order.side.sign * pair.left_of(order) * order.instrument.contract_multiplier
            low, high = min(low, low + base), max(high, high + base)
    return max(abs(low), abs(high))
