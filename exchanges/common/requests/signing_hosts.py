"""Where a key may be used: the venue's documented hosts, or this machine. Asked before anything is signed."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.errors import SettingsError
from exchanges.common.market.plan import printable
from exchanges.common.requests.loopback import require_loopback

_DEFAULT_PORT = {"https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class SigningHosts:
    """An allow-list of scheme, host and port; it travels with the key that it belongs to."""

    origins: frozenset[str] = frozenset()
    """`https://api.binance.com:443`, as `of` writes them; none: loopback addresses, over any scheme."""

    @classmethod
    def of(cls, urls: Iterable[str]) -> "SigningHosts":
        """The hosts of these URLs, and no other.

        Raises:
            ValueError: If there is none, or one of them is not `https` or `wss`: a key never crosses a network in
                clear.
        """
        origins = frozenset(_origin(url) or "" for url in urls)
        if not origins or "" in origins:
            raise ValueError("an allow-list names hosts over https and wss, and at least one")
        return cls(origins)

    def require(self, url: str) -> str:
        """`url`, if the key may be used there.

        Raises:
            SettingsError: If it leads anywhere else, or nowhere that can be told. Nothing has been signed.
        """
        if not self.origins:
            return require_loopback(url)
        if _origin(url) not in self.origins:
            known = ", ".join(sorted(origin.removesuffix(":443") for origin in self.origins))
            raise SettingsError(
                f"refused to sign for {printable(_host(url)) or 'an address that cannot be read'}: "
                f"this key is used at {known} alone; remove the address from venues in the settings"
            )
        return url


THIS_MACHINE = SigningHosts()
"""Of the simulated exchanges' keys, and of every key that nobody has given a wider list."""


def _origin(url: str) -> str | None:
    """Scheme, host and port; None where a key must not go, or the URL can be read in two ways."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    # A user name in front of the host, a backslash or a control character: parsers disagree where such a URL leads.
    plain = "@" not in parts.netloc and "\\" not in url and url.isprintable() and " " not in url
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname or not plain:
        return None
    return f"{parts.scheme}://{parts.hostname}:{_DEFAULT_PORT[parts.scheme] if port is None else port}"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
