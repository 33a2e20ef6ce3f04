"""Own trades at Kraken, page by page: all of them, or an error."""

import asyncio
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.errors import RateLimited, VenueUnavailable
from exchanges.kraken.dialect import KrakenDialect

SINCE_MS = 1_795_000_000_000


class Client:
    """ccxt's, of an account with so many trades, newest first."""

    def __init__(self, trades: int) -> None:
        self.rows = [
            {"id": str(number), "symbol": "BTC/USD", "timestamp": SINCE_MS + number}
            for number in reversed(range(trades))
        ]

    async def fetch_my_trades(
        self, symbol: Any, since: int, limit: Any, params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        assert since <= SINCE_MS
        return self.rows[params["ofs"] : params["ofs"] + 50]


def asked(trades: int) -> int:
    dialect = KrakenDialect(SystemClock())
    return len(asyncio.run(dialect.trades_since(Client(trades), {"BTC/USD"}, SINCE_MS)))


@pytest.mark.parametrize("trades", [0, 1, 49, 50, 51, 120])
def test_every_page_is_read(trades: int) -> None:
    assert asked(trades) == trades


def test_a_history_that_does_not_end_is_not_taken_for_all_of_it() -> None:
    with pytest.raises(VenueUnavailable, match="tells no end"):
        asked(20 * 50)


class Narrow:
    """Lets one question through at a time, and turns the next away."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._has_room = False

    async def fetch_order_trades(
        self, order: str, symbol: Any, since: Any, limit: Any, params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        self._has_room = not self._has_room
        if not self._has_room:
            raise RateLimited("kraken", "not asked")
        self.asked += params["trades"]
        return [{"id": one} for one in params["trades"]]


def test_what_has_been_told_of_an_orders_trades_is_not_asked_for_again() -> None:
    """An order of many trades would take up the counter each time, and have all of them never."""
    dialect, client = KrakenDialect(SystemClock()), Narrow()
    named = [str(number) for number in range(50)]
    row = {"id": "O", "info": {"trades": named[:40]}}
    for _ in range(2):
        with pytest.raises(RateLimited):
            asyncio.run(dialect.trades_of(client, row))
    assert [one["id"] for one in asyncio.run(dialect.trades_of(client, row))] == named[:40]
    grown = {"id": "O", "info": {"trades": named}}
    with pytest.raises(RateLimited):
        asyncio.run(dialect.trades_of(client, grown))
    assert [one["id"] for one in asyncio.run(dialect.trades_of(client, grown))] == named
    assert client.asked == named
