"""Public questions to a venue: nothing is signed, so they may go to the real exchange, and the answer is bytes."""

import aiohttp
from yarl import URL

from bot.clock import Clock, SystemClock
from bot.errors import Banned, GeoBlocked, RateLimited, VenueError, VenueUnavailable
from exchanges.common.requests.ban_clock import BanClock
from exchanges.common.requests.retry_after import seconds_of

MAX_ANSWER_BYTES = 16_777_216
_BY_STATUS: dict[int, type[VenueError]] = {
    400: VenueError,
    403: Banned,
    404: VenueError,
    418: Banned,
    429: RateLimited,
    451: GeoBlocked,
}
"""400 and 404 are about what was asked; it is not answered otherwise another time."""


class PublicHttp:
    """One venue's public REST interface; `close` it."""

    def __init__(self, venue: str, timeout_s: float = 10.0, clock: Clock | None = None) -> None:
        """Nothing is connected before the first question.

        Args:
            venue: For messages.
            timeout_s: For the whole of an answer.
            clock: Measures how long the venue wants to be left alone; None is the system's.
        """
        self._venue = venue
        self._bans = BanClock(venue, clock or SystemClock())
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str) -> bytes:
        """The body of a 200.

        Raises:
            VenueError: Why there is none; with the venue's `Retry-After`, where it names one.
        """
        self._bans.check()
        try:
            async with self._opened().get(URL(url, encoded=True), allow_redirects=False) as response:
                if response.status != 200:
                    raise self._refusal(response)
                self._bans.answered()
                return await self._body(response)
        except TimeoutError as error:
            raise VenueUnavailable(self._venue, f"no answer in {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnavailable(self._venue, f"cannot be asked ({type(error).__name__})") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in response.content.iter_chunked(65_536):
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise VenueUnavailable(self._venue, f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    def _refusal(self, response: aiohttp.ClientResponse) -> VenueError:
        wait = response.headers.get("Retry-After", "")
        kind = _BY_STATUS.get(response.status, VenueUnavailable)
        retry_after_s = seconds_of(wait)
        refusal = kind(self._venue, f"refuses with HTTP {response.status}", retry_after_s=retry_after_s)
        if kind in (Banned, GeoBlocked, RateLimited):
            self._bans.sit_out(refusal)
        return refusal

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No proxy, no netrc, no cookies: where quotes come from is what the settings say, nothing else.
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=self._timeout
            )
        return self._session
