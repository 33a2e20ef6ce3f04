"""Silencing an account without anything that may be broken or slow: no client library, no event loop, no model.

`--mode kill` must have sent every cancel within a second of its start, beside an engine that hangs, a store that is
away and a disk that is full. So this is the standard library alone: a connection for each request, threads, HMAC.
"""

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Protocol
from urllib.parse import urlsplit

from bot.clock import Clock
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts

TIMEOUT_S = 2.0
"""Without a byte: cancels may be tried again, and a slow answer is still one."""
_LONGEST_S = 5.0
"""Of one request: an answer that comes in drops would never end."""
_MOST_BYTES = 8_000_000
_PROGRAM = "crypto-pipe"
"""`User-Agent`, which the standard library leaves out: Kraken wants it of every request, and what stands before a
venue's servers may turn away who does not say.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-intro.
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Where a run's orders may rest at one venue, and what signs for them."""

    venue: str
    market: str
    """`simulated`, `testnet`, `live`."""
    rest_urls: Mapping[str, str]
    """By segment: `spot`, `linear`."""
    symbols: Mapping[str, Sequence[str]]
    """By segment, in the venue's spelling: what the run trades."""
    settles: Sequence[str] = ()
    """What its derivatives settle in."""
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    hosts: SigningHosts = THIS_MACHINE
    """Where it may be signed for."""
    is_in_keyring: bool = field(default=True, compare=False)
    """Whether the run had its key from there, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that is open at a venue, whoever placed it."""

    segment: str
    symbol: str
    order_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A derivative position that is not flat."""

    segment: str
    symbol: str
    quantity: Decimal
    """Signed, in the venue's units; above zero is long."""


class Unanswered(Exception):
    """Nobody knows what became of the request; cancels and questions may be asked again."""

    def __init__(self, words: str, *, nobody: bool = False) -> None:
        super().__init__(words)
        self.nobody = nobody
        """Nothing listens at the address."""


class Refused(Exception):
    """The venue answered, and did not do it."""

    def __init__(
        self, words: str, *, code: int, retry_after_s: float = 0.0, final: bool = False, clock: bool = False
    ) -> None:
        super().__init__(words)
        self.code = code
        self.retry_after_s = retry_after_s
        """Not one request to this venue sooner."""
        self.final = final
        """Asking again would be answered the same: a key that is refused."""
        self.clock = clock
        """It did not like our time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    text: str
    retry_after_s: float


def require_ok(reply: Reply) -> None:
    """Let an answer with HTTP 200 pass, at a venue whose own refusals come with it.

    Raises:
        Unanswered: A fault at the venue: nobody knows what became of the request.
        Refused: Any other status; 401 and 403 are about the key or the address, and final.
    """
    if reply.status != 200:
        words = f"HTTP {reply.status}"
        if reply.status >= 500 or reply.status == 408:
            raise Unanswered(words)
        raise Refused(words, code=0, retry_after_s=reply.retry_after_s, final=reply.status in (401, 403))


class Emergency(Protocol):
    """One account at one venue. Every call sends at least one request, and raises `Unanswered` or `Refused`."""

    account: Account

    def cancels(self, found: Sequence[Resting]) -> Sequence[Callable[[], None]]:
        """Requests that together cancel everything the run may have placed, and all of `found`."""

    def open_orders(self) -> Sequence[Resting]:
        """Every order that is open in the account's segments."""

    def positions(self) -> Sequence[Standing]:
        """Every derivative position that is not flat."""

    def close(self, position: Standing) -> None:
        """Reduce it to nothing, at the market; never beyond."""

    def measure_clock(self) -> None:
        """Learn the venue's time: it refused a request for ours."""


class Sender:
    """Requests of one key."""

    def __init__(self, account: Account, clock: Clock) -> None:
        """Nothing is sent yet.

        Raises:
            SettingsError: If an address is none that may be signed for.
        """
        for url in account.rest_urls.values():
            account.hosts.require(url)
        self._clock = clock
        self._secret = account.secret.encode()
        self._offset_ms = 0
        self._tls: ssl.SSLContext | None = None
        if any(url.startswith("https:") for url in account.rest_urls.values()):
            self._tls = ssl.create_default_context()

    def stamp(self) -> str:
        """The venue's time, UTC ms."""
        return str(self._clock.now_ns() // 1_000_000 + self._offset_ms)

    def believe(self, venue_ms: int) -> None:
        """The venue has just said what time it is."""
        self._offset_ms = venue_ms - self._clock.now_ns() // 1_000_000

    def sign(self, payload: str) -> str:
        """HMAC-SHA256, lower-case hex."""
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> Reply:
        """One request on a connection of its own; redirects are not followed.

        Raises:
            Unanswered: No answer came, or none that can be read.
        """
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = self._connection(parts.hostname or "", parts.port)
        limit: threading.Timer | None = None
        try:
            connection.connect()
            limit = _limited(connection.sock)
            connection.request(method, target, body, {"User-Agent": _PROGRAM, **headers})
            answer = connection.getresponse()
            text = answer.read(_MOST_BYTES).decode("utf-8", "replace")
            return Reply(answer.status, text, _seconds(answer.getheader("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            # Neither the URL nor its query: a signature stands there.
            words = f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'no answer'}"
            raise Unanswered(words, nobody=isinstance(error, ConnectionRefusedError)) from error
        finally:
            if limit is not None:
                limit.cancel()
            connection.close()

    def _connection(self, host: str, port: int | None) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._tls)


def _limited(connected: socket.socket) -> threading.Timer:
    """Ends the connection when the request has taken too long."""
    limit = threading.Timer(_LONGEST_S, _cut, (connected,))
    limit.daemon = True
    limit.start()
    return limit


def _cut(connected: socket.socket) -> None:
    """Whoever reads from it reads its end. Not by TLS's own way: that is for the thread that reads."""
    with suppress(OSError):  # it has ended by itself
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return max(0.0, seconds) if isfinite(seconds) else 0.0
