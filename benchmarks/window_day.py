"""A full day of two venues in two windows, at the highest rate that is promised."""

from collections.abc import Iterator

import numpy as np

from benchmarks.measure import perf_counter_ns
from bot.market.columns import Columns, read_only
from bot.market.window import Window

ROWS_A_SECOND = 500
"""Of each venue; recorded are 157 to 200, and 640 to 810 in the busiest seconds."""
GRID = (0.1, 0.001)
_STEP_NS = 1_000_000_000 // ROWS_A_SECOND
_CHANGE_PART = 0.05
_PART_ROWS = 3_000_000


def load(window: Window, end_ns: int, hours: float, seed: int) -> float:
    """Load rows received before `end_ns`, newest part first; the seconds that loading took, without making them."""
    taken_ns = 0
    for columns in _parts(end_ns, round(hours * 3_600 * ROWS_A_SECOND), np.random.default_rng(seed)):
        begun_ns = perf_counter_ns()
        window.load(columns)
        taken_ns += perf_counter_ns() - begun_ns
    return taken_ns / 1e9


def made(end_ns: int, hours: float, seed: int) -> Columns:
    """Rows received in the hours before `end_ns`, in one piece."""
    (columns,) = _parts(end_ns, round(hours * 3_600 * ROWS_A_SECOND), np.random.default_rng(seed))
    return columns


def _parts(end_ns: int, rows: int, random: np.random.Generator) -> Iterator[Columns]:
    for stop in range(rows, 0, -_PART_ROWS):
        count = min(stop, _PART_ROWS)
        recv_ns = end_ns - (rows - np.arange(stop - count, stop)) * _STEP_NS + random.integers(0, _STEP_NS, count)
        moves = np.where(random.random(count) < _CHANGE_PART, random.choice((-1, 1), count), 0)
        ticks = 600_000 + np.cumsum(moves)
        yield read_only(
            (
                recv_ns,
                (recv_ns - random.integers(1_000_000, 6_000_000, count)) // 1_000_000 * 1_000_000,
                10**12 + 40 * np.arange(stop - count, stop),
                ticks / 10,
                random.integers(1, 100_000, count) / 1_000,
                (ticks + 1) / 10,
                random.integers(1, 100_000, count) / 1_000,
            )
        )
