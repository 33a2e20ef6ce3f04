"""One piece of a tape, looked at once: which rows are like the one before them, and how late each came."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bot.backtest.tape import Piece
from bot.market.clock_offset import FRESH_NS
from bot.market.columns import Columns
from bot.market.packing import Bits, Floats, Ints

Range = tuple[int, int]
"""From, and to before."""
UNDATED = -(1 << 62)
"""The delay of a quote that nothing dates: no age limit holds it back."""


@dataclass(slots=True)
class Carried:
    """What a piece needs to know of the rows before it."""

    prices: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By slot: bid and ask of its last row."""
    sequences: dict[int, int] = field(default_factory=dict)
    """By slot: the highest since its venue began to count."""
    timed: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By place of the feed: receive time and delay of its last timed frame."""
    has_ended: bool = True
    """Whether the last row ended its batch."""


@dataclass(slots=True)
class Track:
    """The rows of one slot."""

    at: Ints
    """Their places in the piece."""
    places: Sequence[int]
    """The same, for a search: it takes a third of numpy's time."""
    columns: Columns
    is_moved: Bits
    """Bid or ask differs from the row before."""
    moved: Ints
    """Numbers of those rows."""
    moved_numbers: Sequence[int]
    """The same, for a search."""
    moved_at: Ints
    moved_bid: Floats
    moved_ask: Floats
    delay_ns: Ints
    """`receive − event`; that of the feed's newest timed frame where the venue sends no time; or `UNDATED`."""
    is_dated: bool
    plain: Bits
    """A gate that let the row before pass has no reason to refuse it, but for its age."""


@dataclass(slots=True)
class TimedFrames:
    """The timed frames of one feed."""

    at: Ints
    places: Sequence[int]
    recv_ns: Ints
    event_ns: Ints


def tracks_of(
    piece: Piece, slot_feeds: Sequence[int], feeds: int, max_jump_bps: float, carried: Carried
) -> tuple[list[Track], list[TimedFrames]]:
    """By slot and by feed; `slot_feeds` has the place of each slot's feed. `carried` is moved to the piece's end."""
    timed = [_timed(piece, feed) for feed in range(feeds)]
    own_batches = _own_batches(piece, carried)
    tracks = [
        _track(piece, slot, timed[slot_feeds[slot]], slot_feeds[slot], max_jump_bps / 1e4, own_batches, carried)
        for slot in range(len(slot_feeds))
    ]
    for feed, frames in enumerate(timed):
        if len(frames.at):
            carried.timed[feed] = (int(frames.recv_ns[-1]), int(frames.recv_ns[-1] - frames.event_ns[-1]))
    return tracks, timed


def _own_batches(piece: Piece, carried: Carried) -> Bits:
    """Which rows are the only quote of a batch, and its last row."""
    if carried.has_ended and piece.ends.all():
        own_quotes: Bits = piece.slot >= 0
        return own_quotes
    own = np.zeros(len(piece), np.bool_)
    quotes = np.flatnonzero(piece.slot >= 0)
    if len(quotes):
        # A timed frame may stand before the quote that it came with: it decides nothing.
        ended = np.concatenate(([0], np.cumsum(piece.ends)))[quotes]
        begins = np.concatenate(([carried.has_ended or ended[0] > 0], ended[1:] > ended[:-1]))
        own[quotes] = begins & piece.ends[quotes]
    if len(piece):
        carried.has_ended = bool(piece.ends[-1])
    return own


def _timed(piece: Piece, feed: int) -> TimedFrames:
    at = np.flatnonzero(piece.slot == -1 - feed)
    return TimedFrames(at, _searchable(at), piece.rows.ts_recv_ns[at], piece.rows.ts_event_ns[at])


