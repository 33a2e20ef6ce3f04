"""What a person has paused, beside the data: a restart does not undo it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bot.durable_text import write_durably
from bot.errors import StorageError
from bot.text import clip, inert

FILE = "PAUSED.json"
"""Its name in the data directory; absent: nothing is paused."""
_MOST = 500


@dataclass(frozen=True, slots=True)
class Pause:
    """One of them."""

    since_ns: int
    """UTC ns; 0 where it is not known."""
    by: str
    is_leaving: bool = False
    """What is open was to be closed, too."""


def _now(write: Callable[[], None]) -> None:
    write()


class Pauses:
    """Everything, single routes, or both; each is taken back by itself."""

    def __init__(self, data_dir: Path | None, keep: Callable[[Callable[[], None]], None] = _now) -> None:
        """Read what earlier runs left. A file that is not understood pauses everything: nobody knows what it meant.

        Without a directory nothing is read or kept. `keep` does a write that raises StorageError if the disk does not
        take it.
        """
        self._keep = keep
        self._path = None if data_dir is None else data_dir / FILE
        self.everything: Pause | None = None
        self.routes: dict[str, Pause] = {}
        """By route id; some may be of no route of this run."""
        self.trouble = ""
        """Why the file was not understood; empty: it was."""
        try:
            if self._path is not None:
                self._read(self._path)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            self.trouble = f"{self._path} is not understood ({type(error).__name__}): everything is paused"
            self.everything, self.routes = Pause(0, "a file that is not understood"), {}

    def set(self, route: str | None, pause: Pause) -> None:
        """Pause a route, or everything (None); it holds for this run whatever the disk says."""
        if route is None:
            self.everything = pause
        else:
            self.routes[route] = pause
        self._write()

    def lift(self, route: str | None) -> None:
        """Take back the pause of a route, or that of everything (None), which leaves those of single routes."""
        if route is None:
            self.everything = None
        else:
            self.routes.pop(route, None)
        self._write()

    def _read(self, path: Path) -> None:
        body = json.loads(path.read_text("utf-8"))
        told = body["everything"]
        self.everything = None if told is None else _pause(told)
        self.routes = {str(route): _pause(row) for route, row in body["routes"].items()}

    def _write(self) -> None:
        if self._path is None:
            return
        body = {
            "everything": None if self.everything is None else _row(self.everything),
            "routes": {route: _row(pause) for route, pause in self.routes.items()},
        }
        self._keep(partial(_put, self._path, json.dumps(body, indent=1) + "\n"))


def _put(path: Path, text: str) -> None:
    try:
        write_durably(path, text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}: a restart will not know") from error


def _pause(row: dict[str, Any]) -> Pause:
    return Pause(int(row["since_ns"]), clip(inert(str(row["by"])), _MOST), bool(row["is_leaving"]))


def _row(pause: Pause) -> dict[str, Any]:
    return {"since_ns": pause.since_ns, "by": pause.by, "is_leaving": pause.is_leaving}
