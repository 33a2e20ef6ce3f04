"""Who may come in where the exchanges listen for other machines: whoever knows the password."""

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections import OrderedDict, deque
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.clock import Clock
from bot.errors import SettingsError

PASSWORD_VARIABLE = "CRYPTO_PIPE_SIMULATOR_PASSWORD"  # noqa: S105 - where it stands, not what it is
PASSWORD_HEADER = "X-Simulator-Password"  # noqa: S105 - where it stands, not what it is
LEAST_LENGTH = 12
MOST_FAILURES = 10
_WINDOW_S = 60
_MOST_ADDRESSES = 10_000
_TEXT_ERRORS = "surrogateescape"
_Address = IPv4Address | IPv6Address


def listening_address(host: str, password: str | None) -> str:
    """The address that `host` names: an IP address, or `localhost`.

    Raises:
        SettingsError: If it is none, or is open to other machines without a sufficient password.
    """
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise SettingsError("--host must be an IP address of this machine, for example 0.0.0.0 or ::1") from None
    if not address.is_loopback and len(password or "") < LEAST_LENGTH:
        raise SettingsError(
            f"--host {address} is open to other machines: give a password of at least {LEAST_LENGTH} characters in "
            f"the environment as {PASSWORD_VARIABLE}, or leave --host away"
        )
    return str(address)


class Doorkeeper:
    """Asks every request and every WebSocket upgrade from another machine for the password."""

    def __init__(self, password: str, clock: Clock) -> None:
        """Let in who knows `password`, in the header or as HTTP Basic authentication with any user."""
        self._digest = _digest(password.encode("utf-8", _TEXT_ERRORS))
        self._clock = clock
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    @web.middleware
    async def ask(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 401 to who does not know the password, and 429 to who has failed too often lately."""
        address = _address(request.remote or "")
        if address is not None and address.is_loopback:
            return await handler(request)
        source = source_of(request.remote or "")
        wait_s = self._wait_s(source)
        if wait_s:
            return web.Response(status=429, text="too many wrong passwords", headers={"Retry-After": str(wait_s)})
        if self._knows(request):
            return await handler(request)
        self._count(source)
        asked = {"WWW-Authenticate": 'Basic realm="simulated exchanges", charset="UTF-8"'}
        return web.Response(status=401, text=f"send {PASSWORD_HEADER}, or HTTP Basic authentication", headers=asked)

    def _knows(self, request: web.Request) -> bool:
        shown = request.headers.get(PASSWORD_HEADER)
        password = _basic(request) if shown is None else shown.encode("utf-8", _TEXT_ERRORS)
        # Digests have one length, so the comparison takes as long whatever was sent.
        return hmac.compare_digest(_digest(password), self._digest)

    def _wait_s(self, source: str) -> int:
        failures = self._failures.get(source)
        if not failures or len(failures) < MOST_FAILURES:
            return 0
        left_ns = failures[0] + _WINDOW_S * 1_000_000_000 - self._clock.monotonic_ns()
        return max(0, -(-left_ns // 1_000_000_000))

    def _count(self, source: str) -> None:
        self._failures.setdefault(source, deque(maxlen=MOST_FAILURES)).append(self._clock.monotonic_ns())
        self._failures.move_to_end(source)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()


def _basic(request: web.Request) -> bytes:
    """The password of HTTP Basic authentication; nothing where there is none."""
    scheme, _, code = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(code.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def source_of(peer: str) -> str:
    """Who a peer's address belongs to: an IPv6 customer has a whole /64 of addresses."""
    address = _address(peer)
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(ip_network((int(address), 64), strict=False))
    return str(address)


def _address(peer: str) -> _Address | None:
    # The socket's own word, and no header's: who forwards for others asks them itself.
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
