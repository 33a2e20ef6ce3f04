"""The header `Retry-After`."""

_MOST_DIGITS = 9
"""Of seconds: decades. What is longer is no wait, and beyond 308 digits no number that can be counted with."""


def seconds_of(text: str) -> float | None:
    """How long an answer says to wait; None where it does not say so in seconds."""
    return float(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
