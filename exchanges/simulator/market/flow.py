"""What the market's participants do to one book, one step at a time.

Quotes stand while the fair price stays near them. When it has left, they follow within milliseconds: orders in the way
are traded or cancelled, the other side moves up behind them. Between such moves sizes change and small trades print.
"""

import math

from exchanges.simulator.core.values import MarketEvent
from exchanges.simulator.market.book import Book
from exchanges.simulator.market.book_side import BookSide
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.listings import Habits
from exchanges.simulator.market.scenarios import Scenario
from exchanges.simulator.market.shape import Grid, Shape

_FEWEST, _USUAL, _MOST = 250, 400, 500
"""Levels of a side."""
_TRADE_CHANCE = 0.055
_DRAINED = 0.97
"""Above it, nearly all of a best price is gone in one go, without a trade."""
_MORE_PRINTS = 0.7
_SWEPT_BY_TRADE = 3.0
"""Mean levels that trade when prices move; the others are cancelled."""
_SLACK_BPS = 0.03
"""Mean distance behind a cleared price at which the next quote stands at the latest."""
_LEFT_BEHIND = 16
"""The most orders that a price on its way leaves behind at a time."""
_WIDER_AFTER = 4
_NEAR, _FAR = 12.0, 90.0
"""Mean places behind the best price of changes there; half of them near."""
_DEEP_CHANGES_A_SECOND = 550.0
_DEEP_CHANGES = (3, 12)
"""Fewest and most at a time."""


