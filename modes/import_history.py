"""`--mode import`: days that the exchanges themselves have kept, into the archive of the live market."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.command_values import choose
from bot.domain.instrument import Feed, Instrument
from bot.errors import ExitCode, SettingsError
from bot.headless import Headless
from bot.settings import Settings
from bot.storage.archive.store import ArchiveStore
from bot.storage.imports.importer import SPOOL_NAME, import_history
from bot.storage.imports.ledger import ImportLedger
from bot.storage.imports.ports import ImportProgress, ImportReport
from bot.storage.instants import utc_text
from exchanges.common.history.files import DAY_NS, HistoryFile, VenueHistory
from modes.history_venues import histories, known_instruments
from modes.memory import LIVE, memory_dir, open_archive
from modes.progress import Progress


def run_import(arguments: Arguments, settings: Settings) -> int:
    """Import; returns the exit code, which says whether everything that was asked for is there.

    Raises:
        SettingsError: If the wish is not one, before anything is written.
        RecordingError: If a file is not what it should be; nothing of it is kept.
        StorageError: If the archive is in use, or disk or archive fail.
        VenueError: If a venue is away.
    """
    if arguments.market not in (None, LIVE):
        raise SettingsError(f"history is of the live market, and --market {arguments.market} is another; leave it out")
    settings = settings.model_copy(update={"market": LIVE})
    clock = SystemClock()
    headless = Headless(as_json=arguments.json)
    wish = _Wish(arguments, settings, lambda words: headless.log("warning", words))
    progress = Progress(headless, clock)
    scratch = settings.import_history.downloads_dir or settings.data_dir / "downloads"
    try:
        with open_archive(settings) as store, ImportLedger.open(memory_dir(settings)) as ledger:
            files = wish.files(store)
            # Left by an import that was killed; it is made anew from the download.
            (scratch / SPOOL_NAME).unlink(missing_ok=True)
            report = import_history(store, ledger, files, scratch, clock, lambda at: progress.tell(_words(at)))
    finally:
        headless.close()
    _tell(report, headless, as_json=arguments.json)
    return ExitCode.SETTINGS if report.missing else ExitCode.OK


class _Wish:
    """What is asked for, checked before the archive is opened."""

    def __init__(self, arguments: Arguments, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._paths = arguments.file
        venues = histories(settings, tell)
        self._feed = _feed(arguments.source, venues)
        self._history = venues[self._feed.venue]
        self._symbols = [_symbol(text, self._feed) for text in arguments.instrument]
        if not self._symbols:
            raise SettingsError("--mode import needs --instrument, for example --instrument BTC/USDT:USDT")
        self._kinds = _kinds(arguments, self._history, self._feed)
        self._days = None if self._paths else _days(arguments)

    def files(self, store: ArchiveStore) -> list[HistoryFile]:
        """Of every instrument and kind, oldest first.

        Raises:
            SettingsError: If a file's name is none of the venue's, or a symbol does not trade there.
            VenueError: If the venue has to be asked for an instrument, and is away.
        """
        instruments = known_instruments(self._feed, self._symbols, store, self._settings)
        if self._days is None:
            return [_local(self._history, path, instruments) for path in self._paths]
        first, last = self._days
        return [
            file
            for instrument in instruments
            for kind in self._kinds
            for file in self._history.files(instrument, kind, first, last)
        ]


def _feed(source: str | None, venues: dict[str, VenueHistory]) -> Feed:
    known = [feed for venue in sorted(venues) for feed in venues[venue].feeds()]
    names = [str(feed) for feed in known]
    if source is None:
        raise SettingsError(f"--mode import needs --source, one of {', '.join(names)}")
    try:
        return known[names.index(choose(source, names))]
    except ValueError as error:
        raise SettingsError(f"--source: {error}") from None


def _symbol(text: str, feed: Feed) -> str:
    """The unified symbol, which may have its venue before it."""
    symbol = text.removeprefix(f"{feed.venue}:")
    base, slash, _ = symbol.partition("/")
    if not slash or ":" in base:
        raise SettingsError(
            f"--instrument: write the unified symbol, as BTC/USDT (spot) or BTC/USDT:USDT (perpetual); {feed.venue}: "
            "may stand before it"
        )
    return symbol


def _kinds(arguments: Arguments, history: VenueHistory, feed: Feed) -> Sequence[str]:
    known = list(history.kinds(feed))
    if arguments.file:
        if arguments.kind or arguments.since is not None or arguments.until is not None:
            raise SettingsError("--file tells kind and day by its name; leave --kind, --since and --until out")
        return ()
    if not arguments.kind:
        raise SettingsError(f"--mode import needs --kind; {feed} has {', '.join(known)}")
    try:
        return [choose(kind, known) for kind in dict.fromkeys(arguments.kind)]
    except ValueError as error:
        raise SettingsError(f"--kind, of {feed}: {error}") from None


def _days(arguments: Arguments) -> tuple[date, date]:
    """The first and the last day that have a moment of the span."""
    now_ns = SystemClock().now_ns()
    since_ns, until_ns = arguments.since_ns(now_ns), arguments.until_ns(now_ns)
    if since_ns is None:
        raise SettingsError("--mode import needs --since, the first day (and --until, the day behind the last one)")
    until_ns = now_ns // DAY_NS * DAY_NS if until_ns is None else until_ns
    if until_ns <= since_ns:
        raise SettingsError(
            f"--since {utc_text(since_ns)} --until {utc_text(until_ns)} has no day: the day of --until is not taken"
        )
    if until_ns > now_ns:
        raise SettingsError(f"--until {utc_text(until_ns)} is not over yet: history is of days that are")
    return _date(since_ns), _date(until_ns - 1)


def _date(ts_ns: int) -> date:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).date()


def _local(history: VenueHistory, path: Path, instruments: Sequence[Instrument]) -> HistoryFile:
    """The file as one of the instrument that its name tells."""
    refused: SettingsError | None = None
    for instrument in instruments:
        try:
            return history.local(path, instrument)
        except SettingsError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _words(at: ImportProgress) -> str:
    what = {
        "download": f"downloading, {at.file_bytes / 1e6:,.1f} MB",
        "read": f"reading, {at.file_rows:,} rows",
        "write": f"writing, {at.rows:,} rows at {at.rows_per_s:,.0f}/s",
    }
    return f"{at.files_done} of {at.files} files; {at.source}: {what[at.step]}"


def _tell(report: ImportReport, headless: Headless, *, as_json: bool) -> None:
    for one in report.skipped:
        headless.log("warning", f"{one.source} was left out: {one.reason}")
    for one in report.missing:
        headless.log("error", f"{one.source} is missing: {one.reason}")
    for source in report.unfinished:
        headless.log("warning", f"{source} is in the archive in part: import it again to have it whole")
    if as_json:
        print(json.dumps(_facts(report)))
        return
    size = sum(one.size_bytes for one in report.segments)
    print(
        f"{len(report.imported)} files imported: {report.rows:,} rows, {size:,} bytes in the archive"
        + (f"; {len(report.already)} were there already" if report.already else "")
        + (f"; {len(report.skipped)} left out" if report.skipped else "")
        + (f"; {len(report.missing)} MISSING" if report.missing else "")
    )


def _facts(report: ImportReport) -> dict[str, Any]:
    return {
        "complete": not report.missing,
        "imported": report.imported,
        "rows": report.rows,
        "segments": len(report.segments),
        "size_bytes": sum(one.size_bytes for one in report.segments),
        "already": report.already,
        "skipped": [asdict(one) for one in report.skipped],
        "missing": [asdict(one) for one in report.missing],
        "unfinished": report.unfinished,
    }
