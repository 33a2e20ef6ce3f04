"""What is known of Binance without asking it.

Tick and lot sizes: QuantConnect Lean's symbol properties database (Apache-2.0) and Binance's exchangeInfo as of 2025.
Minimum notionals: exchangeInfo and the trading rules that Binance publishes, as of 2025. Fees: the lowest tier of
`fee_tiers`. A live market asks Binance instead.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from exchanges.binance.endpoints import INVERSE, LINEAR, SPOT
from exchanges.binance.fee_tiers import FEE_TIERS
from exchanges.binance.normalize import venue_symbol

# unified symbol: tick size, lot size, minimum notional
_SPOT = {
    "BTC/USDT": ("0.01", "0.00001", "5"),
    "ETH/USDT": ("0.01", "0.0001", "5"),
    "BNB/USDT": ("0.01", "0.001", "5"),
    "SOL/USDT": ("0.01", "0.001", "5"),
    "XRP/USDT": ("0.0001", "0.1", "5"),
}
_LINEAR = {
    "BTC/USDT:USDT": ("0.1", "0.001", "50"),
    "ETH/USDT:USDT": ("0.01", "0.001", "20"),
    "BNB/USDT:USDT": ("0.01", "0.01", "5"),
    "SOL/USDT:USDT": ("0.01", "0.01", "5"),
    "XRP/USDT:USDT": ("0.0001", "0.1", "5"),
}
# unified symbol: tick size, USD a contract; one contract is the lot
_INVERSE = {"BTC/USD:BTC": ("0.1", "100"), "ETH/USD:ETH": ("0.01", "10")}


def _instrument(feed: Feed, symbol: str, tick: str, lot: str, notional: str, multiplier: str = "1") -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return Instrument(
        venue=feed.venue,
        symbol=symbol,
        segment=feed.segment,
        base=base,
        quote=quote,
        settle=settle or None,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        min_notional=Decimal(notional),
        contract_multiplier=Decimal(multiplier),
    )


def _by_venue_symbol(*instruments: Instrument) -> dict[str, Instrument]:
    return {venue_symbol(one.symbol, one.feed): one for one in instruments}


INSTRUMENTS: Mapping[Feed, Mapping[str, Instrument]] = {
    SPOT: _by_venue_symbol(*(_instrument(SPOT, symbol, *rules) for symbol, rules in _SPOT.items())),
    LINEAR: _by_venue_symbol(*(_instrument(LINEAR, symbol, *rules) for symbol, rules in _LINEAR.items())),
    INVERSE: _by_venue_symbol(
        *(_instrument(INVERSE, symbol, tick, "1", "0", usd) for symbol, (tick, usd) in _INVERSE.items())
    ),
}
"""By feed and Binance's symbol."""


FEES: Mapping[Feed, FeeSchedule] = {feed: tiers[0].schedule(feed) for feed, tiers in FEE_TIERS.items()}
"""The lowest tier of each feed."""
