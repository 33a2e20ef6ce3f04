"""Signed requests and private sockets of one venue: one pool of connections, to the hosts of an allow-list alone.

It knows how a request failed: whether it was never sent, or sent and the answer lost. The clients of the exchanges do
not tell the two apart (python-binance calls both "unable to connect", pybit sleeps and sends again), and cost 0.6 and
0.8 ms a round trip over loopback where this costs 0.4.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from bot.clock import Clock, SystemClock
from bot.errors import AuthenticationFailed, Banned, GeoBlocked, RateLimited, VenueError, VenueUnavailable
from exchanges.common.account.private_stream import PROTOCOL_PING_S
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.retry_after import seconds_of
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts

_CONNECT_S = 1.0
_HANDSHAKE_S = 5.0
"""A socket that is not served by then is tried anew; aiohttp itself would wait for five minutes."""
_MAX_MESSAGE_BYTES = 10_485_760
_BY_HANDSHAKE: dict[int, type[VenueError]] = {
    401: AuthenticationFailed,
    403: Banned,
    418: Banned,
    429: RateLimited,
    451: GeoBlocked,
}


class AnswerLost(VenueUnavailable):
    """The request was written and no answer came: whether it arrived is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a venue answered."""

    status: int
    headers: Mapping[str, str]
    text: str


class VenueHttp:
    """One venue over HTTP; `open` it first, and `close` it."""

    def __init__(
        self,
        venue: str,
        clock: Clock | None = None,
        budget: RequestBudget | None = None,
        hosts: SigningHosts = THIS_MACHINE,
    ) -> None:
        """Nothing is connected.

        Args:
            venue: For messages.
            clock: Measures the ban of a venue without a budget; None is the system's.
            budget: What may be asked, shared with whoever else asks this venue; None: nothing is counted.
            hosts: Where it sends anything at all: those of the key.
        """
        self._venue = venue
        self.hosts = hosts
        self.budget = budget or RequestBudget(venue, (), clock or SystemClock())
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the pool; nothing is connected yet."""
        # No proxy, no netrc, no cookies: where orders go is what the settings say, nothing else.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> Answer:
        """One request; any status is an answer.

        A POST is sent once. The others change nothing when they come twice: aiohttp sends them again where a
        connection that was kept turns out to be closed.

        Args:
            method: Of HTTP.
            url: As it stands: a signature covers its query, so it is not encoded again.
            headers: Of the request.
            body: Its bytes; None for none.
            timeout_s: For the whole of it.

        Raises:
            SettingsError: If the address is none that the key may be used at.
            AnswerLost: It was written, and no answer came.
            VenueError: It was not sent.
        """
        self.hosts.require(url)
        self.budget.bans.check()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        try:
            async with self._opened().request(
                method, URL(url, encoded=True), headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await response.text(errors="replace"))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise VenueUnavailable(self._venue, f"cannot be reached ({type(error).__name__})") from error
        except TimeoutError as error:
            raise AnswerLost(self._venue, f"no answer in {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            # Not the error's own words: they may hold the URL, and with it a key or a signature.
            raise AnswerLost(self._venue, f"the connection was lost ({type(error).__name__})") from error

    async def socket(self, url: str, within_s: float = _HANDSHAKE_S) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket, connected `within_s`, that notices within `PROTOCOL_PING_S` and a half that its peer is gone.

        Raises:
            SettingsError: If the address is none that the key may be used at.
            VenueError: Why there is none.
        """
        self.hosts.require(url)
        self.budget.bans.check()
        try:
            async with asyncio.timeout(within_s):
                return await self._opened().ws_connect(
                    URL(url, encoded=True),
                    heartbeat=PROTOCOL_PING_S,
                    max_msg_size=_MAX_MESSAGE_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CONNECT_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            retry_after = "" if error.headers is None else error.headers.get("Retry-After", "")
            refusal = of_handshake(self._venue, "the private stream", error.status, retry_after)
            if isinstance(refusal, Banned | GeoBlocked):
                self.budget.bans.sit_out(refusal)
            raise refusal from None
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnavailable(self._venue, f"no private stream ({type(error).__name__})") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise VenueUnavailable(self._venue, "is not connected")
        return self._session


def of_handshake(venue: str, name: str, status: int, retry_after: str = "") -> VenueError:
    """Why `venue` answered the handshake of the socket `name` with this status; `retry_after` is the header's text."""
    retry_after_s = seconds_of(retry_after)
    kind = _BY_HANDSHAKE.get(status, VenueUnavailable)
    return kind(venue, f"{name} was refused with HTTP {status}", retry_after_s=retry_after_s)
