"""One listing's book: two sides, the chain of ids, and what everybody sees of a change."""

from collections.abc import Iterable

from exchanges.simulator.core.values import BookChanged, Levels, MarketEvent, RestingFilled, TradePrinted
from exchanges.simulator.market.book_side import BookSide

_FIRST_ID = 1_000_000


class Book:
    """Bids and asks of one listing."""

    def __init__(self, listing: int) -> None:
        self.listing = listing
        self.bids = BookSide()
        self.asks = BookSide()
        self.last_id = _FIRST_ID
        self._trade_id = _FIRST_ID
        self._top: tuple[tuple[int, int], tuple[int, int]] | None = None

    @property
    def best_bid(self) -> int:
        """In ticks."""
        return self.bids.keys[-1]

    @property
    def best_ask(self) -> int:
        """In ticks."""
        return -self.asks.keys[-1]

    def levels(self, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks, best first."""
        return self.bids.best(depth, 1), self.asks.best(depth, -1)

    def begin(self) -> None:
        """Take what stands there as known to everybody."""
        self.bids.touched.clear()
        self.asks.touched.clear()
        self._top = self._top_now()

    def trade(self, *, buys: bool, key: int, lots: int, ts_ns: int) -> list[MarketEvent]:
        """Let somebody trade at a price of the opposite side; the prints, and the fills of resting orders."""
        side, ticks = (self.asks, -key) if buys else (self.bids, key)
        events: list[MarketEvent] = []
        for number, piece in side.consume(key, lots):
            self._trade_id += 1
            events.append(TradePrinted(self.listing, ts_ns, self._trade_id, ticks, piece, not buys))
            if number is not None:
                events.append(RestingFilled(self.listing, ts_ns, number, ticks, piece, self._trade_id))
        return events

    def publish(self, ts_ns: int) -> Iterable[MarketEvent]:
        """What changed since the last time, as one event; none where nothing did."""
        bid_side, ask_side = self.bids, self.asks
        if not bid_side.touched and not ask_side.touched:
            return ()
        bids = bid_side.take_touched(1) if bid_side.touched else ()
        asks = ask_side.take_touched(-1) if ask_side.touched else ()
        previous = self.last_id
        self.last_id = previous + len(bids) + len(asks)
        top = self._top_now()
        changed = top != self._top
        self._top = top
        return (BookChanged(self.listing, ts_ns, previous + 1, self.last_id, previous, bids, asks, changed),)

    def _top_now(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return self.bids.top(), self.asks.top()
