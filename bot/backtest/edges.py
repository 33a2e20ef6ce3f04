"""What a route offers over a stretch of rows: first by bounds, and exactly where they do not answer."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from bot.backtest.tracks import Range, Track, range_of
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.market.packing import Bits, Floats, Ints


class Span(NamedTuple):
    """Between which prices an instrument stood, the quote before the stretch included."""

    low_bid: float
    high_bid: float
    low_ask: float
    high_ask: float


class Merged(NamedTuple):
    """Rows that move a price of one of two instruments, and after each the place of the price that each stands at."""

    at: Ints
    bought: Ints
    sold: Ints


class Stretch:
    """Rows that are looked at together."""

    __slots__ = ("_merged", "_moved", "_spans", "paths", "ranges", "slots", "stop", "tracks")

    def __init__(
        self, slots: Sequence[InstrumentSlot], tracks: Sequence[Track], ranges: Sequence[Range], stop: int
    ) -> None:
        self.slots = slots
        self.tracks = tracks
        self.ranges = ranges
        """By slot: the numbers of its rows."""
        self.stop = stop
        self._moved = [range_of(track.moved_numbers, *rows) for track, rows in zip(tracks, ranges, strict=True)]
        self._spans = [self._span(slot.index) for slot in slots]
        self._merged: dict[tuple[int, int], Merged] = {}
        self.paths: dict[RouteEdge, tuple[Ints, Floats]] = {}
        """What each route offers along it, where somebody has asked."""

    def span(self, slot: InstrumentSlot) -> Span | None:
        """None without a quote."""
        return self._spans[slot.index]

    def first_move(self, slot: InstrumentSlot) -> int:
        """The first row that moves its price; the stretch's end where none does."""
        low, high = self._moved[slot.index]
        return int(self.tracks[slot.index].moved_at[low]) if low < high else self.stop

    def merged(self, buy: InstrumentSlot, sell: InstrumentSlot) -> Merged:
        """The rows that move a price of either; the same for both directions."""
        known = self._merged.get((buy.index, sell.index))
        if known is None:
            buy_at, sell_at = (self.tracks[one.index].moved_at[slice(*self._moved[one.index])] for one in (buy, sell))
            at = np.sort(np.concatenate((buy_at, sell_at)), kind="stable")
            known = Merged(at, np.searchsorted(buy_at, at, "right"), np.searchsorted(sell_at, at, "right"))
            self._merged[buy.index, sell.index] = known
            self._merged[sell.index, buy.index] = Merged(at, known.sold, known.bought)
        return known

    def prices(self, slot: InstrumentSlot, *, asks: bool) -> Floats:
        """Its prices: first the one that stands already, then the ones that it moves to."""
        track, (low, high), quote = self.tracks[slot.index], self._moved[slot.index], slot.quote
        assert quote is not None, "a side without a quote offers nothing"
        prices = (track.moved_ask if asks else track.moved_bid)[low:high]
        return np.concatenate(([quote.ask_price if asks else quote.bid_price], prices))

    def _span(self, index: int) -> Span | None:
        quote, track, (low, high) = self.slots[index].quote, self.tracks[index], self._moved[index]
        if quote is None:
            return None
        bid, ask = quote.bid_price, quote.ask_price
        if low == high:
            return Span(bid, bid, ask, ask)
        bids, asks = track.moved_bid[low:high], track.moved_ask[low:high]
        return Span(
            min(bid, float(bids.min())),
            max(bid, float(bids.max())),
            min(ask, float(asks.min())),
            max(ask, float(asks.max())),
        )


