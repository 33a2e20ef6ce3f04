"""Bybit's listings by category and symbol, and how their prices and quantities are printed."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bot.domain.instrument import Segment
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.core.values import Listing

CATEGORIES = {"linear": Segment.LINEAR, "spot": Segment.SPOT}
_SUPPORTED_ELSEWHERE = ("inverse", "option")


class Grid:
    """Ticks and lots of one listing as text, by integer arithmetic."""

    __slots__ = ("_lot", "_lot_digits", "_lot_scale", "_tick", "_tick_digits", "_tick_scale")

    def __init__(self, listing: Listing) -> None:
        self._tick_digits = listing.price_digits
        self._lot_digits = listing.quantity_digits
        self._tick_scale = 10**listing.price_digits
        self._lot_scale = 10**listing.quantity_digits
        self._tick = int(listing.instrument.tick_size * self._tick_scale)
        self._lot = int(listing.instrument.lot_size * self._lot_scale)

    def price(self, ticks: int) -> str:
        """A price."""
        if not self._tick_digits:
            return str(ticks * self._tick)
        whole, rest = divmod(ticks * self._tick, self._tick_scale)
        return f"{whole}.{rest:0{self._tick_digits}d}"

    def quantity(self, lots: int) -> str:
        """A quantity; `0` is what deletes a level."""
        if not lots:
            return "0"
        if not self._lot_digits:
            return str(lots * self._lot)
        whole, rest = divmod(lots * self._lot, self._lot_scale)
        return f"{whole}.{rest:0{self._lot_digits}d}"

    def level(self, ticks: int, lots: int) -> str:
        """`["price","quantity"]` as JSON."""
        return f'["{self.price(ticks)}","{self.quantity(lots)}"]'

    def decimal_price(self, price: Decimal) -> str:
        """A price that may lie between ticks, with the digits of the grid."""
        return f"{price:.{self._tick_digits}f}"

    def decimal_quantity(self, quantity: Decimal) -> str:
        """A quantity with the digits of the grid."""
        return f"{quantity:.{self._lot_digits}f}"


class Entry:
    """One listing of Bybit's."""

    __slots__ = ("category", "grid", "index", "instrument", "segment", "symbol")

    def __init__(self, index: int, listing: Listing) -> None:
        self.index = index
        self.instrument = listing.instrument
        self.symbol = listing.symbol
        self.segment = listing.instrument.segment
        self.category = str(listing.instrument.segment)
        self.grid = Grid(listing)

    @property
    def is_spot(self) -> bool:
        """Whether it is a spot pair."""
        return self.segment is Segment.SPOT


class Catalogue:
    """What Bybit lists."""

    def __init__(self, venue: str, listings: Sequence[Listing]) -> None:
        self.entries = [Entry(i, one) for i, one in enumerate(listings) if one.instrument.venue == venue]
        self._by_symbol = {(entry.category, entry.symbol): entry for entry in self.entries}
        self._by_index = {entry.index: entry for entry in self.entries}

    def of(self, category: str) -> list[Entry]:
        """The listings of a category.

        Raises:
            ApiError: There is no such category.
        """
        self.check_category(category)
        return [entry for entry in self.entries if entry.category == category]

    def find(self, category: str, symbol: str) -> Entry:
        """One listing.

        Raises:
            ApiError: 10001 or, for spot, 170121.
        """
        self.check_category(category)
        entry = self._by_symbol.get((category, symbol))
        if entry is None:
            raise ApiError(170121, "Invalid symbol.") if category == "spot" else _no_symbol(symbol)
        return entry

    def get(self, category: str, symbol: str) -> Entry | None:
        """One listing, None where there is none."""
        return self._by_symbol.get((category, symbol))

    def at(self, index: int) -> Entry | None:
        """The listing of the market's index; None for another venue's."""
        return self._by_index.get(index)

    @staticmethod
    def check_category(category: Any) -> None:
        """Refuse what is no category, or none that trades here.

        Raises:
            ApiError: 10001.
        """
        if category not in CATEGORIES:
            words = "is not simulated" if category in _SUPPORTED_ELSEWHERE else "is invalid"
            raise ApiError(10001, f"params error: Category {words}")


def _no_symbol(symbol: str) -> ApiError:
    return ApiError(10001, "params error: symbol invalid " + symbol[:20])


def plain(number: Decimal) -> str:
    """A decimal without exponent and without idle zeros; 0 is `0`."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
