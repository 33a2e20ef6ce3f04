"""A run without the terminal UI: a line per decision and a summary, or one JSON object.

Data goes to stdout, words to stderr. With `--json` stdout holds the one object and nothing else.

Output is written from inside the engine, where an error would look like a bug of ours: a stdout that takes no more
(`| head`, a full disk) stops the run in order instead, and `finish` raises why. Words that nobody reads are dropped.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bot.clock import SystemClock
from bot.domain.money import money_words
from bot.domain.route import Decision, Outcome
from bot.engine.engine import Engine
from bot.engine.run import RunResult
from bot.engine.run_words import summary_lines
from bot.engine.snapshot import limit_in_words
from bot.ports import Market
from bot.text import inert

_PROGRESS_AFTER_NS = 2_000_000_000
_PROGRESS_EVERY_NS = 1_000_000_000


class Headless:
    """Writes what a run says."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._engine: Engine | None = None
        self._market: Market | None = None
        self._clock = SystemClock()
        self._next_progress_ns = self._clock.monotonic_ns() + _PROGRESS_AFTER_NS
        self._shows_progress = sys.stderr.isatty()
        self._line_open = False
        self._stop: Callable[[], None] | None = None
        self._lost: OSError | None = None

    def watch(self, engine: Engine, market: Market, stop: Callable[[], None]) -> None:
        """The run whose progress and summary are shown; `stop` ends it when stdout is lost."""
        self._engine = engine
        self._market = market
        self._stop = stop

    def log(self, level: str, text: str) -> None:
        """One line for a person, on stderr."""
        self._end_progress()
        prefix = "" if level == "info" else f"{level}: "
        with suppress(OSError):
            # In one piece: the simulated exchanges have the same stderr, and Python may not buffer it.
            print(f"{prefix}{inert(text)}\n", end="", file=sys.stderr, flush=level != "info")

    def on_scan(self, path: Path, fraction: float) -> None:
        """Looking through a recording takes long."""
        self.progress(f"looking through {path.name} {fraction:4.0%}")

    def on_decision(self, decision: Decision) -> None:
        """One decision, on stdout; with `--json` only the progress moves."""
        if not self._as_json:
            self._end_progress()
            self._show(decision_line(decision))
        fraction = self._market.progress() if self._market is not None else None
        if fraction is not None and self._clock.monotonic_ns() >= self._next_progress_ns:
            self.progress(f"playing {fraction:4.0%}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._end_progress()

    def finish(self, result: RunResult) -> None:
        """The summary.

        Raises:
            OSError: If stdout could not be written, now or earlier.
        """
        if self._as_json:
            self._show(json.dumps(result.summary, allow_nan=False))
        else:
            assert self._engine is not None
            self._show("\n".join(summary_lines(result.summary, self._engine)))
        if self._lost is not None:
            raise self._lost

    def _show(self, text: str) -> None:
        if self._lost is None:
            try:
                print(text, flush=True)
            except OSError as error:
                self._lost = error
                if self._stop is not None:
                    self._stop()

    def progress(self, text: str) -> None:
        """What takes long: one line that changes, where stderr is a terminal."""
        if self._shows_progress:
            self._next_progress_ns = self._clock.monotonic_ns() + _PROGRESS_EVERY_NS
            self._line_open = True
            with suppress(OSError):
                print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    def _end_progress(self) -> None:
        if self._line_open:
            self._line_open = False
            with suppress(OSError):
                print(file=sys.stderr)


def opening_line(market: str, for_s: float | None, *, real_money: bool = False) -> str:
    """For a market without an end: which it is, whose money it trades, and when the run ends."""
    until = "until Ctrl-C" if for_s is None else f"for {for_s:g} s, or until Ctrl-C"
    return f"{market.upper()} market, {money_words(market, real_money)}: runs {until}, then sums up"


def decision_line(decision: Decision) -> str:
    """One decision for a person."""
    moment = datetime.fromtimestamp(decision.ts_ns / 1e9, UTC)
    words = [f"{moment:%H:%M:%S.%f}"[:-3], f"{decision.outcome:<7}", decision.route]
    if decision.outcome is Outcome.REFUSED and decision.observed is not None and decision.allowed is not None:
        words.append(limit_in_words(decision.reason, decision.observed, decision.allowed, decision.unit))
    else:
        words.append(decision.reason.replace("_", " "))
    if decision.quantity:
        words.append(f"quantity {decision.quantity:f}")
    if decision.gross_bps is not None and decision.needed_bps is not None:
        words.append(f"offers {decision.gross_bps:.2f} bps, needs {decision.needed_bps:.2f}")
    return "  ".join(words)
