"""The deadlines of an episode of being unhedged: an alarm, then acting at any price, then HALTED."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus
from bot.execution.episode import Episode, Stage
from bot.execution.in_quote import fee_in_quote
from bot.settings import ExecutionSettings

_KEPT = 50
"""Episodes of one pair: a post-only order that is filled in small parts makes many."""


class Exposed(Protocol):
    """What can stand unhedged: a pair, or a chain."""

    uneven: Episode | None
    episodes: list[Episode]
    sent_ns: dict[str, int]

    def waiting(self) -> Iterator[Order]:
        """Its orders without a final state."""


_Of = TypeVar("_Of", bound=Exposed)


class BudgetClock(Generic[_Of]):
    """Begins and ends the episodes of what it watches, and says when a deadline of one has come."""

    def __init__(
        self,
        clock: Clock,
        settings: ExecutionSettings,
        on_stage: Callable[[_Of, Stage], None],
        taker_bps: Callable[[Instrument], float],
    ) -> None:
        """Watch; `on_stage` hears of each deadline that comes, once an episode; `taker_bps` is what taking costs."""
        self._clock = clock
        self._taker_bps = taker_bps
        self._on_stage = on_stage
        self._deadlines_s = (
            (Stage.ALARMED, settings.unhedged_alarm_s),
            (Stage.ACTING, settings.unhedged_act_s),
            (Stage.HALTED, settings.unhedged_halt_s),
        )

    def begin(self, one: _Of, *, is_known: bool) -> Episode:
        """An episode begins: now, or, where that it is unhedged is not known, when the first unknown order was sent."""
        now_ns = self._clock.monotonic_ns()
        since_ns = now_ns
        if not is_known:
            unknown = (order for order in one.waiting() if order.status is OrderStatus.UNKNOWN)
            since_ns = min((one.sent_ns.get(order.client_order_id, now_ns) for order in unknown), default=now_ns)
        episode = one.uneven = Episode(since_ns, self._clock.now_ns() - (now_ns - since_ns))
        self._wait_for_next(one, episode)
        return episode

    def note(self, one: _Of, quantity: Decimal, notional: Decimal, *, is_known: bool) -> None:
        """It is unhedged, or may be, by so much: the episode that lasts, or a new one, keeps the most."""
        episode = one.uneven or self.begin(one, is_known=is_known)
        episode.quantity = max(episode.quantity, quantity)
        episode.notional = max(episode.notional, notional)

    def end(self, one: _Of) -> None:
        """It is even, or over."""
        episode, one.uneven = one.uneven, None
        if episode is None:
            return
        episode.until_ns = self._clock.monotonic_ns()
        if episode.timer is not None:
            episode.timer.cancel()
            episode.timer = None
        # Two legs that are filled at the same moment are told of one after the other: that is no episode.
        if (episode.until_ns > episode.since_ns or episode.traded) and len(one.episodes) < _KEPT:
            one.episodes.append(episode)

    def stop(self, one: _Of) -> None:
        """The run ends: no deadline comes any more, and the episode stays as it is."""
        if one.uneven is not None and one.uneven.timer is not None:
            one.uneven.timer.cancel()

    def _fee(self, episode: Episode, fill: Fill) -> Decimal:
        """The fee of a fill in quote units; one in an asset that nothing tells the worth of is kept apart."""
        worth = fee_in_quote(fill, self._taker_bps(fill.instrument))
        if worth is None:
            episode.keep_apart(fill.fee_asset, fill.fee)
        return worth or Decimal(0)

    def _wait_for_next(self, one: _Of, episode: Episode) -> None:
        due = next(((stage, s) for stage, s in self._deadlines_s if stage > episode.stage), None)
        if due is None:
            return
        stage, deadline_s = due
        left_s = deadline_s - episode.seconds(self._clock.monotonic_ns())
        episode.timer = self._clock.call_later(max(0.0, left_s), lambda: self._reached(one, episode, stage))

    def _reached(self, one: _Of, episode: Episode, stage: Stage) -> None:
        if one.uneven is not episode:
            return
        episode.stage = stage
        self._wait_for_next(one, episode)
        self._on_stage(one, stage)
