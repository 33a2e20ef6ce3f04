"""`--mode query`: what the market was and what was done, at a moment or in a span, as a table, JSON lines or CSV."""

from collections.abc import Iterator
from itertools import islice

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.command_options import MOMENTS, RECORDS
from bot.errors import ExitCode, SettingsError
from bot.settings import Settings
from bot.storage.instants import utc_text
from modes.query_answers import Row, records_of, spans_of
from modes.query_moments import book_at, quote_at
from modes.query_print import Printer, book_table
from modes.query_source import KeptSource, opened_source

_TABLE_ROWS = 100
_TABLE_LEVELS = 20
_FILTERED = ("decisions", "orders", "fills")
"""Records that are of instruments."""


def run_query(arguments: Arguments, settings: Settings) -> int:
    """Answer; returns the exit code.

    Raises:
        SettingsError: If the question is none, or nothing was kept then of what is asked for: what is, is told.
        StorageError: If archive, journal or database cannot be read.
    """
    _refuse_contradictions(arguments)
    form = "json" if arguments.json else arguments.format or "table"
    now_ns = SystemClock().now_ns()
    with opened_source(arguments.source, settings) as source:
        if arguments.what == "book":
            _books(source, arguments, now_ns, form)
        else:
            _rows(_asked(source, arguments, now_ns), form, arguments.limit)
    return ExitCode.OK


def _refuse_contradictions(arguments: Arguments) -> None:
    what = arguments.what
    if what is None:
        raise SettingsError("--mode query needs --what, for example --what quote (see --help)")
    is_moment, is_record = what in MOMENTS, what in RECORDS
    if arguments.json and arguments.format not in (None, "json"):
        raise SettingsError(f"--json and --format {arguments.format} are two formats; leave one of them out")
    if is_moment and (arguments.since is not None or arguments.until is not None):
        raise SettingsError(f"--what {what} is asked of a moment: write --at, or ask for {_plural(what)}")
    if not is_moment and arguments.at is not None:
        raise SettingsError(f"--what {what} is asked of a span: write --since and --until instead of --at")
    if not is_record and arguments.run is not None:
        raise SettingsError(f"--run chooses records of the journal, and --what {what} is of the market")
    if is_record and arguments.instrument and what not in _FILTERED:
        raise SettingsError(f"--what {what} is of no instrument; leave --instrument out")
    if not is_record and not is_moment and arguments.since is None:
        raise SettingsError(f"--what {what} needs --since WHEN (and --until WHEN; default: now)")


def _plural(what: str) -> str:
    return "minute-books" if what == "book" else "quotes"


def _asked(source: KeptSource, arguments: Arguments, now_ns: int) -> Iterator[Row]:
    since_ns, until_ns = arguments.since_ns(now_ns), arguments.until_ns(now_ns)
    assert arguments.what is not None
    if arguments.what in RECORDS:
        return records_of(source, arguments.what, arguments.run, arguments.instrument, since_ns, until_ns)
    if arguments.what == "quote":
        at_ns = arguments.at_ns(now_ns)
        at_ns = now_ns if at_ns is None else at_ns
        return (quote_at(source, name, at_ns) for name in source.names(arguments.instrument, "quote"))
    until_ns = now_ns if until_ns is None else until_ns
    assert since_ns is not None
    if since_ns >= until_ns:
        raise SettingsError(f"--since {utc_text(since_ns)} does not lie before --until {utc_text(until_ns)}")
    names = source.names(arguments.instrument, arguments.what)
    return spans_of(source, arguments.what, names, since_ns, until_ns)


def _rows(rows: Iterator[Row], form: str, limit: int | None) -> None:
    """Show as many as are wanted, and say when there are more."""
    wanted = _TABLE_ROWS if limit is None and form == "table" else limit or None
    with Printer(form) as printer:
        shown = 0
        for row in islice(rows, wanted):
            printer.show(row)
            shown += 1
        if not shown:
            printer.note("no rows")
        if wanted is not None and next(rows, None) is not None:
            printer.note(f"the first {wanted:,} rows; there are more: --limit 0 shows all")


def _books(source: KeptSource, arguments: Arguments, now_ns: int, form: str) -> None:
    at_ns = arguments.at_ns(now_ns)
    at_ns = now_ns if at_ns is None else at_ns
    with Printer(form) as printer:
        for name in source.names(arguments.instrument, "book"):
            book = book_at(source, name, at_ns)
            if form == "table":
                printer.lines(book_table(book, _TABLE_LEVELS if arguments.limit is None else arguments.limit or None))
            elif form == "json":
                printer.show(book.facts(arguments.limit or None))
            else:
                for row in book.levels(arguments.limit or None):
                    printer.show(row)
