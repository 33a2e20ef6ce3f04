"""What may leave for a ccxt venue, and to which host: reading, and orders where a door was opened for them.

Asked before every request, where it is about to be sent. Nothing here ever moves money out of an account.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.errors import InvariantError, SettingsError
from exchanges.common.market.plan import printable
from exchanges.common.requests.loopback import require_loopback

OWN_HOSTS = {"kraken": "api.kraken.com", "coinbase": "api.coinbase.com"}
"""Of each venue. ccxt's classes know further hosts (help pages, sandboxes); none of them is asked."""

_READS = {
    "kraken": {
        ("GET", "/0/public/Assets"),
        ("GET", "/0/public/AssetPairs"),
        ("POST", "/0/private/BalanceEx"),
        ("POST", "/0/private/TradeVolume"),
        ("POST", "/0/private/OpenOrders"),
        ("POST", "/0/private/GetApiKeyInfo"),
    },
    "coinbase": {
        ("GET", "/api/v3/brokerage/market/products"),
        ("GET", "/api/v3/brokerage/accounts"),
        ("GET", "/api/v3/brokerage/transaction_summary"),
    },
}
"""What any client may send: none of it changes an account."""
_ORDERS = {
    "kraken": {
        ("POST", "/0/private/AddOrder"),
        ("POST", "/0/private/CancelOrder"),
        ("POST", "/0/private/CancelAllOrdersAfter"),
        ("POST", "/0/private/QueryOrders"),
        ("POST", "/0/private/QueryTrades"),
        ("POST", "/0/private/ClosedOrders"),
        ("POST", "/0/private/TradesHistory"),
    },
}
"""What a client may send besides that was opened to trade, where this version sends orders at all."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_]+")


@dataclass(frozen=True, slots=True)
class Door:
    """One venue's, at one base URL."""

    venue: str
    base_url: str
    passes: Collection[tuple[str, str]]
    """Method and path of each request."""

    @classmethod
    def of(cls, venue: str, base_url: str, *, may_trade: bool = False) -> "Door":
        """The door of a venue; `may_trade`: orders and cancels pass too.

        Raises:
            SettingsError: If the base URL is neither the venue's own nor on this machine.
        """
        if base_url != f"https://{OWN_HOSTS[venue]}":
            try:
                require_loopback(base_url)
            except SettingsError:
                raise SettingsError(
                    f"{venue} is read at https://{OWN_HOSTS[venue]} or on this machine, not at "
                    f"{printable(urlsplit(base_url).hostname)}"
                ) from None
        return cls(venue, base_url, frozenset(_READS[venue] | (_ORDERS.get(venue, set()) if may_trade else set())))

    def check(self, method: str, url: str) -> None:
        """Let a request pass.

        Raises:
            InvariantError: It is none of the requests that pass, or goes somewhere else. Nothing was sent.
        """
        path = url.removeprefix(self.base_url).partition("?")[0]
        is_ours = url.startswith(f"{self.base_url}/") and _PLAIN_PATH.fullmatch(path) is not None
        if not is_ours or (method, path) not in self.passes:
            # Not the URL: its query may hold a signature.
            raise InvariantError(f"{self.venue}: ccxt was about to send a request that is not let out; not sent")
