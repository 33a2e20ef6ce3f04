"""Metadata and fees known without asking Bybit, for recorded markets and for working offline.

Grids: tick, lot and smallest quantity from Lean's symbol-properties database (read from instruments-info). The linear
minimum of 5 USDT stands in BTCUSDT's instruments-info of 2026-09-14; the spot minimum of 5 USDT in instruments-info
answers that public clients quote (the documentation's older example says 1; the higher one is the safer). Where the
smallest quantity of spot follows the price, the minimum notional is the limit that binds.
Fees: the lowest tier of `fee_tiers`.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from exchanges.bybit.fee_tiers import FEE_TIERS
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE, unified_symbol

_QUOTE = "USDT"
_MIN_NOTIONAL = Decimal(5)

_Grid = tuple[str, str, str, str]
"""Base, tick, lot, smallest quantity."""

_LINEAR_GRIDS: tuple[_Grid, ...] = (
    ("BTC", "0.10", "0.001", "0.001"),
    ("ETH", "0.01", "0.01", "0.01"),
    ("SOL", "0.010", "0.1", "0.1"),
    ("XRP", "0.0001", "1", "1"),
)
_SPOT_GRIDS: tuple[_Grid, ...] = (
    ("BTC", "0.1", "0.000001", "0.000011"),
    ("ETH", "0.01", "0.00001", "0.00029"),
    ("SOL", "0.01", "0.001", "0.006"),
    ("XRP", "0.0001", "0.01", "0.44"),
)


def _instrument(feed: Feed, grid: _Grid) -> Instrument:
    base, tick, lot, smallest = grid
    settle = None if feed == SPOT else _QUOTE
    return Instrument(
        venue=VENUE,
        symbol=unified_symbol(base, _QUOTE, settle),
        segment=feed.segment,
        base=base,
        quote=_QUOTE,
        settle=settle,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(smallest),
        min_notional=_MIN_NOTIONAL,
    )


INSTRUMENTS: Mapping[Feed, Mapping[str, Instrument]] = {
    LINEAR: {grid[0] + _QUOTE: _instrument(LINEAR, grid) for grid in _LINEAR_GRIDS},
    SPOT: {grid[0] + _QUOTE: _instrument(SPOT, grid) for grid in _SPOT_GRIDS},
}
FEES: Mapping[Feed, FeeSchedule] = {feed: tiers[0].schedule(feed) for feed, tiers in FEE_TIERS.items()}
"""The lowest tier of each feed."""
