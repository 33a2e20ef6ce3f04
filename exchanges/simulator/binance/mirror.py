"""A copy of one book as the frames tell it: what the top was at each change, however many changes came at once."""

import heapq

from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import BookChanged, Levels

_ALL = 1_000_000


class Mirror:
    """One listing's levels in ticks and lots, with its best prices."""

    __slots__ = ("_asks", "_bids", "best_ask", "best_bid", "last_id")

    def __init__(self, market: Market, listing: int) -> None:
        bids, asks = market.levels(listing, _ALL)
        self._bids = dict(bids)
        self._asks = dict(asks)
        self.best_bid = max(self._bids, default=0)
        self.best_ask = min(self._asks, default=0)
        self.last_id = market.book_id(listing)

    def apply(self, change: BookChanged) -> bool:
        """Take in a change; False where the copy was made after it."""
        if change.last_id <= self.last_id:
            return False
        self.last_id = change.last_id
        if change.bids:
            self.best_bid = self._side(self._bids, change.bids, self.best_bid, 1)
        if change.asks:
            self.best_ask = self._side(self._asks, change.asks, self.best_ask, -1)
        return True

    @staticmethod
    def _side(side: dict[int, int], changes: Levels, best: int, sign: int) -> int:
        for ticks, lots in changes:
            if lots:
                side[ticks] = lots
                if not best or ticks * sign > best * sign:
                    best = ticks
            else:
                side.pop(ticks, None)
        if best in side:
            return best
        return (max if sign > 0 else min)(side, default=0)

    def top(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Best bid and best ask, (ticks, lots); (0, 0) on an empty side."""
        bid, ask = self.best_bid, self.best_ask
        return (bid, self._bids.get(bid, 0)), (ask, self._asks.get(ask, 0))

    def best(self, depth: int) -> tuple[Levels, Levels]:
        """The best `depth` levels of each side, best first."""
        bids = heapq.nlargest(depth, self._bids)
        asks = heapq.nsmallest(depth, self._asks)
        return (
            tuple([(ticks, self._bids[ticks]) for ticks in bids]),
            tuple([(ticks, self._asks[ticks]) for ticks in asks]),
        )
