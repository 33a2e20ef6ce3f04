"""Where ccxt's venues differ although ccxt's calls are the same: one venue's own way with orders."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from bot.domain.order import Order

Row = Mapping[str, Any]
"""An order or a trade as ccxt shows it; numbers are text."""


class Dialect(Protocol):
    """One venue's."""

    venue: str

    def terms(self, order: Order) -> dict[str, Any]:
        """What ccxt's `create_order` is told of an order besides symbol, side, type, quantity and price."""

    def own_id(self, row: Row) -> str:
        """Our client order id of an order, as we spell it; empty where it has none."""

    async def find(self, client: Any, order: Order, venue_order_id: str | None) -> Row | None:
        """An order by its client order id; by the venue's where that is known. None: the venue knows none.

        Raises what ccxt raises, and `VenueError`.
        """

    async def cancel(self, client: Any, order: Order, venue_order_id: str | None) -> None:
        """Ask to cancel it, by whichever id is known.

        Raises what ccxt raises, and `VenueError`.
        """

    async def trades_of(self, client: Any, order: Row) -> Sequence[Row]:
        """Every trade of an order that `find` gave.

        Raises what ccxt raises, and `VenueError`.
        """

    async def trades_since(self, client: Any, symbols: Collection[str], since_ms: int) -> Sequence[Row]:
        """Own trades since then.

        Raises what ccxt raises, and `VenueError`.
        """

    async def names(self, client: Any, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        """Our client order id by the venue's.

        Raises what ccxt raises, and `VenueError`.
        """
