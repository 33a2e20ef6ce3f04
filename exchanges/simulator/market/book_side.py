"""One side of a book, in whole ticks and lots: the market's quantity at each price, and queues of own orders.

Prices are kept as keys of which the larger is the better: ticks for bids, minus ticks for asks. So both sides are one
class, and the best price is the last of a sorted list, where taking it off costs nothing.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

from exchanges.simulator.core.values import Levels


class Resting:
    """An order of an account, waiting."""

    __slots__ = ("ahead", "lots", "number")

    def __init__(self, number: int, lots: int, ahead: int) -> None:
        self.number = number
        self.lots = lots
        self.ahead = ahead
        """The market's lots at the price that trade before it."""


Piece = tuple[int | None, int]
"""Who sold or bought (an order's number, or None for the market), and the lots."""


class BookSide:
    """Bids or asks."""

    __slots__ = ("_places", "keys", "market", "own", "touched")

    def __init__(self) -> None:
        self.keys: list[int] = []
        """Every price that holds something, best last."""
        self.market: dict[int, int] = {}
        """The market's own lots by key; none of them 0."""
        self.own: dict[int, list[Resting]] = {}
        """Orders of accounts by key, in the order in which they came."""
        self.touched: set[int] = set()
        """Keys whose quantity changed since this was last cleared."""
        self._places: dict[int, int] = {}

    def shown(self, key: int) -> int:
        """Lots at a price, of the market and of accounts."""
        lots = self.market.get(key, 0)
        if key in self.own:
            lots += sum(order.lots for order in self.own[key])
        return lots

    def take_touched(self, sign: int) -> Levels:
        """What is shown now where quantities changed since the last time, best first; `sign` turns keys into ticks."""
        # Sorted, because the order of a set is nobody's promise.
        keys = sorted(self.touched, reverse=True)
        self.touched.clear()
        return self._levels(keys, sign)

    def best(self, depth: int, sign: int) -> Levels:
        """The best levels, best first; `sign` turns keys into ticks."""
        return self._levels(self.keys[: -depth - 1 : -1], sign)

    def _levels(self, keys: Iterable[int], sign: int) -> Levels:
        if self.own:
            return tuple([(sign * key, self.shown(key)) for key in keys])
        # Nobody's orders wait on most sides most of the time, and this is done for every change of every book.
        lots = self.market.get
        return tuple([(sign * key, lots(key, 0)) for key in keys])

    def top(self) -> tuple[int, int]:
        """The best key and what is shown there; there must be one."""
        key = self.keys[-1]
        return key, (self.shown(key) if self.own else self.market[key])

    def best_market(self) -> int | None:
        """The best key at which the market itself stands; None where it stands nowhere."""
        if not self.own:
            return self.keys[-1] if self.keys else None
        return next((key for key in reversed(self.keys) if key in self.market), None)

    def set_market(self, key: int, lots: int) -> None:
        """Let the market show so many lots at a price; what it takes away leaves from the end of the queue."""
        market, own = self.market, self.own
        if lots <= 0:
            if key in market:
                del market[key]
                self._drop_if_empty(key)
        else:
            if key not in market and key not in own:
                insort(self.keys, key)
            market[key] = lots
        if key in own:
            for order in own[key]:
                order.ahead = min(order.ahead, max(0, lots))
        self.touched.add(key)

    def join(self, key: int, number: int, lots: int) -> None:
        """Add an order behind everything at its price."""
        if key not in self.market and key not in self.own:
            insort(self.keys, key)
        self.own.setdefault(key, []).append(Resting(number, lots, self.market.get(key, 0)))
        self._places[number] = key
        self.touched.add(key)

    def leave(self, number: int) -> int:
        """Take an order out; the lots it had left, 0 where it is not here."""
        key = self._places.pop(number, None)
        if key is None:
            return 0
        queue = self.own[key]
        order = next(order for order in queue if order.number == number)
        queue.remove(order)
        self._forget_queue_if_empty(key)
        self.touched.add(key)
        return order.lots

    def shrink(self, number: int, lots: int) -> bool:
        """Take lots off an order, which keeps its place; False where it is not here or would have none left."""
        key = self._places.get(number)
        order = None if key is None else next(one for one in self.own[key] if one.number == number)
        if key is None or order is None or order.lots <= lots:
            return False
        order.lots -= lots
        self.touched.add(key)
        return True

    def consume(self, key: int, lots: int) -> list[Piece]:
        """Trade lots at a price in the order of the queue; who gave them, at most what was shown."""
        self.touched.add(key)
        if key not in self.own:
            traded = min(lots, self.market[key])
            self._take_market(key, traded)
            return [(None, traded)]
        return self._consume_queue(key, lots)

    def _consume_queue(self, key: int, lots: int) -> list[Piece]:
        pieces: list[Piece] = []
        passed = 0
        for order in list(self.own[key]):
            waiting = min(lots, order.ahead - passed)
            if waiting > 0:
                pieces.append((None, waiting))
                passed, lots = passed + waiting, lots - waiting
            filled = min(lots, order.lots)
            if filled <= 0:
                break
            pieces.append((order.number, filled))
            order.lots, lots = order.lots - filled, lots - filled
        behind = min(lots, self.market.get(key, 0) - passed)
        if behind > 0:
            pieces.append((None, behind))
            passed += behind
        self._after_trade(key, passed)
        return pieces

    def _after_trade(self, key: int, passed: int) -> None:
        for order in self.own[key]:
            order.ahead = max(0, order.ahead - passed)
            if order.lots == 0:
                del self._places[order.number]
        self.own[key] = [order for order in self.own[key] if order.lots]
        if passed:
            self._take_market(key, passed)
        self._forget_queue_if_empty(key)

    def _take_market(self, key: int, lots: int) -> None:
        left = self.market[key] - lots
        if left:
            self.market[key] = left
        else:
            del self.market[key]
            self._drop_if_empty(key)

    def _forget_queue_if_empty(self, key: int) -> None:
        if not self.own[key]:
            del self.own[key]
            self._drop_if_empty(key)

    def _drop_if_empty(self, key: int) -> None:
        if key in self.market or key in self.own:
            return
        keys = self.keys
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]
