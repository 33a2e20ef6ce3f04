"""What every request passes before a venue answers it."""

from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler


class OpenSockets:
    """Counts the WebSockets that are open, by venue."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter(binance=0, bybit=0)

    @web.middleware
    async def follow(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a WebSocket for as long as it is served."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await handler(request)
        venue = "bybit" if request.path.startswith("/v5/") else "binance"
        self.count[venue] += 1
        try:
            return await handler(request)
        finally:
            self.count[venue] -= 1


@web.middleware
async def let_go(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a client go that hangs up in the middle of its request, or breaks it off: no mistake of ours to be logged."""
    try:
        return await handler(request)
    except (ConnectionResetError, web.RequestPayloadError):
        return web.Response(status=400)
