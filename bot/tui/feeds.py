"""Panel 3: whether every feed delivers."""

from collections.abc import Sequence

from bot.domain.snapshot import FeedRow
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import bps, count, milliseconds

_STATES = {
    "live": Cell("● live", "good"),
    "connecting": Cell("○ connecting", "accent"),
    "silent": Cell("▲ silent", "warn"),
    "reconnecting": Cell("▲ reconnecting", "warn"),
    "failed": Cell("■ failed", "bad"),
    "closed": Cell("○ closed", "dim"),
}


class Feeds(LiveTable):
    """State, traffic and trouble of each feed."""

    NAME = "3 Feeds"
    EMPTY = "no feed yet"
    COLUMNS = (
        Column("Feed"),
        Column("State"),
        Column("Quotes", right=True, rank=3),
        Column("Quotes/s", right=True),
        Column("Refused", right=True),
        Column("Bad", right=True),
        Column("Reconn.", right=True, rank=2),
        Column("Age ms", right=True),
        Column("Clock ms", right=True, rank=1),
    )

    def show_feeds(self, feeds: Sequence[FeedRow]) -> None:
        """One row a feed, in the engine's order."""
        self.show([_row(feed) for feed in feeds])


def _row(feed: FeedRow) -> Row:
    return (
        Cell(feed.feed, "strong"),
        _STATES.get(feed.state, Cell(feed.state)),
        Cell(count(feed.quotes)),
        Cell(count(feed.quotes_per_s)),
        _trouble(feed.refused),
        _trouble(feed.malformed),
        _trouble(feed.reconnects),
        Cell(milliseconds(feed.last_frame_age_ms)),
        Cell(bps(feed.clock_offset_ms)),
    )


def _trouble(value: int) -> Cell:
    return Cell(count(value), "warn" if value else "dim")