class RouteEdge:
    """One route's edge over stretches of rows."""

    __slots__ = ("_buys_at_bid", "_sells_at_ask", "_state")

    def __init__(self, state: RouteState) -> None:
        self._state = state
        self._buys_at_bid, self._sells_at_ask = state.route.priced[0].is_maker, state.route.priced[-1].is_maker

    def first_change(self, stretch: Stretch) -> int:
        """The first row after which it might be answered otherwise than now; the stretch's end where none is."""
        state = self._state
        if state.holding is not None:
            return self._first_exit(stretch)
        if state.watch.take_ratio is None:
            slots = (slot for slot in stretch.slots if slot.instrument in state.route.instruments)
            return min(stretch.first_move(slot) for slot in slots)
        bounds = self._bounds(stretch)
        if bounds is None:
            return stretch.stop
        low_bps, high_bps = bounds
        take_at_bps = state.watch.take_at_bps
        is_above = self.now_bps() >= take_at_bps
        if (low_bps >= take_at_bps) if is_above else (high_bps < take_at_bps):
            return stretch.stop
        at, gross = self._path(stretch)
        return _first((gross >= take_at_bps) != is_above, at, stretch.stop)

    def note_best(self, stretch: Stretch) -> None:
        """The best edge that was offered is told at the end of a run."""
        watch, bounds = self._state.watch, self._bounds(stretch)
        if watch.take_ratio is None or bounds is None:
            return
        best = watch.best_gross_bps
        if best is None or bounds[1] > best:
            _, gross = self._path(stretch)
            if len(gross):
                highest = float(gross.max())
                watch.best_gross_bps = highest if best is None else max(best, highest)

    def _first_exit(self, stretch: Stretch) -> int:
        state = self._state
        assert state.holding is not None
        bounds = state.watch.exit_bounds(state.holding)
        bought, sold = stretch.span(state.buy), stretch.span(state.sell)
        if bounds is None or bought is None or sold is None:
            return stretch.stop
        low_bps, high_bps = _bps(sold.low_ask, bought.high_bid), _bps(sold.high_ask, bought.low_bid)
        if bounds.low_bps < low_bps and high_bps < bounds.high_bps:
            return stretch.stop
        at, edge = self._edge(stretch, buys_at_ask=False, sells_at_ask=True, rate=1.0)
        return _first((edge <= bounds.low_bps) | (edge >= bounds.high_bps), at, stretch.stop)

    def _bounds(self, stretch: Stretch) -> tuple[float, float] | None:
        """No moment of the stretch offered less or more than this."""
        bought, sold = stretch.span(self._state.buy), stretch.span(self._state.sell)
        if bought is None or sold is None:
            return None
        buy = (bought.low_bid, bought.high_bid) if self._buys_at_bid else (bought.low_ask, bought.high_ask)
        sell = (sold.low_ask, sold.high_ask) if self._sells_at_ask else (sold.low_bid, sold.high_bid)
        rate = self._state.watch.rate
        return _bps(sell[0] * rate, buy[1]), _bps(sell[1] * rate, buy[0])

    def first_above(self, stretch: Stretch, bps: float) -> int:
        """The first row after which so much is offered; the stretch's end where none is."""
        bounds = self._bounds(stretch)
        if bounds is None or bounds[1] < bps:
            return stretch.stop
        at, gross = self._path(stretch)
        return _first(gross >= bps, at, stretch.stop)

    def taken_at(
        self, stretch: Stretch, moments_ns: Ints, times: Sequence[int], above_bps: float
    ) -> Iterator[tuple[int, float]]:
        """What takers are offered on both sides at some moments, rows of the same time not included.

        Where it never is above a figure, the last moment stands for all. `times` are those of all rows.
        """
        bought, sold = stretch.span(self._state.buy), stretch.span(self._state.sell)
        if bought is None or sold is None:
            return
        highest_bps = _bps(sold.high_bid, bought.low_ask)
        if highest_bps <= above_bps:
            yield int(moments_ns[-1]), highest_bps
            return
        at, gross = self._edge(stretch, buys_at_ask=True, sells_at_ask=False, rate=1.0)
        buy, sell = self._state.buy.quote, self._state.sell.quote
        assert buy is not None
        assert sell is not None
        gross = np.concatenate(([_bps(sell.bid_price, buy.ask_price)], gross))
        stood = gross[np.searchsorted(np.asarray(times)[at], moments_ns)]
        yield from zip(moments_ns.tolist(), stood.tolist(), strict=True)

    def now_bps(self) -> float:
        """What is offered at the newest quotes; minus infinity without one."""
        buy, sell = self._state.buy.quote, self._state.sell.quote
        if buy is None or sell is None:
            return -inf
        buy_price = buy.bid_price if self._buys_at_bid else buy.ask_price
        sell_price = sell.ask_price if self._sells_at_ask else sell.bid_price
        return _bps(sell_price * self._state.watch.rate, buy_price)

    def _path(self, stretch: Stretch) -> tuple[Ints, Floats]:
        """The gross edge after every row that moves a price of either side; places in the piece, and bps."""
        known = stretch.paths.get(self)
        if known is None:
            known = stretch.paths[self] = self._edge(
                stretch,
                buys_at_ask=not self._buys_at_bid,
                sells_at_ask=self._sells_at_ask,
                rate=self._state.watch.rate,
            )
        return known

    def _edge(self, stretch: Stretch, *, buys_at_ask: bool, sells_at_ask: bool, rate: float) -> tuple[Ints, Floats]:
        """Element by element what a watch computes."""
        buy, sell = self._state.buy, self._state.sell
        rows = stretch.merged(buy, sell)
        bought, sold = stretch.prices(buy, asks=buys_at_ask), stretch.prices(sell, asks=sells_at_ask)
        return rows.at, (sold[rows.sold] * rate / bought[rows.bought] - 1.0) * 1e4


def _bps(sell: float, buy: float) -> float:
    return (sell / buy - 1.0) * 1e4


def _first(is_other: Bits, at: Ints, stop: int) -> int:
    return int(at[int(np.argmax(is_other))]) if is_other.any() else stop
