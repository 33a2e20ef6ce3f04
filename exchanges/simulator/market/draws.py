"""Random numbers by purpose: each purpose of a seed has its own streams, so that no part disturbs another.

Drawn by numpy a block at a time, which costs a Python caller some 40 ns a number instead of 200 to 400. The streams
are the same for the same seed under one version of numpy on one kind of machine; a new numpy may draw normal numbers
otherwise.
"""

import zlib
from collections.abc import Callable, Iterator

import numpy as np

_BLOCK = 2_048


class Draws:
    """Streams for one purpose, `random.Random` in spirit: uniform, normal and exponential do not share bits."""

    def __init__(self, seed: int, purpose: str) -> None:
        # A checksum and not `hash`, which differs from run to run.
        sources = [
            np.random.Generator(np.random.PCG64([seed, zlib.crc32(purpose.encode()), kind])) for kind in range(3)
        ]
        self.uniform: Callable[[], float] = _numbers(sources[0].random).__next__
        """At least 0, below 1."""
        self.normal: Callable[[], float] = _numbers(sources[1].standard_normal).__next__
        """Mean 0, deviation 1."""
        self.exponential: Callable[[], float] = _numbers(sources[2].standard_exponential).__next__
        """Mean 1."""

    def gauss(self, mean: float, deviation: float) -> float:
        """A normal number of this mean and deviation."""
        return mean + deviation * self.normal()

    def between(self, low: float, high: float) -> float:
        """Uniform between the two."""
        return low + (high - low) * self.uniform()


def _numbers(block: Callable[[int], "np.ndarray[tuple[int], np.dtype[np.float64]]"]) -> Iterator[float]:
    while True:
        yield from block(_BLOCK).tolist()
