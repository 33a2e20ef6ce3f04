"""What a market looks like, in numbers: the same functions for a recorded one and a simulated one.

Times are of one clock within a set of quotes; where they are receive times, network and packets are in the gaps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SECOND_NS = 1_000_000_000
_GRID_NS = 100_000_000
_EDGE_BPS = 1.0
_LONGEST_LAG = 200


@dataclass(frozen=True, slots=True)
class Quotes:
    """Changes of one top of book, in order; columns of equal length."""

    ts_ns: NDArray[np.int64]
    bid: Floats
    bid_quantity: Floats
    ask: Floats
    ask_quantity: Floats

    @classmethod
    def of(cls, rows: list[tuple[int, float, float, float, float]]) -> "Quotes":
        """From (time, bid, bid quantity, ask, ask quantity).

        Raises:
            ValueError: If there are fewer than two.
        """
        if len(rows) < 2:
            raise ValueError("statistics need two quotes at least")
        times, *columns = zip(*rows, strict=True)
        bid, bid_quantity, ask, ask_quantity = (np.array(column, np.float64) for column in columns)
        return cls(np.array(times, np.int64), bid, bid_quantity, ask, ask_quantity)

    @property
    def mid(self) -> Floats:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        return float(self.ts_ns[-1] - self.ts_ns[0]) / _SECOND_NS


def book_statistics(quotes: Quotes, tick: float) -> dict[str, float]:
    """Rates, gaps, spreads, sizes and moves of one book; sizes in the venue's unit, moves in bps."""
    seconds = quotes.seconds
    moved = (np.diff(quotes.bid) != 0) | (np.diff(quotes.ask) != 0)
    gaps_ms = np.diff(quotes.ts_ns) / 1e6
    spreads = (quotes.ask - quotes.bid) / tick
    sizes = np.concatenate((quotes.bid_quantity, quotes.ask_quantity))
    a_second = np.bincount(((quotes.ts_ns - quotes.ts_ns[0]) // _SECOND_NS).astype(np.int64))
    figures = {
        "updates a second": len(quotes.ts_ns) / seconds,
        "updates in a second, p5": _percentile(a_second, 5),
        "updates in a second, p95": _percentile(a_second, 95),
        "price changes a second": float(moved.sum()) / seconds,
        "share that changes a price": float(moved.mean()),
        "gap ms, p50": _percentile(gaps_ms, 50),
        "gap ms, p95": _percentile(gaps_ms, 95),
        "spread ticks, p50": _percentile(spreads, 50),
        "spread ticks, p95": _percentile(spreads, 95),
        "spread ticks, p99": _percentile(spreads, 99),
        "size, p5": _percentile(sizes, 5),
        "size, p50": _percentile(sizes, 50),
        "size, p95": _percentile(sizes, 95),
    }
    for name, step_ns in (("100 ms", _GRID_NS), ("1 s", _SECOND_NS)):
        moves = np.abs(_moves_bps(quotes, step_ns))
        figures[f"move in {name} bps, mean"] = float(moves.mean())
        figures[f"move in {name} bps, p99"] = _percentile(moves, 99)
    return figures


def pair_statistics(one: Quotes, other: Quotes) -> dict[str, float]:
    """The basis of two books on one clock, and the edges that can be executed between them, mean basis apart."""
    start, end = max(one.ts_ns[0], other.ts_ns[0]), min(one.ts_ns[-1], other.ts_ns[-1])
    grid = np.arange(start, end, _GRID_NS)
    basis = (one.mid[_index_at(one, grid)] / other.mid[_index_at(other, grid)] - 1) * 1e4
    lives_ms = _edge_lives_ms(one, other, float(basis.mean()), start, end)
    return {
        "basis bps, mean": float(basis.mean()),
        "basis bps, SD": float(basis.std()),
        "basis half-life s": _half_life_s(basis),
        "edges above 1 bp a minute": len(lives_ms) / (float(end - start) / _SECOND_NS / 60),
        "edge above 1 bp, life ms p50": _percentile(lives_ms, 50) if len(lives_ms) else 0.0,
        "edge above 1 bp, life ms p90": _percentile(lives_ms, 90) if len(lives_ms) else 0.0,
    }


def _edge_lives_ms(one: Quotes, other: Quotes, mean_bps: float, start: int, end: int) -> Floats:
    """How long each stretch lasts in which buying the one and selling the other, or the reverse, gains above 1 bp."""
    times = np.union1d(one.ts_ns, other.ts_ns)
    times = times[(times >= start) & (times <= end)]
    at_one, at_other = _index_at(one, times), _index_at(other, times)
    sell_one = (one.bid[at_one] / other.ask[at_other] - 1) * 1e4 - mean_bps
    sell_other = (other.bid[at_other] / one.ask[at_one] - 1) * 1e4 + mean_bps
    lives = [_stretches_ms(times, edge > _EDGE_BPS) for edge in (sell_one, sell_other)]
    return np.concatenate(lives)


def _stretches_ms(times: NDArray[np.int64], is_open: NDArray[np.bool_]) -> Floats:
    steps = np.diff(np.concatenate(([False], is_open, [False])).astype(np.int8))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    lives: Floats = (times[np.minimum(ends, len(times) - 1)] - times[begins]) / 1e6
    return lives


def _half_life_s(values: Floats) -> float:
    """The first lag at which the autocorrelation is below one half; NaN where it stays above."""
    away = values - values.mean()
    power = float(np.dot(away, away))
    for lag in range(1, min(_LONGEST_LAG, len(away) - 1)):
        if np.dot(away[lag:], away[:-lag]) < power / 2:
            return lag * _GRID_NS / _SECOND_NS
    return float("nan")


def _moves_bps(quotes: Quotes, step_ns: int) -> Floats:
    grid = np.arange(quotes.ts_ns[0], quotes.ts_ns[-1], step_ns)
    mids = quotes.mid[_index_at(quotes, grid)]
    moves: Floats = np.diff(np.log(mids)) * 1e4
    return moves


def _index_at(quotes: Quotes, times: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(quotes.ts_ns, times, side="right") - 1


def _percentile(values: NDArray[np.float64] | NDArray[np.int64], percent: float) -> float:
    return float(np.percentile(values, percent))
