"""Which instruments of a feed are wanted: some by name, or all that trade."""

from collections.abc import Collection

ALL = "ALL"
"""Stands for every trading pair of a feed."""


def wants_all(wanted: Collection[str]) -> bool:
    """Whether every instrument is wanted, whatever else is named."""
    return ALL in wanted
