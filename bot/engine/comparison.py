"""What the same length of another day would have earned, so that a lively market is not taken for a real one.

The other day is computed by a process of low priority, which tells what it has so far. It may take its time: nothing
waits for it, and it ends with the run. What it found is kept in a file, for the next run with the same settings.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_MINUTE_S = 60


class Point(BaseModel):
    """The other day from `at_s` on, until the next point."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: float
    """Seconds after its start."""
    taken: int
    """Pairs so far."""
    pnl: dict[str, Decimal]
    """Realised so far, by asset, net of fees and funding."""
    best_gross_bps: float | None
    """Best edge offered so far, on any route."""
    needed_bps: float | None
    """What that route needed to break even."""


class OtherDay(BaseModel):
    """As much of it as is known."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    played_s: float = 0.0
    points: list[Point] = Field(default_factory=list)

    def extend(self, more: "OtherDay") -> None:
        """Take a further piece in."""
        self.played_s = more.played_s
        self.points += more.points

    def at(self, at_s: float) -> Point | None:
        """How it stood then; None before its first point."""
        return next((point for point in reversed(self.points) if point.at_s <= at_s), None)


class Comparison:
    """Computes the other day beside a run.

    Args:
        scenario: Its name, for people.
        command: The program that computes it: prints an `OtherDay` a line, each a further piece.
        wanted_s: How much of it is computed at most.
        kept: Where the whole of it is kept, and looked for.
    """

    def __init__(self, scenario: str, command: Sequence[str], wanted_s: float, kept: Path) -> None:
        self.scenario = scenario
        self._command = command
        self._wanted_s = wanted_s
        self._kept = kept
        self._day = OtherDay()
        self._failure: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def start(self) -> None:
        """Look whether it is known already, else begin to compute it; returns at once."""
        with suppress(OSError, ValidationError):  # absent, or not ours: computed again
            day = OtherDay.model_validate_json(self._kept.read_bytes())
            if day.played_s >= self._wanted_s:
                self._day = day
                return
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is the bot's to handle
            )
        except OSError as error:
            self._failure = f"{error.strerror or error}"
            return
        self._reading = asyncio.create_task(self._read(self._process))

    async def stop(self) -> None:
        """End the process, finished or not. Idempotent."""
        self._is_stopped = True
        if self._reading is not None:
            self._reading.cancel()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self._day.extend(OtherDay.model_validate_json(line))
        except (ValueError, ValidationError) as error:
            self._failure = f"not understood: {str(error).splitlines()[0]}"
            return
        code = await process.wait()
        if code:
            self._failure = f"exit code {code}"
        else:
            self._keep()

    def _keep(self) -> None:
        fresh = self._kept.with_suffix(".new")
        with suppress(OSError):  # a full disk costs the next run its computing, and nothing else
            fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(self._day.model_dump_json())
            fresh.replace(self._kept)

    def told(self, run_s: float) -> dict[str, Any]:
        """Plain data about the same time of the other day, after `run_s` seconds of ours.

        `state` is `known`, `computing` (`seconds` may be less than ours then), `failed`, or `stopped` where the run
        ended first; `seconds` is 0, and the figures None, while nothing is known. `line` says it in a sentence.
        """
        seconds = min(run_s, self._day.played_s)
        point = self._day.at(seconds)
        is_known = point is not None and seconds >= min(run_s, self._wanted_s)
        state = "known" if is_known else self._state()
        told = {
            "scenario": self.scenario,
            "state": state,
            "seconds": 0.0 if point is None else round(seconds, 3),
            "taken": None if point is None else point.taken,
            "pnl": None if point is None else {asset: f"{amount:f}" for asset, amount in point.pnl.items()},
            "best_gross_bps": None if point is None else point.best_gross_bps,
            "needed_bps": None if point is None else point.needed_bps,
        }
        return told | {"line": _sentence(told)}

    def _state(self) -> str:
        """Of a day that is not known as far as it is asked for."""
        if self._failure is not None:
            return "failed"
        return "stopped" if self._is_stopped else "computing"


def short_line(told: Mapping[str, Any]) -> str:
    """One line for a screen of 80 columns."""
    scenario = told["scenario"]
    if told["taken"] is None:
        return _unknown(told)
    edge = "" if told["best_gross_bps"] is None else f"; best edge {_edge(told)}"
    return f"Same {_length(told['seconds'])} in {scenario}: {told['taken']} taken, {_money(told)}{edge}"


def _sentence(told: Mapping[str, Any]) -> str:
    if told["taken"] is None:
        return _unknown(told)
    edge = "" if told["best_gross_bps"] is None else f", best edge {_edge(told)}"
    pairs = "1 pair" if told["taken"] == 1 else f"{told['taken']} pairs"
    moral = "; in reality hardly anything is profitable after these fees" if not told["taken"] else ""
    return f"the same {_length(told['seconds'])} in {told['scenario']}: {pairs} taken, {_money(told)}{edge}{moral}"


def _unknown(told: Mapping[str, Any]) -> str:
    if told["state"] == "failed":
        return f"What the same day earns in {told['scenario']} could not be computed"
    if told["state"] == "stopped":
        return f"What the same day earns in {told['scenario']} was not computed before this run ended"
    return f"What the same day earns in {told['scenario']} is being computed"


def _edge(told: Mapping[str, Any]) -> str:
    needed = "" if told["needed_bps"] is None else f" of {told['needed_bps']:.1f}"
    return f"{told['best_gross_bps']:.1f}{needed} bps"


def _length(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds // _MINUTE_S:.0f} min"


def _money(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{Decimal(amount):+.2f} {asset}" for asset, amount in told["pnl"].items()) or "nothing"
