"""What is known of Coinbase without asking it.

Grids: QuantConnect Lean's symbol properties database (Apache-2.0): tick, lot and smallest quantity of the products. The
minimum notional of 1 is `quote_min_size` of BTC-USD as Coinbase's documentation of products shows it.
Fees: the lowest tier of Advanced Trade, 0.6 % maker and 1.2 % taker, as its transaction summary names it for up to
1,000 USD in 30 days (quoted in ccxt 4.5.90's source); secondary sources name 0.4 % and 0.6 % from 10,000 USD on. The
account's own are read where keys are.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from exchanges.coinbase.endpoints import SPOT, VENUE

_SYMBOLS = ("BTC/USD", "BTC/USDT", "BTC/USDC", "ETH/USD", "ETH/USDT", "ETH/USDC")
_TICK = Decimal("0.01")
_LOT = Decimal("0.00000001")
_MIN_NOTIONAL = Decimal(1)


def _instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        segment=SPOT.segment,
        base=base,
        quote=quote,
        tick_size=_TICK,
        lot_size=_LOT,
        min_quantity=_LOT,
        min_notional=_MIN_NOTIONAL,
    )


INSTRUMENTS: Mapping[str, Instrument] = {symbol.replace("/", "-"): _instrument(symbol) for symbol in _SYMBOLS}
"""By product."""
FEES = FeeSchedule(feed=SPOT, maker_bps=Decimal(60), taker_bps=Decimal(120), source="published lowest tier")
