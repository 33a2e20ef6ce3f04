"""A book rebuilt from the market's changes: what the topics push is cut from it, at their own pace."""

from bisect import bisect_left, insort

from exchanges.simulator.core.values import BookChanged, Levels


class Side:
    """One side of a book; `sign` makes the best price the first in ascending order."""

    __slots__ = ("_lots", "_order", "_sign")

    def __init__(self, sign: int, levels: Levels) -> None:
        self._sign = sign
        self._lots = dict(levels)
        self._order = sorted(sign * ticks for ticks in self._lots)

    def apply(self, levels: Levels) -> None:
        """Take over changed levels; 0 lots removes one."""
        lots, order, sign = self._lots, self._order, self._sign
        for ticks, size in levels:
            if size:
                if ticks not in lots:
                    insort(order, sign * ticks)
                lots[ticks] = size
            elif lots.pop(ticks, 0):
                del order[bisect_left(order, sign * ticks)]

    def top(self) -> Levels:
        """The first level, if there is one."""
        if not self._order:
            return ()
        ticks = self._sign * self._order[0]
        return ((ticks, self._lots[ticks]),)

    def best(self, depth: int) -> Levels:
        """The first `depth` levels."""
        sign, lots = self._sign, self._lots
        return tuple([(sign * key, lots[sign * key]) for key in self._order[:depth]])


class Mirror:
    """Bids and asks of one listing."""

    __slots__ = ("asks", "bids", "cts_ns", "seq")

    def __init__(self, levels: tuple[Levels, Levels], seq: int, ts_ns: int) -> None:
        self.bids = Side(-1, levels[0])
        self.asks = Side(1, levels[1])
        self.seq = seq
        self.cts_ns = ts_ns

    def apply(self, change: BookChanged) -> None:
        """Take over a change."""
        if change.bids:
            self.bids.apply(change.bids)
        if change.asks:
            self.asks.apply(change.asks)
        self.seq = change.last_id
        self.cts_ns = change.ts_ns

    def top(self) -> tuple[Levels, Levels]:
        """The first level of both sides, where there is one."""
        return self.bids.top(), self.asks.top()

    def best(self, depth: int) -> tuple[Levels, Levels]:
        """The first `depth` levels of both sides."""
        return self.bids.best(depth), self.asks.best(depth)


def difference(old: Levels, new: Levels) -> Levels:
    """What turns `old` into `new`: changed and added levels, and removed ones with 0 lots."""
    before, after = dict(old), dict(new)
    changed = [(ticks, lots) for ticks, lots in new if before.get(ticks) != lots]
    return (*changed, *((ticks, 0) for ticks, _ in old if ticks not in after))
