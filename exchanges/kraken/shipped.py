"""What is known of Kraken without asking it.

Grids: QuantConnect Lean's symbol properties database (Apache-2.0): tick, lot and smallest quantity of AssetPairs. The
minimum notional is AssetPairs' `costmin` as Kraken's support pages give it (0.5 USD, USDT or USDC).
Fees: Kraken's fee schedule, lowest tier of spot crypto, 0.25 % maker and 0.40 % taker, as secondary sources of 2025
quote it; older ones say 0.16 % and 0.26 %, and the dearer is the safer. The account's own are read where keys are.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from exchanges.kraken.endpoints import SPOT, VENUE

# unified symbol: tick size, smallest quantity
_GRIDS = {
    "BTC/USD": ("0.1", "0.00005"),
    "BTC/USDT": ("0.1", "0.00005"),
    "BTC/USDC": ("0.01", "0.00005"),
    "ETH/USD": ("0.01", "0.002"),
    "ETH/USDT": ("0.01", "0.002"),
    "ETH/USDC": ("0.01", "0.002"),
}
_LOT = Decimal("0.00000001")
_MIN_NOTIONAL = Decimal("0.5")


def _instrument(symbol: str, tick: str, smallest: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        segment=SPOT.segment,
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=_LOT,
        min_quantity=Decimal(smallest),
        min_notional=_MIN_NOTIONAL,
    )


INSTRUMENTS: Mapping[str, Instrument] = {symbol: _instrument(symbol, *grid) for symbol, grid in _GRIDS.items()}
"""By the v2 stream's symbol, which is the unified one."""
FEES = FeeSchedule(feed=SPOT, maker_bps=Decimal(25), taker_bps=Decimal(40), source="published lowest tier")