def _track(
    piece: Piece, slot: int, timed: TimedFrames, feed: int, jump: float, own_batches: Bits, carried: Carried
) -> Track:
    at = np.flatnonzero(piece.slot == slot)
    columns = piece.rows.take(at)
    bid, ask = columns.bid_price, columns.ask_price
    is_moved = np.empty(len(at), np.bool_)
    if len(at):
        before = carried.prices.get(slot, (np.nan, np.nan))
        np.not_equal(bid[1:], bid[:-1], out=is_moved[1:])
        is_moved[1:] |= ask[1:] != ask[:-1]
        is_moved[0] = before != (bid[0], ask[0])
    moved = np.flatnonzero(is_moved)
    plain = _usable(columns) & own_batches[at] & _in_sequence(columns.sequence, slot, carried)
    if len(moved):
        # The same products and comparisons as the gate's, so that the answer is the same to the last bit.
        twice, twice_before = bid[moved] + ask[moved], bid[moved - 1] + ask[moved - 1]
        if moved[0] == 0:
            twice_before[0] = before[0] + before[1]
        plain[moved] &= (twice_before * (1.0 - jump) < twice) & (twice < twice_before * (1.0 + jump))
    if len(at):
        carried.prices[slot] = (float(bid[-1]), float(ask[-1]))
    is_dated = bool(columns.ts_event_ns.all()) if len(at) else True
    return Track(
        at=at,
        places=_searchable(at),
        columns=columns,
        is_moved=is_moved,
        moved=moved,
        moved_numbers=_searchable(moved),
        moved_at=at[moved],
        moved_bid=bid[moved],
        moved_ask=ask[moved],
        delay_ns=_delays(columns, at, timed, carried.timed.get(feed)),
        is_dated=is_dated,
        plain=plain,
    )


def _usable(columns: Columns) -> Bits:
    bid, ask = columns.bid_price, columns.ask_price
    usable: Bits = (bid > 0.0) & (bid < ask) & (ask < np.inf)
    for quantity in (columns.bid_qty, columns.ask_qty):
        usable &= (quantity > 0.0) & (quantity < np.inf)
    return usable


def _in_sequence(sequence: Ints, slot: int, carried: Carried) -> Bits:
    """Not behind any row before it, and neither the one after such a row nor a venue's first after a restart."""
    if not len(sequence):
        return np.zeros(0, np.bool_)
    last = int(sequence[-1])
    if sequence[0] >= max(carried.sequences.get(slot, -1), 2) and (sequence[1:] >= sequence[:-1]).all():
        carried.sequences[slot] = last
        return np.ones(len(sequence), np.bool_)
    highest = np.empty_like(sequence)
    highest[0] = carried.sequences.get(slot, -1)
    starts = [0, *(np.flatnonzero(sequence == 1) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], len(sequence)], strict=True):
        # A restart begins the count anew.
        first = int(highest[0]) if start == 0 else 1
        if start < stop:
            running = np.maximum.accumulate(sequence[start:stop])
            highest[start] = first
            highest[start + 1 : stop] = np.maximum(running[:-1], first)
    good: Bits = (sequence >= highest) & (sequence != 1)
    carried.sequences[slot] = 1 if last == 1 else max(last, int(highest[-1]))
    good[1:] &= good[:-1] | (sequence[:-1] == 1)
    return good


def _delays(columns: Columns, at: Ints, timed: TimedFrames, before: tuple[int, int] | None) -> Ints:
    event_ns, recv_ns = columns.ts_event_ns, columns.ts_recv_ns
    dated = event_ns != 0
    if dated.all():
        return recv_ns - event_ns
    heard = np.concatenate(([before[0] if before else UNDATED], timed.recv_ns))
    delays = np.concatenate(([before[1] if before else UNDATED], timed.recv_ns - timed.event_ns))
    newest = np.searchsorted(timed.at, at)
    fresh = (heard[newest] != UNDATED) & (recv_ns - heard[newest] <= FRESH_NS)
    undated: NDArray[np.int64] = np.where(fresh, delays[newest], UNDATED)
    return np.where(dated, recv_ns - event_ns, undated)


def _searchable(numbers: Ints) -> Sequence[int]:
    return cast("Sequence[int]", np.ascontiguousarray(numbers, np.int64).data)


def range_of(numbers: Sequence[int], start: int, stop: int) -> Range:
    """Where, in ascending numbers, those from `start` to before `stop` stand."""
    low = bisect_left(numbers, start)
    return low, bisect_left(numbers, stop, low)
