"""Everything of Binance on one port: the routes, and what a server tells them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.clock import Clock
from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Desk
from exchanges.simulator.binance.gateway import Gateway
from exchanges.simulator.binance.limits import Limits
from exchanges.simulator.binance.rest import MAX_BODY_BYTES, Rest
from exchanges.simulator.binance.sockets import (
    LINEAR_API,
    LINEAR_STREAMS,
    SPOT_API,
    SPOT_STREAMS,
    Handler,
    Manners,
    Sockets,
)
from exchanges.simulator.binance.streams import Streams
from exchanges.simulator.binance.ws_api import WsApi
from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_binance import BinanceFrames
from exchanges.simulator.faults.frames import FrameFaults
from exchanges.simulator.faults.request_fates import RequestFates
from exchanges.simulator.faults.requests import request_faults


@dataclass(frozen=True, slots=True)
class Options:
    """Limits and manners; None and the defaults are Binance's own."""

    limits: dict[Segment, Limits] | None = None
    spot_streams: Manners = SPOT_STREAMS
    linear_streams: Manners = LINEAR_STREAMS
    spot_api: Manners = SPOT_API
    linear_api: Manners = LINEAR_API


class BinanceServer:
    """One simulated Binance; make it within the running loop, before the market moves on."""

    def __init__(
        self, exchange: Exchange, clock: Clock, options: Options | None = None, faults: FaultDesk | None = None
    ) -> None:
        options = options or Options()
        self.faults = faults or FaultDesk(clock)
        """What is to go wrong."""
        self.gateway = Gateway(Desk(exchange, clock, options.limits), self.faults)
        self.sockets = Sockets(clock, FrameFaults(self.faults, BinanceFrames(self.gateway.desk.now_ms)))
        self._clock = clock
        self._rest = Rest(self.gateway)
        self._streams = Streams(self.gateway, self.sockets, spot=options.spot_streams, linear=options.linear_streams)
        fates = RequestFates(self.faults, clock)
        self._api = WsApi(self.gateway, self.sockets, fates, spot=options.spot_api, linear=options.linear_api)

    def routes(self) -> Sequence[web.RouteDef]:
        """Everything below Binance's prefixes, to be added to any application."""
        everything: list[tuple[str, Handler]] = [
            ("/api/{below:.*}", self._rest.spot),
            ("/sapi/{below:.*}", self._rest.spot),
            ("/fapi/{below:.*}", self._rest.linear),
            ("/futures/data/{below:.*}", self._rest.linear),
        ]
        sockets: list[tuple[str, Handler]] = [
            ("/{kind:ws|stream}", self._streams.spot),
            ("/{kind:ws|stream}/{below:.*}", self._streams.spot),
            ("/{route:public|market|private}/{kind:ws|stream}", self._streams.linear),
            ("/{route:public|market|private}/{kind:ws|stream}/{below:.*}", self._streams.linear),
            ("/ws-api/v3", self._api.spot),
            ("/ws-fapi/v1", self._api.linear),
        ]
        return [
            *(web.route("*", path, handler) for path, handler in everything),
            *(web.route("GET", path, handler) for path, handler in sockets),
        ]

    def middleware(self) -> Middleware:
        """What does to HTTP requests what is to go wrong."""
        return request_faults(self.faults, self._clock)

    def close(self) -> None:
        """Close every connection and stop every timer and listener."""
        self.sockets.close_all(1001, "Going away")
        self.gateway.close()


def application(server: BinanceServer) -> web.Application:
    """An application that serves it alone, and closes it at shutdown."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[server.middleware()])
    app.add_routes(server.routes())

    async def close(_: web.Application) -> None:
        server.close()

    app.on_shutdown.append(close)
    return app


def routes(exchange: Exchange, clock: Clock, options: Options | None = None) -> web.Application:
    """One simulated Binance as an application of its own."""
    return application(BinanceServer(exchange, clock, options))
