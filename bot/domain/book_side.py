"""One side of an order book: levels by price, best first."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from bot.errors import MalformedPayload

PrintedLevel = tuple[str, str]
"""Price and quantity, digits as the venue printed them."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What taking a quantity from one side gets."""

    quantity: float
    """What the known levels give of it, in the venue's units: less than asked for where they end."""
    notional: float
    """Σ price × quantity over the levels taken; divided by `quantity` it is the average price."""
    worst_price: float | None
    """Of the last level taken; None where nothing is."""


class BookSide:
    """Levels in a dict, and their prices sorted in a list: a change of a level costs no search, a new one a short one.

    Keys are prices, negative for bids, so that on both sides the best comes first.
    """

    __slots__ = ("_horizon", "_keys", "_levels", "_sign")

    def __init__(self, *, is_bid: bool) -> None:
        self._sign = -1.0 if is_bid else 1.0
        self._keys: list[float] = []
        self._levels: dict[float, tuple[float, PrintedLevel]] = {}
        self._horizon = inf
        """The last key up to which every level is known."""

    def __len__(self) -> int:
        return len(self._keys)

    def clear(self) -> None:
        """Forget every level."""
        self._keys.clear()
        self._levels.clear()
        self._horizon = inf

    def apply(self, changes: Iterable[PrintedLevel]) -> None:
        """Set each level to its quantity; 0 deletes it, and deleting one that is not there is normal.

        Raises:
            MalformedPayload: At the first price that is not above zero and finite, or quantity that is below zero or
                not finite; what came before it is in place.
        """
        try:
            self._apply(changes)
        except (TypeError, ValueError):
            raise MalformedPayload("a level's price or quantity is not a number") from None

    def _apply(self, changes: Iterable[PrintedLevel]) -> None:
        sign, keys, levels, horizon = self._sign, self._keys, self._levels, self._horizon
        for printed in changes:
            price, quantity = float(printed[0]), float(printed[1])
            if not (0.0 < price < inf and 0.0 <= quantity < inf):  # NaN is in no range
                raise MalformedPayload("a level's price or quantity is out of range")
            key = sign * price
            if quantity == 0.0:
                if levels.pop(key, None) is not None:
                    del keys[bisect_left(keys, key)]
            elif key in levels:
                levels[key] = quantity, printed
            elif key <= horizon:
                insort(keys, key)
                levels[key] = quantity, printed

    def keep(self, depth: int, *, window: bool) -> None:
        """Keep the best `depth` levels.

        Args:
            depth: How many.
            window: Whether the venue says when another level comes into view. Otherwise a side that is full is only
                known up to its last level, and levels behind that one are let pass from now on.
        """
        keys = self._keys
        for key in keys[depth:]:
            del self._levels[key]
        del keys[depth:]
        if not window and len(keys) == depth:
            self._horizon = keys[-1]

    @property
    def is_partial(self) -> bool:
        """Whether the venue has, or may have, levels behind the last one known."""
        return self._horizon != inf

    @property
    def best_price(self) -> float | None:
        """None while there is no level."""
        return self._sign * self._keys[0] if self._keys else None

    def levels(self, depth: int | None = None) -> list[tuple[float, float]]:
        """The best `depth` levels (None: all) as price and quantity, best first."""
        sign, levels = self._sign, self._levels
        return [(sign * key, levels[key][0]) for key in self._keys[:depth]]

    def printed(self, depth: int | None = None) -> list[PrintedLevel]:
        """The best `depth` levels (None: all) with the venue's digits, best first."""
        levels = self._levels
        return [levels[key][1] for key in self._keys[:depth]]

    def quantity_at(self, price: float) -> float:
        """What stands at `price`; 0 where nothing does."""
        level = self._levels.get(self._sign * price)
        return 0.0 if level is None else level[0]

    def sweep(self, quantity: float, limit_price: float | None = None) -> Sweep:
        """What an order for `quantity` takes at once, best level first, none beyond `limit_price`."""
        sign, levels = self._sign, self._levels
        last = inf if limit_price is None else sign * limit_price
        taken = notional = 0.0
        worst: float | None = None
        for key in self._keys:
            part = min(quantity - taken, levels[key][0])
            if part <= 0.0 or key > last:
                break
            worst = sign * key
            taken += part
            notional += part * worst
        return Sweep(taken, notional, worst)
