"""The lock on real orders: this version signs for addresses on this machine, and for nothing else."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from bot.errors import SettingsError
from exchanges.common.plan import printable


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
        raise SettingsError(f"this version sends orders to simulated exchanges only, not to {printable(host) or 'it'}")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
