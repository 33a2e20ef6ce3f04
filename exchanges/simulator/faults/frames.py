"""Faults of the frames that a venue sends: put on its connections when one begins, gone when none can strike."""

from collections.abc import Callable

from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_codec import TEXT, encoded
from exchanges.simulator.faults.frame_dialect import Dialect, Label
from exchanges.simulator.faults.frame_tamper import FrameTamper, Pipe
from exchanges.simulator.faults.values import Fault

_NORMAL = 1000
_GOING_AWAY = 1001
_MB = 1_000_000
_LARGEST_MB = 64.0
"""Of one frame, whatever the order says: it is kept for every reader that has not read it."""

_Act = Callable[[Pipe, Label, Fault], None]


class FrameFaults:
    """All connections of one venue. While no fault is active a frame costs its connection one look at `tamper`.

    Faults of whole connections strike those that are open when they begin, and new ones while they last; `match` is
    compared with the label's channel.
    """

    def __init__(self, desk: FaultDesk, dialect: Dialect) -> None:
        self._desk = desk
        self._dialect = dialect
        self._tampers: dict[Pipe, FrameTamper] = {}
        self._acts: dict[FaultKind, _Act] = {
            FaultKind.CUT: self._cut,
            FaultKind.DAY_CUT: self._end,
            FaultKind.OVERSIZED: self._flood,
            FaultKind.MAINTENANCE: self._shut,
        }
        desk.on_change(self._settle)
        for kind in self._acts:
            desk.on(kind, self._on_begin)

    def opened(self, pipe: Pipe, label: Label) -> None:
        """A connection is open, and nothing has been sent on it yet."""
        tamper = self._tampers[pipe] = FrameTamper(self._desk, self._dialect, pipe, label)
        tamper.settle()
        for kind in self._acts:
            self._strike(kind, pipe, label)

    def closed(self, pipe: Pipe) -> None:
        """It is gone."""
        self._tampers.pop(pipe, None)

    def _settle(self) -> None:
        for tamper in self._tampers.values():
            tamper.settle()

    def _on_begin(self, fault: Fault) -> None:
        for pipe, tamper in list(self._tampers.items()):
            self._strike(fault.fault, pipe, tamper.label)

    def _strike(self, kind: FaultKind, pipe: Pipe, label: Label) -> None:
        fault = self._desk.strike(kind, self._dialect.venue, label.segment, label.channel)
        if fault is not None:
            self._acts[kind](pipe, label, fault)

    def _cut(self, pipe: Pipe, _: Label, __: Fault) -> None:
        pipe.cut()

    def _end(self, pipe: Pipe, label: Label, _: Fault) -> None:
        farewell = self._dialect.farewell(label)
        if farewell is not None:
            pipe.force(encoded(TEXT, farewell.encode()))
        pipe.close(_NORMAL, "24 hours")

    def _shut(self, pipe: Pipe, _: Label, __: Fault) -> None:
        pipe.close(_GOING_AWAY, "Going away")

    def _flood(self, pipe: Pipe, _: Label, fault: Fault) -> None:
        size = round(min(fault.size, _LARGEST_MB) * _MB)
        pipe.force(encoded(TEXT, self._dialect.oversized(size).encode()))
