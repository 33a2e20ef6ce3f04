"""Binance's price lists: what an account pays at each tier, without any discount.

USDⓈ-M: Regular User to VIP 3 from the notice of 2026-03-18 on eligibility thresholds; VIP 4 to VIP 6 from a secondary
list. Tiers above are not known here and left out. Spot: the lowest tier from Binance's page, the others from a
secondary list without a date, which a second one (https://i-binance.com/en/w/binance-vip-level) repeats figure by
figure. COIN-M: the lowest tier alone.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from exchanges.binance.endpoints import INVERSE, LINEAR, SPOT

TOKEN = "BNB"  # noqa: S105 - an asset
TOKEN_DISCOUNT = {SPOT: Decimal("0.25"), LINEAR: Decimal("0.1")}
"""Share of a fee that paying in BNB saves.

Source: https://www.binance.com/en-ZA/support/faq/binance-futures-fee-structure-fee-calculations-360033544231, and
https://www.binance.com/en/fee/schedule for spot.
"""

_PAGE = "https://www.binance.com/en/fee/schedule"
_NOTICE = (
    "https://github.com/A13Club/BinanceAnnouncement/"
    "Binance_Updates_VIP_Program_Eligibility_Thresholds_20260318080005.md"
)
_SECONDARY = "https://babianfox.com/en/kb/binance-futures-fee/"
_SPOT_LIST = "http://zb-binance.com/en/posts/binance-vip-fee-comparison"
_READ = "undated, read 2026-11"


def _tier(name: str, maker: str, taker: str, as_of: str, url: str) -> FeeTier:
    return FeeTier(name=name, maker_bps=Decimal(maker), taker_bps=Decimal(taker), as_of=as_of, url=url)


FEE_TIERS: Mapping[Feed, tuple[FeeTier, ...]] = {
    SPOT: (
        _tier("Regular User", "10", "10", "2025-11", _PAGE),
        _tier("VIP 1", "9", "10", _READ, _SPOT_LIST),
        _tier("VIP 2", "8", "10", _READ, _SPOT_LIST),
        _tier("VIP 3", "4.2", "6", _READ, _SPOT_LIST),
        _tier("VIP 4", "4.2", "5.4", _READ, _SPOT_LIST),
        _tier("VIP 5", "3.6", "4.8", _READ, _SPOT_LIST),
        _tier("VIP 6", "3", "4.2", _READ, _SPOT_LIST),
        _tier("VIP 7", "2.4", "3.6", _READ, _SPOT_LIST),
        _tier("VIP 8", "1.8", "3", _READ, _SPOT_LIST),
        _tier("VIP 9", "1.2", "2.4", _READ, _SPOT_LIST),
    ),
    LINEAR: (
        _tier("Regular User", "2", "5", "2026-03-18", _NOTICE),
        _tier("VIP 1", "1.8", "5", "2026-03-18", _NOTICE),
        _tier("VIP 2", "1.6", "4", "2026-03-18", _NOTICE),
        _tier("VIP 3", "1.2", "3.2", "2026-03-18", _NOTICE),
        _tier("VIP 4", "1", "3", "2026", _SECONDARY),
        _tier("VIP 5", "0.8", "2.7", "2026", _SECONDARY),
        _tier("VIP 6", "0.6", "2.5", "2026", _SECONDARY),
    ),
    INVERSE: (_tier("Regular User", "2", "5", "2025-11", _PAGE),),
}
"""By feed, from the lowest."""
