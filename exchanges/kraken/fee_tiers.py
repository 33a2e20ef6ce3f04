"""Kraken's price list of spot crypto: what an account pays above a volume in 30 days.

The lowest tier is that of `shipped`: Kraken's page as secondary sources of 2025 quote it. Of those above it only the
two are here that Kraken's own help page or several lists name alike; above them lists differ, and nothing is shown.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from exchanges.kraken.endpoints import SPOT

_READ = "undated, read 2026-11"
_HELP = "https://support.kraken.com/hc/it-it/articles/202966886-How-are-trading-volume-discounts-calculated-"
_SECONDARY = "https://btccontract.de/s/en/Kraken+Pro+Bitcoin+Fees/15577"


def _tier(name: str, maker: str, taker: str, as_of: str, url: str) -> FeeTier:
    return FeeTier(name=name, maker_bps=Decimal(maker), taker_bps=Decimal(taker), as_of=as_of, url=url)


FEE_TIERS: Mapping[Feed, tuple[FeeTier, ...]] = {
    SPOT: (
        _tier("lowest", "25", "40", "2025", "https://www.kraken.com/features/fee-schedule"),
        _tier("above 50,000 USD", "14", "24", _READ, _HELP),
        _tier("above 100,000 USD", "12", "22", _READ, _SECONDARY),
    ),
}
"""By feed, from the lowest."""
