"""The `orderbook` topics: level 1 as snapshots, deeper ones as a snapshot and deltas.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook.
"""

from exchanges.simulator.bybit.catalogue import Entry, Grid
from exchanges.simulator.bybit.channel import PacedChannel
from exchanges.simulator.bybit.mirror import Mirror, difference
from exchanges.simulator.core.values import Levels

_MS = 1_000_000
_EMPTY: Levels = ()


class BestChannel(PacedChannel):
    """`orderbook.1`: snapshots only; without a change the same one again, with the same `u`."""

    def __init__(self, entry: Entry, mirror: Mirror, interval_ns: int, repeat_ns: int) -> None:
        super().__init__(interval_ns, repeat_ns)
        self._mirror = mirror
        self._grid = entry.grid
        self._head = f'{{"topic":"orderbook.1.{entry.symbol}","ts":'
        self._middle = f',"type":"snapshot","data":{{"s":"{entry.symbol}","b":['
        self._best: tuple[Levels, Levels] = (_EMPTY, _EMPTY)
        self._u = 0
        self._tail = ""

    def begin(self) -> None:
        """Number the top of the book as it is."""
        self._best = self._mirror.top()
        self._number()

    def snapshot(self, now_ms: int) -> str:
        """The frame; it stands `ts` before `type`, as Bybit's does."""
        return f"{self._head}{now_ms}{self._middle}{self._tail}"

    def update(self, now_ms: int) -> str | None:
        """The new top; None where it is what was pushed last."""
        best = self._mirror.top()
        if best == self._best:
            return None
        self._best = best
        self._number()
        return self.snapshot(now_ms)

    def _number(self) -> None:
        self._u += 1
        mirror, grid = self._mirror, self._grid
        bids, asks = _levels(grid, self._best[0]), _levels(grid, self._best[1])
        self._tail = f'{bids}],"a":[{asks}],"u":{self._u + 1},"seq":{mirror.seq}}},"cts":{mirror.cts_ns // _MS}}}'


class DepthChannel(PacedChannel):
    """`orderbook.50` and deeper."""

    def __init__(self, entry: Entry, mirror: Mirror, depth: int, interval_ns: int) -> None:
        super().__init__(interval_ns)
        self._mirror = mirror
        self._depth = depth
        self._grid = entry.grid
        self._symbol = entry.symbol
        self._is_spot = entry.is_spot
        self._topic = f"orderbook.{depth}.{entry.symbol}"
        self._book: tuple[Levels, Levels] = (_EMPTY, _EMPTY)
        # u = 1 says that the service has restarted, so numbers begin behind it.
        self._u = 1
        self._seq = 0
        self._cts_ms = 0

    def begin(self) -> None:
        """Number the book as it is."""
        self._take(self._mirror.best(self._depth))

    def snapshot(self, now_ms: int) -> str:
        """The whole book as of the last push."""
        return self._frame("snapshot", now_ms, *self._book)

    def update(self, now_ms: int) -> str | None:
        """What has changed since the last push."""
        book = self._mirror.best(self._depth)
        bids, asks = difference(self._book[0], book[0]), difference(self._book[1], book[1])
        if not bids and not asks:
            return None
        self._take(book)
        return self._frame("delta", now_ms, bids, asks)

    def _take(self, book: tuple[Levels, Levels]) -> None:
        self._book = book
        self._u += 1
        self._seq = self._mirror.seq
        self._cts_ms = self._mirror.cts_ns // _MS

    def _frame(self, kind: str, now_ms: int, bids: Levels, asks: Levels) -> str:
        # Spot puts ts before type, contracts after it.
        order = f'"ts":{now_ms},"type":"{kind}"' if self._is_spot else f'"type":"{kind}","ts":{now_ms}'
        return (
            f'{{"topic":"{self._topic}",{order},"data":{{"s":"{self._symbol}","b":[{_levels(self._grid, bids)}],'
            f'"a":[{_levels(self._grid, asks)}],"u":{self._u},"seq":{self._seq}}},"cts":{self._cts_ms}}}'
        )


def _levels(grid: Grid, levels: Levels) -> str:
    return ",".join([grid.level(ticks, lots) for ticks, lots in levels])
