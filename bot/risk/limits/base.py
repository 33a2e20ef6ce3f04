"""What a limit is asked, and what it may answer.

Every comparison is written so that NaN refuses: a limit whose own input is broken must not pass anything.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol

from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal

KNOWN = "known"
"""Unit of an input that is missing or is no number: 0 of it is known, 1 is needed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A limit said no."""

    limit: str
    observed: float
    """Above `allowed` where that is the most, below it where that is the least; always a finite number."""
    allowed: float
    unit: str


class Limit(Protocol):
    """Refuses, or lets pass."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """None when the proposal is within the limit."""


def unknown(limit: str) -> Refused:
    """The limit's own input is missing, or no number that it could be."""
    return Refused(limit, 0.0, 1.0, KNOWN)


def is_within(observed: float | None, allowed: float) -> bool:
    """Whether 0 <= `observed` <= `allowed`; for limits whose name is put together only where it is told."""
    return observed is not None and 0.0 <= observed <= allowed


def at_most(limit: str, observed: float | None, allowed: float, unit: str) -> Refused | None:
    """None while 0 <= `observed` <= `allowed`; a figure that is missing, negative or infinite is a broken one."""
    # One chain of comparisons lets pass what is good, and NaN fails it.
    if observed is not None and 0.0 <= observed <= allowed:
        return None
    if observed is None or not 0.0 <= observed < inf:
        return unknown(limit)
    return Refused(limit, observed, allowed, unit)


def at_least(limit: str, observed: float | None, needed: float, unit: str) -> Refused | None:
    """None while `observed` >= `needed`, infinity included; missing and NaN are broken, below zero is too little."""
    if observed is not None and observed >= needed:
        return None
    if observed is None or not -inf < observed < inf:
        return unknown(limit)
    return Refused(limit, observed, needed, unit)
