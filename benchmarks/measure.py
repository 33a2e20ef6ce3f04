"""Rounds and clocks. Ours and the peer's take turns, so that a machine that drifts drifts under both."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import TypeVar

Round = Callable[[], float]
"""Runs once and returns its figure."""


def per_item_us(work: Callable[[], object], items: int) -> float:
    """Microseconds an item of one run of `work`, which does `items` of them."""
    gc.collect()
    begun_ns = perf_counter_ns()
    work()
    return (perf_counter_ns() - begun_ns) / items / 1e3


def interleaved(rounds: int, *sides: Round) -> list[list[float]]:
    """The samples of each side; who begins a round changes. One round before them warms up and is left out."""
    samples: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 1):
        order = range(len(sides)) if turn % 2 else range(len(sides) - 1, -1, -1)
        for side in order:
            sample = sides[side]()
            if turn:
                samples[side].append(sample)
    return samples


_N = TypeVar("_N", int, float)


def quantile(values_sorted: list[_N], part: float) -> _N:
    """The value below which `part` of them lie."""
    return values_sorted[min(int(len(values_sorted) * part), len(values_sorted) - 1)]


@contextmanager
def one_core() -> Iterator[None]:
    """This process on one core, the last it may use; wherever the system cannot do that, as it was."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def progress(text: str) -> None:
    """Tell a person what is going on; data has stdout for itself."""
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)
