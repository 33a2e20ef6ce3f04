"""Which archived quotes the gate had refused: it is asked again, for the archive keeps every quote and no verdicts.

A verdict in the archive would be that of the settings of its day, and a quote that was recorded without an engine would
have none. So the rules are applied to the rows, with the settings of now. What the rows alone do not tell stays in: how
late a quote was that carries no time of its own (Binance spot), and what a clock measured by a request had said.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bot.market.clock_offset import HALF_NS
from bot.market.columns import Columns
from bot.market.packing import Bits
from bot.market.quote_gate import QuoteGate
from bot.market.window import quote_of
from bot.settings import QuoteGateSettings


class Standing(NamedTuple):
    """The prices before the first row."""

    bid: float
    ask: float


GateAgain = Callable[[Columns, Standing | None], Bits]
"""Which rows are let pass, in order of receipt, behind the prices that stood before them."""


def gate_again(settings: QuoteGateSettings) -> GateAgain:
    """The gate of these settings."""
    return lambda columns, before: passed(columns, settings, before)


def passed(columns: Columns, settings: QuoteGateSettings, before: Standing | None) -> Bits:
    """Which rows the gate lets pass, in order of receipt; all of them are usable by themselves.

    Args:
        columns: Of one instrument.
        settings: Of the gate.
        before: What stood before the first row; None where nothing did, and then the first row has nothing to be
            compared with.
    """
    fresh = _fresh(columns, settings)
    if fresh.all():
        return _near(columns, settings, before)
    found = np.zeros(columns.rows, np.bool_)
    rows = np.flatnonzero(fresh)
    found[rows[_near(columns.take(rows), settings, before)]] = True
    return found


def _fresh(columns: Columns, settings: QuoteGateSettings) -> Bits:
    """Rows that were no more than `max_event_age_ms` slower than the fastest one of the five to ten minutes before."""
    fresh = np.ones(columns.rows, np.bool_)
    timed = np.flatnonzero(columns.ts_event_ns > 0)
    delay_ns = (columns.ts_recv_ns - columns.ts_event_ns)[timed]
    allowed_ns = round(settings.max_event_age_ms * 1e6)
    if not len(timed) or int(delay_ns.max()) - int(delay_ns.min()) <= allowed_ns:
        return fresh
    halves = columns.ts_recv_ns[timed] // HALF_NS
    borders = [0, *(np.flatnonzero(np.diff(halves)) + 1).tolist(), len(timed)]
    last_half_ns = int(delay_ns[0])
    for start, stop in pairwise(borders):
        part = delay_ns[start:stop]
        fastest_ns = np.minimum(np.minimum.accumulate(part), last_half_ns)
        fresh[timed[start:stop]] = part - fastest_ns <= allowed_ns
        last_half_ns = int(part.min())
    return fresh


def _near(columns: Columns, settings: QuoteGateSettings, before: Standing | None) -> Bits:
    """Rows whose mid did not jump, or had held where it jumped to."""
    near = np.ones(columns.rows, np.bool_)
    twice_mid = columns.bid_price + columns.ask_price
    if before is None:
        start = 1
    else:
        start, twice_mid = 0, np.concatenate(([before.bid + before.ask], twice_mid))
    jump = settings.max_jump_bps / 1e4
    # As long as each row is near the one before it, each is the one that the next is compared with.
    jumps = np.flatnonzero(~_is_near(twice_mid, jump)) + start
    at = 0
    while (turn := int(np.searchsorted(jumps, at))) < len(jumps):
        at = _on_trial(columns, settings, before, int(jumps[turn]), near)
    return near


def _is_near(twice_mid: NDArray[np.float64], jump: float) -> Bits:
    last, mid = twice_mid[:-1], twice_mid[1:]
    inside: Bits = (mid > last * (1.0 - jump)) & (mid < last * (1.0 + jump))
    return inside


def _on_trial(columns: Columns, settings: QuoteGateSettings, before: Standing | None, first: int, near: Bits) -> int:
    """Ask a gate about the rows from a jump to the next one that it lets pass; the number behind that one."""
    gate = QuoteGate(settings)
    if first:
        gate.accept(float(columns.bid_price[first - 1]), float(columns.ask_price[first - 1]))
    elif before is not None:
        gate.accept(*before)
    for number in range(first, columns.rows):
        row = columns.row(number)
        if gate.refuse(quote_of(row), row[0], None) is None:
            return number + 1
        near[number] = False
    return columns.rows
