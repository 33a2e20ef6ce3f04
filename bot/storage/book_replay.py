"""An order book out of archived depth rows, without a Python step per level.

A level's quantity is absolute, so of all the rows at one price the last one counts: a snapshot and what followed it
are one array, of which the last row of each price is taken. Two things want more care:

- Behind a snapshot that was cut off nothing is known: rows there are left out. The live book also forgets its last
  levels when better ones come, and what changes there later may not be in the archive. It asks for a new snapshot when
  half of its levels are left, so the best half is right in any case, and no more of such a side is shown.
- A venue that keeps a window of N levels need not say when one falls out of it. Where more than N would stand on a
  side at the end of any message, the rows go through `OrderBook` one after another, which knows what to forget.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.storage.instants import utc_text
from bot.storage.market_queries import BookAt

COLUMNS = ("ts_recv_ns", "ts_event_ns", "message", "kind", "last_id", "side", "price", "quantity")
"""Of the depth channel; what a replay reads."""


@dataclass(frozen=True, slots=True)
class DepthRules:
    """How a venue's depth stream treats levels far from the best; as the builder of its live books is told."""

    depth: int = 1_000
    """Levels a side that are asked for."""
    is_window: bool = False
    """Whether the venue says when a level comes into view (see `bot.domain.order_book.OrderBook`)."""


@dataclass(frozen=True, slots=True, eq=False)
class BookImage:
    """A book after a message."""

    message: int
    begun_ns: int
    """Receipt of the snapshot that it rests on, or of the word that there is none."""
    ts_recv_ns: int
    ts_event_ns: int | None
    sequence: int
    keys: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Best bid to last, as the negative of the price, then best ask to last: ascending."""
    quantities: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    last_keys: tuple[float, float] = (inf, inf)
    """Of bids and of asks, the key up to which every level is known."""
    shown: int = 0
    """Levels to show of a side that is not known to its end."""
    error: str = ""
    """Why this is no book any more; only a snapshot ends that."""
    is_whole: bool = True
    """Whether it rests on a snapshot."""

    def at(self, instrument: str, ts_ns: int) -> BookAt:
        """The book as an answer; INVALID where it is none."""
        split = int(np.searchsorted(self.keys, 0.0))
        reason = self.error or self._flaw(split)
        is_empty = not reason and not len(self.keys)
        state = BookState.INVALID if reason else BookState.EMPTY if is_empty else BookState.VALID
        answer = BookAt(
            instrument,
            ts_ns,
            state,
            "the venue's book was empty" if is_empty else reason,
            self.ts_recv_ns,
            self.begun_ns if self.is_whole else None,
            self.ts_event_ns,
            self.sequence,
        )
        if state is not BookState.VALID:
            return answer
        prices, quantities = np.abs(self.keys).tolist(), self.quantities.tolist()
        levels = list(zip(prices, quantities, strict=True))
        bids, asks = (None if last == inf else self.shown for last in self.last_keys)
        return replace(answer, bids=tuple(levels[:split][:bids]), asks=tuple(levels[split:][:asks]))

    def _flaw(self, split: int) -> str:
        bids, asks = split, len(self.keys) - split
        for name, count, last in (("bids", bids, self.last_keys[0]), ("asks", asks, self.last_keys[1])):
            if not count and last != inf:
                return f"every level of the {name} that was known is used up"
        if bids and asks:
            bid, ask = -self.keys[0], self.keys[split]
            return f"crossed: bid {bid} >= ask {ask}" if bid >= ask else ""
        return "" if bids == asks else f"no {'asks' if bids else 'bids'}"


def has_start(rows: pa.Table) -> bool:
    """Whether the rows alone tell what the book is after them: a snapshot, or word that there is none."""
    return bool(pc.any(pc.not_equal(rows.column("kind"), "delta")).as_py())


def replay(rows: pa.Table, rules: DepthRules) -> BookImage | None:
    """The book after these rows; None while there was none.

    Args:
        rows: Of the depth channel, one instrument's, in order of receipt, whole messages.
        rules: Of the venue.
    """
    begin = _last_message_of(rows, "snapshot")
    lost = _last_message_of(rows, "invalid")
    if lost is not None and (begin is None or lost > begin):
        return _lost(rows, lost)
    return None if begin is None else _follow(_start(rows, begin, rules), rows.slice(begin), rules)


def _last_message_of(rows: pa.Table, kind: str) -> int | None:
    """Where the rows of the last message of this kind begin; None without one."""
    found = np.flatnonzero(pc.equal(rows.column("kind"), kind).to_numpy())
    if not len(found):
        return None
    message = rows.column("message").to_numpy()
    last = int(found[-1])
    changes = np.flatnonzero(message[:last] != message[last])
    return int(changes[-1]) + 1 if len(changes) else 0


def _lost(rows: pa.Table, at: int) -> BookImage:
    recv_ns = rows.column("ts_recv_ns")[at].as_py()
    message = rows.column("message")[at].as_py()
    error = f"the book was lost at {utc_text(recv_ns)}"
    return BookImage(message, recv_ns, recv_ns, None, 0, error=error, is_whole=False)


def _start(rows: pa.Table, begin: int, rules: DepthRules) -> BookImage:
    """What is known of the book beside the levels of the snapshot that begins there."""
    message = rows.column("message")[begin].as_py()
    snapshot = rows.slice(begin).filter(pc.equal(rows.column("message").slice(begin), message))
    recv_ns = rows.column("ts_recv_ns")[begin].as_py()
    lasts = inf, inf
    if not rules.is_window:
        lasts = _last_key(snapshot, 1, rules.depth), _last_key(snapshot, -1, rules.depth)
    return BookImage(message, recv_ns, recv_ns, None, 0, last_keys=lasts, shown=rules.depth // 2)


def _last_key(snapshot: pa.Table, side: int, depth: int) -> float:
    """As `OrderBook.is_thin` sees it, half of what was asked for is a side that was cut off, less is all there is."""
    prices = snapshot.column("price").filter(pc.equal(snapshot.column("side"), side)).to_numpy()
    return float(np.max(-side * prices)) if 2 * len(prices) >= depth else inf


def _follow(image: BookImage, rows: pa.Table, rules: DepthRules) -> BookImage:
    message = rows.column("message").to_numpy()
    steps = np.diff(message, prepend=image.message)
    broken = np.flatnonzero((steps != 0) & (steps != 1))
    last = rows.num_rows - 1
    newest = replace(
        image,
        message=int(message[last]),
        ts_recv_ns=rows.column("ts_recv_ns")[last].as_py(),
        ts_event_ns=rows.column("ts_event_ns")[last].as_py(),
        sequence=rows.column("last_id")[last].as_py(),
    )
    if len(broken):
        recv_ns = rows.column("ts_recv_ns")[int(broken[0])].as_py()
        return replace(newest, error=f"a message before {utc_text(recv_ns)} is missing")
    keys, quantities = _levels(image, rows, message, rules)
    return replace(newest, keys=keys, quantities=quantities)


def _levels(
    image: BookImage, rows: pa.Table, message: NDArray[np.int64], rules: DepthRules
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keys and quantities of the levels, best first."""
    side = rows.column("side").to_numpy()
    key = -side * rows.column("price").to_numpy()
    known = (side != 0) & (key <= np.where(key < 0, *image.last_keys))
    keys, quantities, messages = key[known], rows.column("quantity").to_numpy()[known], message[known]
    if rules.is_window and _overflows(keys, quantities, messages, rules.depth):
        return _one_by_one(keys, quantities, messages, rules.depth)
    # Hashed, not sorted: there are few prices in many rows. Of several assignments to one place numpy keeps the last.
    coded = pc.dictionary_encode(pa.array(keys))
    last = np.empty(len(coded.dictionary))
    last[coded.indices.to_numpy()] = quantities
    prices = coded.dictionary.to_numpy()[last > 0]
    order = prices.argsort()
    return prices[order], last[last > 0][order]


