"""Which addresses are this machine's own, and which no request ever goes to."""

from ipaddress import ip_address
from socket import inet_aton
from urllib.parse import urlsplit

from bot.errors import SettingsError
from exchanges.common.market.plan import printable

_METADATA = frozenset({"metadata.google.internal", "metadata", "fd00:ec2::254", "100.100.100.200"})


def require_loopback(url: str) -> str:
    """`url`, if it leads to this machine.

    Raises:
        SettingsError: If it leads anywhere else, or nowhere that can be told.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = parts.scheme in ("http", "https", "ws", "wss") and parts.port != 0
    except ValueError:
        host, known = "", False
    if not known or not _is_loopback(host):
        raise SettingsError(
            f"what is used here is for simulated exchanges only, on this machine, not for {printable(host) or 'that'}"
        )
    return url


def refuse_metadata(url: str) -> None:
    """Refuse addresses at which clouds tell a machine its own secrets; link-local ones are no exchange either.

    Raises:
        SettingsError: If `url` leads to one of them.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return  # whoever uses it says what is wrong with it
    if host in _METADATA or _is_link_local(host):
        raise SettingsError(f"{printable(host)} is a machine's own metadata service, and no exchange")


def _is_link_local(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        # `169.254.43518` and `2852039166` lead there too, as inet_aton reads them.
        try:
            address = ip_address(inet_aton(host))
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
