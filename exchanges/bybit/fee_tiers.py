"""Bybit's price lists: what an account pays at each tier.

Bybit's help centre, trading fee structure, 2026: spot and perpetuals. Regional sites differ.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from exchanges.bybit.normalize import LINEAR, SPOT

_PAGE = "https://www.bybitgum.org/en-US/help-center/bybitHC_Article?id=000001634"


def _tier(name: str, maker: str, taker: str) -> FeeTier:
    return FeeTier(name=name, maker_bps=Decimal(maker), taker_bps=Decimal(taker), as_of="2026", url=_PAGE)


FEE_TIERS: Mapping[Feed, tuple[FeeTier, ...]] = {
    LINEAR: (
        _tier("VIP 0", "2", "5.5"),
        _tier("VIP 1", "1.8", "4"),
        _tier("VIP 2", "1.6", "3.75"),
        _tier("VIP 3", "1.4", "3.5"),
        _tier("VIP 4", "1.2", "3.2"),
        _tier("VIP 5", "1", "3.2"),
        _tier("Supreme VIP", "0", "3"),
    ),
    SPOT: (
        _tier("VIP 0", "10", "10"),
        _tier("VIP 1", "6.75", "8"),
        _tier("VIP 2", "6.5", "7.75"),
        _tier("VIP 3", "6.25", "7.5"),
        _tier("VIP 4", "5", "6"),
        _tier("VIP 5", "4", "5"),
        _tier("Supreme VIP", "3", "4.5"),
    ),
}
"""By feed, from the lowest."""
