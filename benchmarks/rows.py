"""What a benchmark says: one row a figure, with its target, its peer and how far the machine scattered it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict

Samples = Sequence[float]
"""One figure a round."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach: `value` in its own unit, `ratio` in multiples of the peer's figure."""

    of: Literal["value", "ratio"]
    at_most: bool
    limit: float
    unit: str

    def __str__(self) -> str:
        """`<= 4 us`, `>= 1.0x`."""
        return f"{'<=' if self.at_most else '>='} {self.limit:,g}{'x' if self.of == 'ratio' else ' ' + self.unit}"

    def is_met(self, figure: float) -> bool:
        """Whether the figure reaches it."""
        return figure <= self.limit if self.at_most else figure >= self.limit


class Spread(BaseModel):
    """The least and the largest figure of the rounds: what the machine makes of one and the same work."""

    model_config = ConfigDict(frozen=True)

    rounds: int
    value_min: float
    value_max: float
    peer_min: float | None = None
    peer_max: float | None = None
    ratio_min: float | None = None
    ratio_max: float | None = None


class Row(BaseModel):
    """One figure: the median of its rounds, or their worst where the name says so."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float | None
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    """Ours over the peer's: the median of the ratios of the rounds, each of which ran both."""
    target: str | None = None
    met: bool | None = None
    """None where nothing was measured against the target."""
    noise: Spread | None = None
    note: str = ""
    """What the figure includes, or why there is none."""


def figure(name: str, unit: str, ours: Samples, target: Target | None = None, note: str = "") -> Row:
    """A row without a peer: the median of the rounds."""
    value = median(ours)
    return Row(
        name=name,
        value=value,
        unit=unit,
        target=None if target is None else str(target),
        met=None if target is None else target.is_met(value),
        noise=Spread(rounds=len(ours), value_min=min(ours), value_max=max(ours)),
        note=note,
    )


def worst(name: str, unit: str, ours: Samples, peer: str, peers: Samples, target: Target, note: str = "") -> Row:
    """A row whose value is the worst round, beside the worst round of something that stands for the machine."""
    value, peer_value = max(ours), max(peers)
    return Row(
        name=name,
        value=value,
        unit=unit,
        peer=peer,
        peer_value=peer_value,
        ratio=value / peer_value,
        target=str(target),
        met=target.is_met(value),
        noise=Spread(rounds=len(ours), value_min=min(ours), value_max=value, peer_min=min(peers), peer_max=peer_value),
        note=note,
    )


def against(
    name: str, unit: str, ours: Samples, peer: str, peers: Samples, target: Target | None, note: str = ""
) -> Row:
    """A row with a peer; sample `i` of both sides comes from the same round."""
    ratios = [a / b for a, b in zip(ours, peers, strict=True)]
    value, ratio = median(ours), median(ratios)
    met = None if target is None else target.is_met(ratio if target.of == "ratio" else value)
    return Row(
        name=name,
        value=value,
        unit=unit,
        peer=peer,
        peer_value=median(peers),
        ratio=ratio,
        target=None if target is None else str(target),
        met=met,
        noise=Spread(
            rounds=len(ours),
            value_min=min(ours),
            value_max=max(ours),
            peer_min=min(peers),
            peer_max=max(peers),
            ratio_min=min(ratios),
            ratio_max=max(ratios),
        ),
        note=note,
    )


def without_peer(name: str, unit: str, ours: Samples, peer: str, target: Target, why: str) -> Row:
    """Ours alone, because the peer cannot run: nothing is said about the target."""
    return figure(name, unit, ours).model_copy(update={"peer": peer, "target": str(target), "note": why})
