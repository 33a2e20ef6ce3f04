"""Which hosts the keys of a market may be used at: a line a venue that orders are sent to."""

from collections.abc import Mapping

from exchanges.binance.hosts import SIGNED_FOR as BINANCE
from exchanges.bybit.hosts import SIGNED_FOR as BYBIT
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts
from exchanges.kraken.hosts import SIGNED_FOR as KRAKEN

_SIGNED_FOR: Mapping[str, Mapping[str, tuple[str, ...]]] = {"binance": BINANCE, "bybit": BYBIT, "kraken": KRAKEN}


def signing_hosts(market: str, venue: str) -> SigningHosts:
    """The venue's documented hosts, or those of its test system; this machine alone in every other market."""
    urls = _SIGNED_FOR.get(venue, {}).get(market)
    return THIS_MACHINE if urls is None else SigningHosts.of(urls)
