"""Options of the modes that keep and search what was recorded: import, export, backup, restore, query."""

import argparse
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from bot.command_values import choose, not_blank, parse_since
from bot.storage.instants import parse_instant

CHANNELS = (
    "quotes", "trades", "funding", "depth", "gaps", "views", "minute_books", "minute_trades", "klines", "shadow",
)  # fmt: skip
MOMENTS = ("quote", "book")
"""What `--what` may be that is asked of a moment, `--at`."""
SPANS = ("quotes", "trades", "funding", "gaps", "views", "minute-trades", "minute-books", "klines")
"""What is asked of a span, `--since` to before `--until`."""
RECORDS = ("runs", "decisions", "orders", "fills", "balances", "events")
"""What is asked of the journal."""
WHATS = MOMENTS + SPANS + RECORDS
FORMATS = ("table", "json", "csv")
Sort = Literal["edge", "carry", "funding"]
SORTS: tuple[str, ...] = get_args(Sort)

BELONGS_TO: dict[str, tuple[str, ...]] = {
    "run": ("post-mortem", "query", "backtest"),
    "since": ("post-mortem", "export", "query", "import", "backtest"),
    "until": ("export", "query", "import", "backtest"),
    "channel": ("export",),
    "instrument": ("export", "query", "import", "backtest", "scan"),
    "to": ("export", "backup"),
    "source": ("import", "query"),
    "kind": ("import",),
    "file": ("import",),
    "what": ("query",),
    "at": ("query",),
    "limit": ("query", "scan"),
    "format": ("query", "scan"),
    "sort": ("scan",),
    "tier": ("scan",),
    "place": ("restore",),
    "backup_id": ("restore", "backup"),
    "list_backups": ("backup",),
    "verify": ("backup",),
}


def parse_moment(text: str) -> timedelta | int:
    """How long ago (`24h`), or UTC ns of a time as `bot.storage.instants.parse_instant` reads it, to the nanosecond.

    Raises:
        ValueError: If it is neither.
    """
    try:
        return parse_instant(text)
    except ValueError:
        ago = parse_since(text)
    if isinstance(ago, timedelta):
        return ago
    raise ValueError("must lie in the years 1970 to 2262")


def parse_limit(text: str) -> int:
    """A number of rows; 0 means all.

    Raises:
        ValueError: If it is none.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise ValueError("must be a number of rows; 0 shows all")
    return int(text)


def parse_kinds(text: str) -> tuple[str, ...]:
    """The names in `aggTrades,bookTicker`.

    Raises:
        ValueError: If one of them is empty.
    """
    return tuple(not_blank(name).strip() for name in text.split(","))


def told(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`read`, whose ValueError argparse shows instead of the value that caused it."""

    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


def one_of(choices: Sequence[str]) -> Callable[[str], Any]:
    """Reads one of them, and knows the nearest."""
    return told(lambda text: choose(text, choices))


def path(text: str) -> Path:
    """A path that is not empty."""
    return Path(not_blank(text))


def add_questions(group: Any) -> None:
    """What is asked, and of when."""
    group.add_argument("--what", metavar="KIND", type=one_of(WHATS), help="to be shown by a query: " + ", ".join(WHATS))
    group.add_argument(
        "--at", metavar="WHEN", type=told(parse_moment), help="of quote and book: a UTC time, or a time ago"
    )
    group.add_argument(
        "--since", metavar="WHEN", type=told(parse_moment), help="from 24h ago, or from a UTC time, to the nanosecond"
    )
    group.add_argument(
        "--until", metavar="WHEN", type=told(parse_moment), help="to before a UTC time, or a time ago (default: now)"
    )
    group.add_argument("--run", metavar="ID", type=told(not_blank), help="of a post-mortem, or of a query's records")
    group.add_argument("--limit", metavar="ROWS", type=told(parse_limit), help="of a query or scan; 0 shows all")
    group.add_argument(
        "--format", metavar="NAME", type=one_of(FORMATS), help="of a query or scan: table, json (lines) or csv"
    )


def add_scan(group: Any) -> None:
    """How a scan is ranked."""
    group.add_argument("--sort", metavar="NAME", type=one_of(SORTS), help="of a scan: edge, carry or funding")
    group.add_argument(
        "--tier", metavar="NAME", type=told(not_blank), help="of a scan: fees at this tier, as vip3 (default: mine)"
    )


def add_memory(group: Any) -> None:
    """What is imported, exported, backed up and restored."""
    group.add_argument(
        "--channel", metavar="NAME", type=one_of(CHANNELS), help="to be exported: " + ", ".join(CHANNELS)
    )
    group.add_argument(
        "--instrument",
        metavar="ID",
        action="append",
        default=[],
        type=told(not_blank),
        help="as binance:BTC/USDT:USDT (repeatable; of a scan also a coin: BTC)",
    )
    group.add_argument(
        "--source",
        metavar="NAME",
        type=told(not_blank),
        help="of an import the feed, as binance.linear; of a query archive or mongo (default: archive)",
    )
    group.add_argument(
        "--kind",
        metavar="NAME,...",
        action="extend",
        default=[],
        type=told(parse_kinds),
        help="files to import, by the venue's name: aggTrades,bookTicker (repeatable)",
    )
    group.add_argument(
        "--file",
        metavar="PATH",
        action="extend",
        nargs="+",
        default=[],
        type=told(path),
        help="files to import that are here already, under the venue's names",
    )
    group.add_argument(
        "--to",
        metavar="PATH",
        type=told(not_blank),
        help="of an export: .feather, .parquet or .csv; of a backup: directory or URL (default: backup.url)",
    )
    group.add_argument(
        "--from",
        dest="place",
        metavar="URL",
        type=told(not_blank),
        help="where the backups are that are restored from (default: backup.url)",
    )
    group.add_argument(
        "--backup-id", metavar="ID", type=told(not_blank), help="which backup (default: the newest); see --list"
    )
    group.add_argument("--list", dest="list_backups", action="store_true", help="show the backups that are there")
    group.add_argument("--verify", action="store_true", help="read a backup to its last byte, and change nothing")
