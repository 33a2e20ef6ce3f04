"""What connections do to a run: no quote while one is away, gaps where something may be missed, alarms for pairs.

A frame that does not decode is counted, and named as long as there are few of them.
"""

from collections.abc import Callable, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Feed
from bot.engine.feed_health import FeedHealth
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.ports import FeedState
from bot.settings import Settings

NAMED_MALFORMED = 20
"""Malformed frames of a feed that are named one by one."""
_AWAY = (FeedState.SILENT, FeedState.RECONNECTING, FeedState.FAILED)
_LOST = (FeedState.RECONNECTING, FeedState.FAILED)
"""Something may be missed from then on."""
_LEVELS = {FeedState.LIVE: "info", FeedState.CONNECTING: "info", FeedState.CLOSED: "info", FeedState.FAILED: "error"}


class FeedDesk:
    """Follows the feeds of one engine."""

    def __init__(
        self,
        feeds: Mapping[Feed, FeedHealth],
        slots: Sequence[InstrumentSlot],
        routes: Sequence[RouteState],
        clock: Clock,
        settings: Settings,
        *,
        forget: Callable[[InstrumentSlot, str, int], None],
        event: Callable[[str, str], None],
    ) -> None:
        """Build it.

        Args:
            feeds: Of the run.
            slots: Of its instruments.
            routes: Whose pairs nobody can price without their feeds.
            clock: The engine's.
            settings: After how long a silence a connection is dead, and quotes are stale.
            forget: Takes the quote of an instrument away: why, and when (UTC ns).
            event: Takes a level and a line for a person.
        """
        self._feeds = feeds
        self._slots = {feed: [slot for slot in slots if slot.feed == feed] for feed in feeds}
        self._routes = routes
        self._clock = clock
        self._forget = forget
        self._event = event
        self._silent_ns = settings.connection.stale_after_s * 1e9
        # What came last may have been long ago in a quiet market, but a dead connection is noticed by then.
        self._noticed_ns = round(2 * settings.connection.silence_timeout_s * 1e9)
        self._begun_ns = 0

    def start(self) -> None:
        """The run begins: nothing is missed from before."""
        self._begun_ns = self._clock.now_ns()

    def malformed(self, feed: Feed, reason: str) -> None:
        """Count a frame that does not decode, and say so."""
        health = self._feeds[feed]
        health.malformed += 1
        count = health.malformed
        if count <= NAMED_MALFORMED:
            self._event("warning", f"{feed}: malformed frame skipped: {reason}")
        elif count & (count - 1) == 0:  # then only each time their number has doubled
            self._event("warning", f"{feed}: {count} malformed frames skipped so far, the last: {reason}")

    def entered(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection is in a new state; without one, the feed's instruments have no quote."""
        was_away = self._feeds[feed].state in _AWAY
        self._feeds[feed].enter(state, detail)
        now_ns = self._clock.now_ns()
        if state not in (FeedState.LIVE, FeedState.CONNECTING, FeedState.CLOSED):
            for s in self._slots[feed]:
                s.sequence = -1
                self._forget(s, f"feed_{state.value}", now_ns)
        if state in _LOST:
            for s in self._slots[feed]:
                s.begin_gaps(max(self._begun_ns, now_ns - self._noticed_ns), f"{state.value}: {detail}")
        elif state is FeedState.LIVE:
            for s in self._slots[feed]:
                s.end_gaps(now_ns)
        self._event(_LEVELS.get(state, "warning"), f"{feed}: {state.value}{': ' + detail if detail else ''}")
        if state in _AWAY and not was_away:
            self._alarm(feed)

    def _alarm(self, feed: Feed) -> None:
        """A pair that nobody can price is one that nobody can close: a person should know which."""
        for state in self._routes:
            if state.pair is not None and feed in (state.buy.feed, state.sell.feed):
                self._event("error", f"ALARM: pair {state.pair.id} is open, and {feed} tells no price")
            chain = state.chain
            if chain is None or (chain.underway is not None and not chain.pending):
                continue  # what travels between venues needs no price until it arrives
            if any(feed == slot.feed for slot in state.slots):
                self._event("error", f"ALARM: chain {chain.id} is on its way, and {feed} tells no price")

    def tick(self, now_ns: int) -> None:
        """Once a second: how many quotes came, and which feeds tell nothing."""
        for feed, health in self._feeds.items():
            slots = self._slots[feed]
            health.tick(now_ns, sum(s.received for s in slots))
            # A recording that ends before the others, or has a gap, tells nobody: its last quotes are not for sale.
            heard_ns = max(health.last_frame_ns or 0, *(s.recv_ns for s in slots))
            if now_ns - heard_ns > self._silent_ns:
                for s in slots:
                    if s.quote is not None:
                        self._forget(s, f"feed_{FeedState.SILENT}", now_ns)
