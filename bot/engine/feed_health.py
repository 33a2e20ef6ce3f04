"""How a feed is doing: what came, what was refused, how the connection is."""

from collections import deque
from collections.abc import Sequence

from bot.domain.instrument import Feed
from bot.ports import FeedState

_MINUTE_NS = 60_000_000_000
_MINUTE_TICKS = 60


class FeedHealth:
    """Counters of one feed; the engine's tick turns them into rates. Implements `bot.risk.limits.FeedCondition`."""

    __slots__ = (
        "_marks",
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
        self._marks: deque[tuple[int, int, int]] = deque()
        """At each tick of the last minute: time, reconnects and malformed frames so far."""

    def enter(self, state: FeedState, detail: str) -> None:
        """The connection changed."""
        if state is FeedState.RECONNECTING and self.state is not FeedState.RECONNECTING:
            self.reconnects += 1
        self.state = state
        self.detail = detail

    @property
    def recent_reconnects(self) -> int:
        """In the last minute, to the second."""
        return self.reconnects - (self._marks[0][1] if self._marks else 0)

    @property
    def recent_malformed(self) -> int:
        """Frames of the last minute, to the second, that did not decode."""
        return self.malformed - (self._marks[0][2] if self._marks else 0)

    def tick(self, now_ns: int, quotes: int) -> None:
        """Take the feed's quote count now; the rate is over the time since the last tick."""
        if self._tick_before_ns is not None and now_ns > self._tick_before_ns:
            self.quotes_per_s = (quotes - self._quotes_before) / ((now_ns - self._tick_before_ns) / 1e9)
        self.quotes = quotes
        self._quotes_before = quotes
        self._tick_before_ns = now_ns
        self._mark(now_ns)

    def skip(self, ticks_ns: Sequence[int], quotes: int) -> None:
        """Ticks through which the connection stayed as it is; `quotes` had come by the last of them.

        What is told of the quotes is that of the next tick.
        """
        self._quotes_before = quotes
        self._tick_before_ns = ticks_ns[-1]
        if len(ticks_ns) > _MINUTE_TICKS and ticks_ns[-1] - ticks_ns[-1 - _MINUTE_TICKS] == _MINUTE_NS:
            newest = ticks_ns[-1 - _MINUTE_TICKS :]
            self._marks = deque((now_ns, self.reconnects, self.malformed) for now_ns in newest)
            return
        for now_ns in ticks_ns:
            self._mark(now_ns)

    def _mark(self, now_ns: int) -> None:
        if not self._marks:
            self._marks.append((now_ns, 0, 0))
        self._marks.append((now_ns, self.reconnects, self.malformed))
        # One mark at least a minute old stays: the counts of the last minute are what came since.
        while len(self._marks) > 1 and self._marks[1][0] <= now_ns - _MINUTE_NS:
            self._marks.popleft()
