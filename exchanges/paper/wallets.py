"""Which wallet an instrument's collateral lies in, at the venues that paper money plays."""

from bot.domain.instrument import Instrument

_UNIFIED = frozenset({"bybit"})
"""Venues with one wallet for all segments."""


def wallet_of(instrument: Instrument) -> str:
    """`bybit.unified` for any Bybit feed; `<venue>.<segment>` elsewhere: `binance.spot`, `binance.linear`."""
    return f"{instrument.venue}.unified" if instrument.venue in _UNIFIED else str(instrument.feed)
