"""What became of a request that a venue answered with an error: refused for what it asked, or nobody knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import OrderRejected, VenueError, VenueUnavailable

Code = int | str
"""A number, or a word that the venue documents as one does a number (Kraken's `EOrder:Unknown order`)."""


class ServerFault(VenueUnavailable):
    """A fault inside the venue: the request may have done what it asked."""


class Refusal(VenueError):
    """The venue refused one request for what it asked; `code` is the venue's."""

    def __init__(self, codes: "RefusalCodes", code: Code, message: str) -> None:
        super().__init__(codes.venue, message)
        self._codes = codes
        self.code = code

    @property
    def is_no_such_order(self) -> bool:
        """Whether it says that the order is unknown, or over."""
        return self.code in self._codes.no_such_order

    @property
    def may_exist(self) -> bool:
        """Whether an order of this client order id may be there already."""
        return self.code in self._codes.may_exist or self.exists

    @property
    def exists(self) -> bool:
        """Whether it says that an order of this client order id is there already, and nothing else."""
        return self.code in self._codes.exists

    @property
    def is_definite(self) -> bool:
        """Whether the venue documents that nothing came of it; a code that nobody knows promises nothing."""
        return self._codes.is_definite(self.code)

    def of_order(self, client_order_id: str) -> OrderRejected:
        """The same of a new order: a class by its code."""
        return self._codes.rejections.get(self.code, OrderRejected)(client_order_id, str(self))


@dataclass(frozen=True, slots=True)
class RefusalCodes:
    """What one venue's codes mean."""

    venue: str
    no_such_order: frozenset[Any]
    may_exist: frozenset[Any]
    """What an order of this id that is there already is told, among other things."""
    exists: frozenset[Any]
    """What it is told, and nothing else."""
    is_definite: Callable[[Any], bool]
    """Whether a code belongs to those that say: refused, for what was asked."""
    rejections: Mapping[Any, type[OrderRejected]]
