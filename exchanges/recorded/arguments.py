"""`--recording FEED=PATH` as the command line gives it."""

from collections.abc import Sequence
from pathlib import Path

from bot.domain.instrument import Feed
from bot.errors import SettingsError


def parse_recording_argument(text: str, known: Sequence[Feed] = ()) -> tuple[Feed, Path]:
    """The feed and the file of one `FEED=PATH`; `known` are the feeds that can be decoded (none: any).

    Raises:
        SettingsError: If it is not of that form, or names a feed that is not known.
    """
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise SettingsError(f"--recording {text!r}: write FEED=PATH, for example binance.spot=recording.gz")
    try:
        feed = Feed.parse(name.strip())
    except ValueError:
        raise SettingsError(unknown_feed(name, known)) from None
    if known and feed not in known:
        raise SettingsError(unknown_feed(name, known))
    # The shell leaves a `~` after `FEED=` as it is.
    return feed, Path(path).expanduser()


def unknown_feed(name: str, known: Sequence[Feed]) -> str:
    """One line for a feed that nothing decodes, with those that can be named."""
    choice = ", ".join(sorted(str(feed) for feed in known)) or "VENUE.SEGMENT, for example binance.spot"
    return f"--recording names the unknown feed {name!r}; known: {choice}"
