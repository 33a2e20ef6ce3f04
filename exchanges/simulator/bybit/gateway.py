"""A simulated Bybit as a set of routes under `/v5`."""

from functools import partial

from aiohttp import web

from bot.clock import Clock
from exchanges.simulator.bybit.catalogue import CATEGORIES, Catalogue
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.bybit.hub import Hub
from exchanges.simulator.bybit.limits import KeyLimits
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.private_socket import PrivateSocket
from exchanges.simulator.bybit.protection import Protection
from exchanges.simulator.bybit.public_socket import PublicSocket
from exchanges.simulator.bybit.requests import Venue
from exchanges.simulator.bybit.rest import Rest
from exchanges.simulator.bybit.sockets import Sockets
from exchanges.simulator.bybit.trade_socket import TradeSocket
from exchanges.simulator.core.ports import Account, Exchange
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_bybit import BybitFrames
from exchanges.simulator.faults.frame_dialect import Label
from exchanges.simulator.faults.frames import FrameFaults
from exchanges.simulator.faults.request_fates import RequestFates
from exchanges.simulator.faults.requests import request_faults

_MS = 1_000_000


class BybitGateway:
    """The protocol of one exchange. Make it, mount `routes` on a server, `close` it when the server shuts down."""

    def __init__(
        self, exchange: Exchange, clock: Clock, options: BybitOptions | None = None, faults: FaultDesk | None = None
    ) -> None:
        """Listen to the exchange's market from now on; `faults` is what is to go wrong."""
        self.faults = faults or FaultDesk(clock)
        options = options or BybitOptions()
        catalogue = Catalogue(exchange.venue, exchange.market.listings)
        hub = Hub(exchange, catalogue, clock, options)
        protection = Protection(exchange, catalogue, clock)
        self._clock = clock
        self._venue = Venue(exchange, catalogue, hub, KeyLimits(options), protection, options)
        self._customers: dict[str, Customer] = {}
        self._rest = Rest(self._venue, self._customer)
        frames = BybitFrames(lambda: exchange.now_ns() // _MS)
        self._sockets = Sockets(options, FrameFaults(self.faults, frames))
        self._fates = RequestFates(self.faults, clock)

    def routes(self) -> list[web.RouteDef]:
        """All of it, under `/v5`."""
        return [
            web.get("/v5/public/{category}", self._public),
            web.get("/v5/private", self._private),
            web.get("/v5/trade", self._trade),
            web.route("*", "/v5/{rest:.*}", self._rest.handle),
        ]

    async def close(self) -> None:
        """Close every socket; hear and say nothing any more."""
        await self._sockets.close()
        self._venue.protection.close()
        self._venue.hub.close()
        for customer in self._customers.values():
            customer.close()

    def _customer(self, key: str, account: Account) -> Customer:
        known = self._customers.get(key)
        if known is None:
            venue = self._venue
            known = Customer(key, account, venue.catalogue, venue.hub, self._clock, venue.options, self.faults)
            self._customers[key] = known
        return known

    async def _public(self, request: web.Request) -> web.StreamResponse:
        category = request.match_info["category"]
        if category not in CATEGORIES:
            return web.Response(status=404, text="404 page not found")
        label = Label(CATEGORIES[category], "public")
        return await self._sockets.serve(request, label, partial(self._public_socket, category))

    def _public_socket(self, category: str, connection: Connection) -> PublicSocket:
        venue = self._venue
        return PublicSocket(category, connection, venue.hub, venue.catalogue, venue.options)

    async def _private(self, request: web.Request) -> web.StreamResponse:
        return await self._sockets.serve(request, Label(None, "private"), self._private_socket)

    def _private_socket(self, connection: Connection) -> PrivateSocket:
        return PrivateSocket(connection, self._venue.exchange, self._customer, self._venue.protection)

    async def _trade(self, request: web.Request) -> web.StreamResponse:
        return await self._sockets.serve(request, Label(None, "trade"), self._trade_socket)

    def _trade_socket(self, connection: Connection) -> TradeSocket:
        return TradeSocket(connection, self._venue, self._customer, self._fates)


def application(
    exchange: Exchange, clock: Clock, options: BybitOptions | None = None, faults: FaultDesk | None = None
) -> web.Application:
    """One exchange alone on an application of its own; it closes with the application."""
    gateway = BybitGateway(exchange, clock, options, faults)
    app = web.Application(middlewares=[request_faults(gateway.faults, clock)])
    app.add_routes(gateway.routes())

    async def shut(_: web.Application) -> None:
        await gateway.close()

    # On shutdown, not on cleanup: aiohttp waits in between for the sockets to go by themselves.
    app.on_shutdown.append(shut)
    return app
