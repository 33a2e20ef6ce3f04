"""How a feed is doing: what came, what was refused, how the connection is."""

from bot.domain.instrument import Feed
from bot.ports import FeedState


class FeedHealth:
    """Counters of one feed; the engine's tick turns them into rates."""

    __slots__ = (
        "_quotes_before",
        "_tick_before_ns",
        "detail",
        "feed",
        "last_frame_ns",
        "malformed",
        "quotes",
        "quotes_per_s",
        "reconnects",
        "state",
    )

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.state = FeedState.CONNECTING
        self.detail = ""
        self.quotes = 0
        self.malformed = 0
        self.reconnects = 0
        self.last_frame_ns: int | None = None
        self.quotes_per_s = 0.0
        self._quotes_before = 0
        self._tick_before_ns: int | None = None

    def enter(self, state: FeedState, detail: str) -> None:
        """The connection changed."""
        if state is FeedState.RECONNECTING and self.state is not FeedState.RECONNECTING:
            self.reconnects += 1
        self.state = state
        self.detail = detail

    def tick(self, now_ns: int, quotes: int) -> None:
        """Take the feed's quote count now; the rate is over the time since the last tick."""
        if self._tick_before_ns is not None and now_ns > self._tick_before_ns:
            self.quotes_per_s = (quotes - self._quotes_before) / ((now_ns - self._tick_before_ns) / 1e9)
        self.quotes = quotes
        self._quotes_before = quotes
        self._tick_before_ns = now_ns
