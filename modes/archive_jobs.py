"""Jobs that keep the archive: minute rows, merging, retention."""

from collections.abc import Callable, Sequence

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.jobs import Job
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.book_replay import DepthRules
from bot.storage.minutes.jobs import MinuteJobs

_DAY_NS = 86_400_000_000_000
DEPTH_RULES = {
    "binance": DepthRules(1000),
    "bybit": DepthRules(50, is_window=True),
    "kraken": DepthRules(10, is_window=True),
}
"""By venue, how deep its readers keep their books: levels behind that are not known."""


def chosen(instruments: Sequence[Instrument], ids: Sequence[str]) -> list[Instrument]:
    """Those that a setting lists by their ids; all of them where it says ALL."""
    return [one for one in instruments if one.id in ids or "ALL" in ids]


def archive_jobs(
    settings: Settings,
    store: ArchiveStore,
    instruments: Sequence[Instrument],
    books: Sequence[Instrument],
    clock: Clock,
    durable_ns: Callable[[], int],
) -> list[Job]:
    """What is done in turn to keep the archive; jobs without a schedule are left out.

    `durable_ns` tells, on any thread, up to when the archive has all that was received.
    """
    traded = chosen(instruments, settings.archive.minute_trades)
    booked = chosen(books, settings.archive.minute_books)
    minutes = MinuteJobs(store, traded, booked, depth_rules=DEPTH_RULES)

    def write_minutes() -> str:
        done = minutes.run(durable_ns())
        return f"{done.trade_rows} minutes of trades, {done.corrections} corrected, {done.book_rows} of books"

    def merge() -> str:
        return f"{len(store.merge(clock.now_ns()))} segments made of smaller ones"

    def retain() -> str:
        days = settings.archive.keep_days
        ages = {Channel(channel): round(kept * _DAY_NS) for channel, kept in days.items()}
        gone = store.retain(clock.now_ns(), ages, settings.archive.max_bytes)
        return f"{len(gone)} segments removed, {sum(one.size_bytes for one in gone)} bytes"

    times = settings.jobs
    listed: list[tuple[str, str | None, Callable[[], str]]] = [
        ("minutes", times.minutes, write_minutes),
        ("merge", times.merge, merge),
        ("retention", times.retention, retain),
    ]
    return [Job(name, schedule, run) for name, schedule, run in listed if schedule is not None]