def _overflows(
    keys: NDArray[np.float64], quantities: NDArray[np.float64], messages: NDArray[np.int64], depth: int
) -> bool:
    """Whether more than `depth` levels would stand on a side after any message, if nothing were forgotten."""
    order = np.argsort(keys, kind="stable")
    stands = quantities[order] > 0
    stood = np.concatenate(([False], stands[:-1])) & np.concatenate(([False], np.diff(keys[order]) == 0))
    change = np.empty(len(keys), dtype=np.int64)
    change[order] = stands.astype(np.int64) - stood
    ends = np.flatnonzero(np.diff(messages, append=messages[-1:] + 1))
    return any(bool((np.cumsum(np.where(side, change, 0))[ends] > depth).any()) for side in (keys < 0, keys > 0))


def _one_by_one(
    keys: NDArray[np.float64], quantities: NDArray[np.float64], messages: NDArray[np.int64], depth: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    book = OrderBook(depth, is_window=True)
    for change in _changes(keys, quantities, messages):
        book.apply(change)
    levels = [(-price, quantity) for price, quantity in book.bids.levels()] + book.asks.levels()
    return np.array([key for key, _ in levels]), np.array([quantity for _, quantity in levels])


def _changes(
    keys: NDArray[np.float64], quantities: NDArray[np.float64], messages: NDArray[np.int64]
) -> Iterator[BookChange]:
    borders = [0, *(np.flatnonzero(np.diff(messages)) + 1).tolist(), len(messages)]
    printed = list(zip(keys.tolist(), map(repr, quantities.tolist()), strict=True))
    for start, stop in pairwise(borders):
        yield BookChange(
            bids=tuple((repr(-key), quantity) for key, quantity in printed[start:stop] if key < 0),
            asks=tuple((repr(key), quantity) for key, quantity in printed[start:stop] if key > 0),
            sequence=0,
        )
