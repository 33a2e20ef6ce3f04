"""Requests whose first line or headers are too long: read as far as the exchanges would, and refused in their words.

Longer ones still are cut off by the HTTP parser, before anybody knows which exchange they are for.
"""

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.clock import Clock
from exchanges.simulator.bybit.wire import envelope

LONGEST = 8_190
"""Of the first line and of each header, bytes: what web servers in front of exchanges take."""
PARSER: dict[str, Any] = {"max_line_size": 64 * 1024, "max_field_size": 64 * 1024}
"""For `web.AppRunner`: what is read before a connection is cut."""
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"


class LongLines:
    """Refuses them; outermost, since nothing may be done with what is refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @web.middleware
    async def refuse(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Binance's front answers with a page, Bybit with 10001."""
        url_is_long = len(request.raw_path) > LONGEST
        if not url_is_long and all(len(name) + len(value) <= LONGEST for name, value in request.raw_headers):
            return await handler(request)
        return self._of_bybit() if request.path.startswith("/v5/") else _of_binance(url_is_long=url_is_long)

    def _of_bybit(self) -> web.Response:
        text = envelope(None, self._clock.now_ns() // 1_000_000, code=10001, message="params error: request too long")
        return web.Response(text=text, content_type="application/json")


def _of_binance(*, url_is_long: bool) -> web.Response:
    status, words = (414, "414 Request-URI Too Large") if url_is_long else (400, "400 Request Header Too Large")
    return web.Response(status=status, text=_PAGE.format(words), content_type="text/html")
