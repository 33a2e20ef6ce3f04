"""The stream endpoints: spot `/ws` and `/stream`, futures below `/public`, `/market` and `/private`."""

from collections.abc import Callable
from urllib.parse import unquote

from aiohttp import web

from bot.domain.instrument import Segment
from exchanges.simulator.binance.gateway import Gateway
from exchanges.simulator.binance.hub import Hub
from exchanges.simulator.binance.outlet import Outlet
from exchanges.simulator.binance.sockets import LINEAR_STREAMS, SPOT_STREAMS, Manners, Sockets
from exchanges.simulator.binance.stream_session import CommandError, StreamSession
from exchanges.simulator.faults.frame_dialect import Label

_POLICY = 1008


class Streams:
    """Accepts stream connections of both segments."""

    def __init__(
        self, gateway: Gateway, sockets: Sockets, *, spot: Manners = SPOT_STREAMS, linear: Manners = LINEAR_STREAMS
    ) -> None:
        self._gateway = gateway
        self._sockets = sockets
        self._manners = {Segment.SPOT: spot, Segment.LINEAR: linear}
        self._hubs = {segment: Hub(gateway.desk, segment) for segment in self._manners}

    async def spot(self, request: web.Request) -> web.StreamResponse:
        """`/ws[/<streams>]` raw, `/stream?streams=` combined."""
        return await self._serve(request, Segment.SPOT, None)

    async def linear(self, request: web.Request) -> web.StreamResponse:
        """The same below a route."""
        return await self._serve(request, Segment.LINEAR, request.match_info["route"])

    async def _serve(self, request: web.Request, segment: Segment, route: str | None) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=400, text="Bad Request")
        below = request.match_info.get("below", "")
        # `/stream/ws` is what clients use to be recognised as spot; it is raw like `/ws`.
        combined = request.match_info["kind"] == "stream" and below.split("/")[0] != "ws"
        names = [name for name in unquote(below).split("/") if name and name != "ws"]
        names += [name for name in request.query.get("streams", "").split("/") if name]
        manners = self._manners[segment]

        def serve(outlet: Outlet) -> tuple[Callable[[str], None], Callable[[], None]]:
            private = _Private(self._gateway, outlet, request.query.get("events", ""))
            session = StreamSession(
                self._hubs[segment],
                outlet,
                route,
                combined=combined,
                most=manners.max_streams,
                joins=lambda name: private.join(name, combined=session.combined),
            )
            if route == "private":
                names.extend(request.query.getall("listenKey", []))
            try:
                session.subscribe(names)
            except CommandError as error:
                outlet.close(_POLICY, error.message[:100])

            def end() -> None:
                session.end()
                private.end()

            return session.on_text, end

        return await self._sockets.run(request, manners, Label(segment, route or "public"), serve)


class _Private:
    """User streams of one connection, by listen key."""

    def __init__(self, gateway: Gateway, outlet: Outlet, events: str) -> None:
        self._gateway = gateway
        self._outlet = outlet
        self._wanted = frozenset(one for one in events.split("/") if one)
        self._stops: dict[str, Callable[[], None]] = {}
        self._combined = False
        gateway.listen_keys.on_end.append(self._key_ended)

    def join(self, key: str, *, combined: bool) -> bool:
        """Listen to the account of a key; False where it is no key that lives (the connection stays, silent)."""
        self._combined = combined
        api_key = self._gateway.listen_keys.owner(key)
        account = self._gateway.desk.exchange.account(api_key) if api_key else None
        if api_key is None or account is None:
            return False
        self.leave(key)
        feed = self._gateway.feeds.of(api_key, account, Segment.LINEAR)
        self._stops[key] = feed.listen(lambda kind, text: self._tell(key, kind, text))
        return True

    def _tell(self, key: str, kind: str, text: str) -> None:
        if self._wanted and kind not in self._wanted:
            return
        self._outlet.say(f'{{"stream":"{key}","data":{text}}}' if self._combined else text)

    def leave(self, key: str) -> None:
        """Stop listening to one key."""
        stop = self._stops.pop(key, None)
        if stop is not None:
            stop()

    def _key_ended(self, key: str, expired: bool) -> None:
        if key not in self._stops:
            return
        self.leave(key)
        if expired:
            # The socket stays open and says nothing more.
            ms = self._gateway.desk.now_ms()
            self._tell(key, "listenKeyExpired", f'{{"e":"listenKeyExpired","E":{ms},"listenKey":"{key}"}}')

    def end(self) -> None:
        """Stop listening at all."""
        self._gateway.listen_keys.on_end.remove(self._key_ended)
        for key in list(self._stops):
            self.leave(key)
