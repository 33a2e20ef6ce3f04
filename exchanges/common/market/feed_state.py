"""One state for a feed that comes over several connections: the worst of theirs."""

from collections.abc import Callable
from functools import partial

from bot.domain.instrument import Feed
from bot.ports import FeedState

_WORST_FIRST = (
    FeedState.FAILED,
    FeedState.RECONNECTING,
    FeedState.CONNECTING,
    FeedState.SILENT,
    FeedState.LIVE,
    FeedState.CLOSED,
)
GONE = frozenset({FeedState.RECONNECTING, FeedState.FAILED, FeedState.CLOSED})
"""Nothing more comes from the link that there was: what was known from it is not followed any more."""


class FeedStates:
    """Collects what the connections of one feed say and reports the worst state with the newest words."""

    def __init__(self, feed: Feed, report: Callable[[FeedState, str], None]) -> None:
        """`report` names the feed and the state itself: its words name neither again."""
        self._feed = feed
        self._report = report
        self._states: dict[str, FeedState] = {}

    @property
    def worst(self) -> FeedState:
        """The state of the feed as a whole."""
        known = self._states.values()
        return next((state for state in _WORST_FIRST if state in known), FeedState.CLOSED)

    def of(self, name: str) -> Callable[[FeedState, str], None]:
        """What the connection called `name` tells its states to."""
        return partial(self._tell, name)

    def note(self, words: str) -> None:
        """Tell a person something; the state stays as it is."""
        self._report(self.worst, words)

    def _tell(self, name: str, state: FeedState, detail: str) -> None:
        self._states[name] = state
        connection = name.removeprefix(f"{self._feed} ")
        own = "" if state is self.worst else f" {state}"
        self._report(self.worst, f"{connection}{own}: {detail}")
