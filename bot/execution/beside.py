"""Fills of several pairs that come of one event: of a process that is killed between their records a start finds all.

Each record names the others. One that was missing is written down once, and names none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BESIDE = "beside"
"""Key of the other records in the body of one."""

_Body = Mapping[str, Any]


def naming_each_other(bodies: Sequence[_Body]) -> Iterator[_Body]:
    """The same bodies of one event's records, in their order, each with the others."""
    return ({**body, BESIDE: [other for other in bodies if other is not body]} for body in bodies)
