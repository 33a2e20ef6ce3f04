"""The durable HALT: a file in the data directory, beside which nothing trades until a person has taken it away.

Whatever stands at its name counts, also what cannot be read: of a flag that is broken nobody knows that it was not
meant. Kept free of every library, since `--mode kill` must be as quick as Python itself.
"""

import json
import os
import pwd
import shlex
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.durable_text import sync_directory, write_durably

FLAG = "HALTED"
"""Its name in the data directory."""
_MOST_BYTES = 16_384
_MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class HaltFlag:
    """What the flag says."""

    since_ns: int | None
    """UTC ns; None where it cannot be read."""
    why: str
    by: str
    """User and process."""
    is_bots: bool = False
    """The bot halted itself: what is open may still be evened and closed. Anything else counts as a person's word."""

    def words(self) -> str:
        """One line for a person."""
        since = "" if self.since_ns is None else f" since {_moment(self.since_ns)}"
        by = f" by {self.by}" if self.by else ""
        return f"HALTED{since}{by}: {self.why}"


def raise_flag(data_dir: Path, why: str, by: str, now_ns: int, *, is_bots: bool = False) -> None:
    """Set the flag, durably; one that can be read already is left as it is: the first reason is the one to look at.

    A person's word takes the place of the bot's own, and names it; the bot's takes nobody's place. On a disk that takes
    no content an empty file is left, which counts as a person's.

    Raises:
        OSError: If it is not durable, and may not even be there.
    """
    standing = read_flag(data_dir)
    if standing is not None and (is_bots or (standing.since_ns is not None and not standing.is_bots)):
        sync_directory(data_dir)
        return
    if standing is not None and standing.is_bots:
        why = f"{why}; the bot had halted itself before: {standing.why}"
    body = {"halted_ns": now_ns, "halted": _moment(now_ns), "why": why, "by": by, "is_bots": is_bots}
    try:
        write_durably(data_dir / FLAG, json.dumps(body, indent=1) + "\n", takes_place=not is_bots)
    except OSError:
        # A full disk often has room for a name: seen by the engine, though nothing is promised of it.
        os.close(os.open(data_dir / FLAG, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
        raise


def read_flag(data_dir: Path) -> HaltFlag | None:
    """The flag; None where there surely is none."""
    path = data_dir / FLAG
    try:
        with open(path, "rb", opener=_at_once) as file:
            text = file.read(_MOST_BYTES)
    except FileNotFoundError:
        # A link to nowhere is not found either, and somebody has put it there.
        return HaltFlag(None, f"{path} leads nowhere", "") if path.is_symlink() else None
    except OSError as error:
        return HaltFlag(None, f"{path} cannot be read: {error.strerror}", "")
    try:
        body = json.loads(text)
        since_ns, why, by = int(body["halted_ns"]), _shown(body["why"]), _shown(body["by"])
        return HaltFlag(since_ns, why, by, body.get("is_bots") is True)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return HaltFlag(None, f"{path} is there, and says nothing that is understood", "")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe of that name is waited for by whoever reads it, for good


def lower_flag(data_dir: Path) -> None:
    """Take the flag away, durably.

    Raises:
        OSError: If it stays.
    """
    (data_dir / FLAG).unlink(missing_ok=True)
    sync_directory(data_dir)


def way_out(data_dir: Path) -> str:
    """What a person types once they have looked."""
    return f"python main.py --mode resume --halt --data-dir {shlex.quote(str(data_dir))}"


def who_asks() -> str:
    """This user and process, as the flag and the journal name them."""
    name = ""
    with suppress(KeyError):  # a container's user need not have a name
        name = f" ({pwd.getpwuid(os.getuid()).pw_name})"
    return f"uid {os.getuid()}{name}, process {os.getpid()}"


def _moment(ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{ns} ns"


def _shown(text: object) -> str:
    """What somebody wrote, fit for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(text)[:_MOST_SHOWN])
