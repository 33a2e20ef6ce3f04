"""A simulated Kraken as a set of routes under `/0` and `/kraken`."""

from aiohttp import web

from bot.clock import Clock
from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.kraken.pairs import Pairs
from exchanges.simulator.kraken.rest import KrakenRest


class KrakenGateway:
    """The protocol of one exchange. Make it, mount `routes` on a server, `close` it when the server shuts down."""

    def __init__(self, exchange: Exchange, clock: Clock, *, is_counting: bool = True) -> None:
        """`is_counting`: whether a key may be asked for too much."""
        self._rest = KrakenRest(
            exchange, Pairs(exchange.venue, exchange.market.listings), clock, is_counting=is_counting
        )

    def routes(self) -> list[web.RouteDef]:
        """All of it."""
        return [
            web.get("/0/public/{method}", self._rest.public),
            web.post("/0/private/{method}", self._rest.private),
        ]

    def close(self) -> None:
        """Do nothing any more."""
        self._rest.close()
