"""The minute jobs: out of the archive into the archive, once a minute or whenever; the outbox ships what they write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.domain.instrument import Instrument
from bot.storage.archive.ports import SegmentStore
from bot.storage.archive_queries import ArchiveRows
from bot.storage.book_replay import DepthRules
from bot.storage.minutes import coverage
from bot.storage.minutes.book_job import BookMinutes
from bot.storage.minutes.books import LEVELS
from bot.storage.minutes.trade_job import TradeMinutes
from bot.storage.stored_queries import StoredMarket

GRACE_NS = 2_000_000_000
SLACK_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class MinutesWritten:
    """What a run of the jobs has written."""

    trade_rows: int
    """Minutes that had no row in minute_trades."""
    corrections: int
    """Rows of minute_trades that late trades changed."""
    book_rows: int


class MinuteJobs:
    """Run it from one thread, the archive's only writer of minute rows.

    A minute of trades gets its row when the feed has been recorded beyond its end by `grace_ns`; trades that come later
    correct it. It begins with the first minute that the archive has all of, and every minute after it gets a row, zeros
    included; only a minute that lies in a gap from start to end has none, and time in which nobody recorded the feed.
    The minutes that a gap touches are told by `MarketQueries.minute_rows` (`whole`), from the gaps themselves, so that
    a gap noticed later counts as well.
    """

    def __init__(
        self,
        store: SegmentStore,
        instruments: Sequence[Instrument],
        books: Sequence[Instrument] = (),
        *,
        depth_rules: Mapping[str, DepthRules] | None = None,
        levels: int = LEVELS,
        grace_ns: int = GRACE_NS,
        slack_ns: int = SLACK_NS,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            store: The archive.
            instruments: Of minute_trades.
            books: Of minute_books.
            depth_rules: By venue, as its live books are built.
            levels: A side, of minute_books.
            grace_ns: How long trades may be on their way before their minute is summed up without them.
            slack_ns: By how much the venue's clock and ours may differ.
        """
        market = StoredMarket(ArchiveRows(store), depth_rules)
        self._trades = [
            TradeMinutes(store, feed, by_id, grace_ns=grace_ns, slack_ns=slack_ns)
            for feed, by_id in coverage.by_feed(instruments).items()
        ]
        self._books = [
            BookMinutes(store, market, feed, by_id, levels=levels) for feed, by_id in coverage.by_feed(books).items()
        ]

    def run(self, until_ns: int, since_ns: int | None = None) -> MinutesWritten:
        """Write the rows of every minute that is over, and nothing twice.

        Args:
            until_ns: Everything received before this is in the archive, UTC ns.
            since_ns: Look at every minute from here again, because older rows came into the archive (an import). None:
                go on where the last row was written, in this process or one before it.

        Raises:
            StorageError: If the archive cannot be read or written; what was not written follows with the next run.
        """
        trades = [job.run(until_ns, since_ns) for job in self._trades]
        books = sum(job.run(until_ns, since_ns) for job in self._books)
        return MinutesWritten(sum(added for added, _ in trades), sum(again for _, again in trades), books)
