"""Signed requests as python-binance forms and signs them, handed over instead of sent.

The library stops at its session, where ours begins: `VenueHttp` sends to the hosts of the key alone, with a time limit
for each kind of request, and knows whether what failed was ever sent. Left to itself, python-binance 1.0.37 signs for
whatever host it is pointed at, and lets out aiohttp's errors, some of which hold the signed URL
(`tests/integration/test_library_requests.py`).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from bot.clock import SystemClock
from exchanges.binance.library import AsyncClient
from exchanges.common.requests.formed import Formed

_MS = 1_000_000


class LibraryRest:
    """One key's requests, formed by python-binance. It is made with the first one: it wants a running loop."""

    def __init__(self, key: SecretStr, secret: SecretStr) -> None:
        self._key = key
        self._secret = secret
        self._client: Any = None

    async def formed(self, method: str, url: str, values: Mapping[str, str], window_ms: int, now_ms: int) -> Formed:
        """A signed request; `now_ms` is the venue's time, after `window_ms` of which it is refused. Nothing is sent."""
        client = self._client
        if client is None:
            client = self._client = _Client(self._key.get_secret_value(), self._secret.get_secret_value())
        # Up to its session the library does not wait for anything: nobody else's request comes between.
        client.REQUEST_RECVWINDOW = window_ms
        client.timestamp_offset = now_ms - SystemClock().now_ns() / _MS
        found: Formed = await client._request(method.lower(), url, True, data=dict(values))
        return found


class _Client(AsyncClient):  # type: ignore[misc]  # python-binance has no types
    """python-binance with a session that gives back what it is told to send."""

    def _init_session(self) -> "_Session":
        return _Session(self._get_headers())

    async def _handle_response(self, response: Formed) -> Formed:
        return response


class _Session:
    """Stands where aiohttp's would."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get(self, url: object, **what: Any) -> AbstractAsyncContextManager[Formed]:
        return self._formed("GET", url, **what)

    def post(self, url: object, **what: Any) -> AbstractAsyncContextManager[Formed]:
        return self._formed("POST", url, **what)

    def put(self, url: object, **what: Any) -> AbstractAsyncContextManager[Formed]:
        return self._formed("PUT", url, **what)

    def delete(self, url: object, **what: Any) -> AbstractAsyncContextManager[Formed]:
        return self._formed("DELETE", url, **what)

    @asynccontextmanager
    async def _formed(
        self, method: str, url: object, *, headers: Mapping[str, str], data: Any = None, **_: object
    ) -> AsyncIterator[Formed]:
        body = None if data is None else urlencode(data).encode()
        yield Formed(method, str(url), {**self._headers, **headers}, body)
