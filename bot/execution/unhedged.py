"""The budget of being uneven, in time: an alarm, then acting at any price, then HALTED.

An episode begins with the fill that makes one leg of a pair larger than the other by more than dust, and ends with the
one that makes them even. An order whose outcome nobody knows may have made a pair uneven: it counts as if it had, from
when it was sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from bot.clock import Clock
from bot.domain.order import Fill, OrderStatus
from bot.execution.episode import Episode, Stage
from bot.execution.pair import Pair, PairLeg
from bot.settings import ExecutionSettings

_NOTHING = Decimal(0)
_KEPT = 50
"""Episodes of one pair: a post-only order that is filled in small parts makes many."""


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


class UnhedgedWatch:
    """Begins and ends the episodes of pairs, and says when a deadline of one has come."""

    def __init__(self, clock: Clock, settings: ExecutionSettings, on_stage: Callable[[Pair, Stage], None]) -> None:
        """Watch; `on_stage` hears of each deadline that comes, once an episode."""
        self._clock = clock
        self._on_stage = on_stage
        self._deadlines_s = (
            (Stage.ALARMED, settings.unhedged_alarm_s),
            (Stage.ACTING, settings.unhedged_act_s),
            (Stage.HALTED, settings.unhedged_halt_s),
        )

    def look(self, pair: Pair, leg_ahead: PairLeg | None) -> None:
        """Bring a pair's episode up to date.

        Args:
            pair: After a fill, or news of an order.
            leg_ahead: What holds more than the other leg hedges; None while that is dust, or not meant to be hedged.
        """
        if leg_ahead is None and not pair.has_unknown:
            self.end(pair)
            return
        episode = pair.uneven
        if episode is None:
            episode = pair.uneven = self._begin(pair, leg_ahead)
        leg = leg_ahead or max(pair.legs, key=lambda leg: abs(leg.net))
        quantity = possible(pair)
        episode.quantity = max(episode.quantity, quantity)
        episode.notional = max(episode.notional, quantity * leg.expected_price)

    def end(self, pair: Pair) -> None:
        """It is even, or over."""
        episode, pair.uneven = pair.uneven, None
        if episode is None:
            return
        episode.until_ns = self._clock.monotonic_ns()
        if episode.timer is not None:
            episode.timer.cancel()
            episode.timer = None
        # Two legs that are filled at the same moment are told of one after the other: that is no episode.
        if (episode.until_ns > episode.since_ns or episode.traded) and len(pair.episodes) < _KEPT:
            pair.episodes.append(episode)

    def count(self, pair: Pair, fill: Fill, planned: Decimal, *, is_extra: bool) -> None:
        """Count a fill of an order that was to make the pair even.

        Args:
            pair: Whose.
            fill: Of it.
            planned: The price that this leg was to be traded at, or had been opened at: its quote units per base.
            is_extra: The trade was not planned: its fee is a loss too.
        """
        episode = pair.uneven
        if episode is None:
            return
        base = fill.quantity * fill.instrument.contract_multiplier
        fee = fill.fee * (fill.price if fill.fee_asset == fill.instrument.base else 1) if is_extra else _NOTHING
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

    def _begin(self, pair: Pair, leg_ahead: PairLeg | None) -> Episode:
        now_ns = self._clock.monotonic_ns()
        since_ns = now_ns
        if leg_ahead is None:
            unknown = (order for order in pair.waiting() if order.status is OrderStatus.UNKNOWN)
            since_ns = min((pair.sent_ns.get(order.client_order_id, now_ns) for order in unknown), default=now_ns)
        episode = Episode(since_ns, self._clock.now_ns() - (now_ns - since_ns))
        self._wait_for_next(pair, episode)
        return episode

    def _wait_for_next(self, pair: Pair, episode: Episode) -> None:
        due = next(((stage, s) for stage, s in self._deadlines_s if stage > episode.stage), None)
        if due is None:
            return
        stage, deadline_s = due
        left_s = deadline_s - episode.seconds(self._clock.monotonic_ns())
        episode.timer = self._clock.call_later(max(0.0, left_s), lambda: self._reached(pair, episode, stage))

    def _reached(self, pair: Pair, episode: Episode, stage: Stage) -> None:
        if pair.uneven is not episode:
            return
        episode.stage = stage
        self._wait_for_next(pair, episode)
        self._on_stage(pair, stage)


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
