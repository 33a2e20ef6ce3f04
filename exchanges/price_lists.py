"""The venues' published fee tiers, of those whose list is known: a line a venue."""

from collections.abc import Mapping, Sequence

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from exchanges.binance import fee_tiers as binance
from exchanges.bybit import fee_tiers as bybit
from exchanges.kraken import fee_tiers as kraken

PRICE_LISTS: Mapping[Feed, Sequence[FeeTier]] = {**binance.FEE_TIERS, **bybit.FEE_TIERS, **kraken.FEE_TIERS}
"""By feed, from the lowest tier. Coinbase has none: the lists found contradict the lowest tier that it names itself."""
