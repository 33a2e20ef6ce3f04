"""A simulated Kraken as a set of routes under `/0` and `/kraken`."""

from aiohttp import web

from bot.clock import Clock
from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.kraken.pairs import Pairs
from exchanges.simulator.kraken.rest import KrakenRest
from exchanges.simulator.kraken.stream import KrakenStream


class KrakenGateway:
    """The protocol of one exchange. Make it, mount `routes` on a server, `close` it when the server shuts down."""

    def __init__(self, exchange: Exchange, clock: Clock, *, is_counting: bool = True) -> None:
        """`is_counting`: whether a key may be asked for too much."""
        pairs = Pairs(exchange.venue, exchange.market.listings)
        self._rest = KrakenRest(exchange, pairs, clock, is_counting=is_counting)
        self._stream = KrakenStream(exchange, pairs, clock)

    def routes(self) -> list[web.RouteDef]:
        """All of it."""
        return [
            web.get("/0/public/{method}", self._rest.public),
            web.post("/0/private/{method}", self._rest.private),
            web.get("/kraken/v2", self._stream.serve),
        ]

    async def close(self) -> None:
        """Close every socket; do nothing any more."""
        self._rest.close()
        await self._stream.close()
