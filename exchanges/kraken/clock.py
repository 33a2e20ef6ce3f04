"""Kraken's clock, asked over a socket: its REST interface tells whole seconds, a pong microseconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from pydantic import ValidationError
from yarl import URL

from bot.errors import VenueUnavailable
from exchanges.common.requests.offset_watch import AskTime
from exchanges.kraken.endpoints import VENUE
from exchanges.kraken.quote_schemas import decode_pong

_PING = '{"method":"ping"}'
_PATIENCE_S = 5.0
_MAX_BYTES = 1_048_576
_BETWEEN = 20
"""Frames that may come between a ping and its pong."""
_MS = 1_000_000


@asynccontextmanager
async def asking_time(url: str) -> AsyncIterator[AskTime]:
    """A connection of its own, for the length of the block; what it gives answers Kraken's time, UTC ms.

    Raises:
        VenueUnavailable: Kraken cannot be reached, or does not say its time.
    """
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    # No proxy and no cookies: where facts come from is what the settings say, nothing else.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=timeout) as session:
        try:
            async with session.ws_connect(URL(url, encoded=True), max_msg_size=_MAX_BYTES) as socket:
                yield lambda: _time_ms(socket)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise VenueUnavailable(VENUE, f"its clock cannot be asked ({type(error).__name__})") from error


async def _time_ms(socket: aiohttp.ClientWebSocketResponse) -> int:
    await socket.send_str(_PING)
    for _ in range(_BETWEEN):
        message = await socket.receive(timeout=_PATIENCE_S)
        if message.type is not aiohttp.WSMsgType.TEXT:
            break
        if '"pong"' in message.data:
            return _sent_ms(message.data)
    raise VenueUnavailable(VENUE, "a ping was not answered")


def _sent_ms(text: str) -> int:
    try:
        return int(decode_pong(text).ts_ns) // _MS
    except ValidationError as error:
        raise VenueUnavailable(VENUE, "a pong does not say when it was sent") from error