class Flow:
    """Moves one book."""

    def __init__(
        self, book: Book, draws: Draws, grid: Grid, habits: Habits, scenario: Scenario, rate: float = 1.0
    ) -> None:
        """`rate` multiplies the changes of best prices; deeper ones come in their own time, but with each of those."""
        self._book = book
        self._draws = draws
        self._grid = grid
        self._shape = Shape(draws, grid)
        self._threshold = max(0.6, habits.threshold_bps * grid.bps_ticks)
        self._wide_share = min(0.9, habits.wide_share * scenario.spread)
        self._wide_ticks = max(1.0, habits.wide_bps * scenario.spread * grid.bps_ticks)
        self._slack_ticks = _SLACK_BPS * scenario.spread * grid.bps_ticks
        self._narrowest = max(1, round(scenario.spread))
        fewest, most = _DEEP_CHANGES
        a_change = _DEEP_CHANGES_A_SECOND / (habits.updates_a_second * rate)
        self._deep_changes = min(most, max(fewest, round(a_change)))
        self._bid = 0
        self._spread = 1
        self._patience = 0.0

    def open(self, fair: float) -> None:
        """Fill an empty book around a fair price in ticks."""
        self._anchor(fair)
        for side, key in ((self._book.bids, self._bid), (self._book.asks, -self._bid - self._spread)):
            side.set_market(key, max(1, int(self._grid.top_lots)))
            self._lengthen(side)
        self._book.begin()

    def step(self, fair: float, ts_ns: int) -> tuple[list[MarketEvent], bool]:
        """One change of the book; what is seen of it, and whether a best price moved."""
        if abs(fair - self._bid - self._spread / 2) > self._patience:
            self._anchor(fair)
        events: list[MarketEvent] = []
        moved = self._follow(ts_ns, events)
        if not moved:
            self._linger(ts_ns, events)
        events.extend(self._book.publish(ts_ns))
        return events, moved

    def mend(self) -> None:
        """Put far levels back after somebody took many."""
        for side, wanted in ((self._book.bids, self._bid), (self._book.asks, -self._bid - self._spread)):
            if not side.keys:
                side.set_market(wanted, self._shape.fresh())
            if len(side.keys) < _FEWEST:
                self._lengthen(side)

    def _anchor(self, fair: float) -> None:
        draws = self._draws
        self._spread = self._narrowest
        if draws.uniform() < self._wide_share:
            self._spread += int(draws.exponential() * self._wide_ticks)
        self._bid = max(1, math.floor(fair - self._spread / 2 + 0.5))
        self._patience = self._threshold * draws.between(0.4, 1.6) + self._spread / 2

    def _follow(self, ts_ns: int, events: list[MarketEvent]) -> bool:
        bids, asks = self._book.bids, self._book.asks
        bid_key, ask_key = self._bid, -self._bid - self._spread
        if _in_the_way(asks, ask_key, -bid_key):
            self._sweep(asks, ask_key, -bid_key, ts_ns, events)
        elif _in_the_way(bids, bid_key, -ask_key):
            self._sweep(bids, bid_key, -ask_key, ts_ns, events)
        elif (best := bids.best_market()) is None or best < bid_key:
            self._improve(bids, best, bid_key)
        elif (best := asks.best_market()) is None or best < ask_key:
            self._improve(asks, best, ask_key)
        else:
            return False
        return True

    def _sweep(self, side: BookSide, wanted: int, crossing: int, ts_ns: int, events: list[MarketEvent]) -> None:
        """Clear what is better than the wanted price, or a part of it; orders of accounts only where they cross."""
        draws = self._draws
        best = side.keys[-1]
        limit = wanted + int((best - wanted) * max(0.0, 0.8 - draws.uniform()))
        by_trade = 1 + int(draws.exponential() * _SWEPT_BY_TRADE)
        reached = min((key for key in side.own if key >= crossing and key > limit), default=best + 1)
        buys = side is self._book.asks
        for key in [key for key in reversed(side.keys) if key > limit]:
            # Trades first, from the best price on, then cancels: nobody may trade past what is still shown.
            if key >= reached or (by_trade > 0 and key not in side.own and key == side.keys[-1]):
                events += self._book.trade(buys=buys, key=key, lots=side.shown(key), ts_ns=ts_ns)
                by_trade -= 1
            elif key in side.market:
                side.set_market(key, 0)
        self._back_up(side, limit)
        if len(side.keys) < _FEWEST:
            self._lengthen(side)

    def _back_up(self, side: BookSide, limit: int) -> None:
        """Somebody quotes a little behind a price that was cleared, however hollow the book is there."""
        place = limit - int(self._draws.exponential() * self._slack_ticks)
        best = side.best_market()
        if best is None or best < place:
            side.set_market(place, self._shape.fresh())
            self._fill(side, place, place - self._shape.gap() if best is None else best)

    def _improve(self, side: BookSide, best: int | None, wanted: int) -> None:
        """Step up to the wanted price, all the way or a part of it, leaving orders behind on the way."""
        start = wanted - 1 if best is None else best
        distance = wanted - start
        step = max(1, min(distance, int(distance * (0.2 + self._draws.uniform())) + 1))
        side.set_market(start + step, self._shape.fresh())
        self._fill(side, start + step, start)
        for far in side.keys[: max(0, len(side.keys) - _MOST)]:
            side.set_market(far, 0)

    def _fill(self, side: BookSide, front: int, back: int) -> None:
        """Put orders between two prices, densest at the front."""
        key = front
        for place in range(1, _LEFT_BEHIND):
            key -= self._shape.gap() * (1 + place // _WIDER_AFTER)
            if key <= back:
                return
            side.set_market(key, self._shape.deep(place))

    def _linger(self, ts_ns: int, events: list[MarketEvent]) -> None:
        draws = self._draws
        side = self._book.bids if draws.uniform() < 0.5 else self._book.asks
        chance = draws.uniform()
        if chance < _TRADE_CHANCE:
            self._small_trades(side, ts_ns, events)
        else:
            key = side.best_market()
            assert key is not None  # `_follow` sees to it
            drained = chance > _DRAINED
            side.set_market(key, self._shape.fresh() if drained else self._shape.resized(side.market[key]))
        self._change_deep(side)

    def _small_trades(self, side: BookSide, ts_ns: int, events: list[MarketEvent]) -> None:
        """A few makers at the best price are hit; where the market stands there, something of it stays."""
        buys = side is self._book.asks
        key = side.keys[-1]
        while True:
            spare = side.shown(key) - (1 if key in side.market else 0)
            if spare <= 0:
                return
            events += self._book.trade(buys=buys, key=key, lots=min(spare, self._shape.traded()), ts_ns=ts_ns)
            if key not in side.market or self._draws.uniform() > _MORE_PRINTS:
                return

    def _change_deep(self, side: BookSide) -> None:
        """Orders come at a distance from the best price and go from a place in the queue of prices.

        Both are drawn from the same law, so that a hollow book fills up and a crowded one thins out.
        """
        # Most of what a market costs is spent here, so what the loop asks for is looked up once.
        keys, set_market, deep = side.keys, side.set_market, self._shape.deep
        uniform, exponential, gap_ticks = self._draws.uniform, self._draws.exponential, self._grid.gap_ticks
        for _ in range(self._deep_changes):
            chance = uniform()
            reach = exponential() * (_NEAR if chance < 0.5 else _FAR)
            what = chance * 4 % 2
            if what < 0.65:
                self._add_deep(side, 1 + int(reach * gap_ticks))
                continue
            place = 1 + int(reach)
            if place >= len(keys):
                continue
            if what >= 1.0:
                set_market(keys[-1 - place], deep(place))
            elif len(keys) > _FEWEST:
                set_market(keys[-1 - place], 0)

    def _add_deep(self, side: BookSide, distance: int) -> None:
        keys = side.keys
        key = keys[-1] - distance
        if len(keys) < _MOST and key > keys[0] and key not in side.market:
            side.set_market(key, self._shape.deep(self._shape.place_at(distance)))

    def _lengthen(self, side: BookSide) -> None:
        """Add far levels, as many as a book usually has; bids end at the lowest price there is."""
        shape = self._shape
        while len(side.keys) < _USUAL:
            key = side.keys[0] - shape.gap()
            if key < 1 and side is self._book.bids:
                return
            side.set_market(key, shape.deep(len(side.keys)))


def _in_the_way(side: BookSide, wanted: int, crossing: int) -> bool:
    best = side.best_market()
    if best is not None and best > wanted:
        return True
    return bool(side.own) and side.keys[-1] >= crossing
