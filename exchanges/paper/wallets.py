"""Which wallet an instrument's collateral lies in, at the venues that paper money plays."""

from bot.domain.instrument import Instrument, Segment

_UNIFIED = frozenset({"bybit"})
"""Venues with one wallet for all segments."""


def wallet_of(instrument: Instrument) -> str:
    """`bybit.unified` for any Bybit feed; `<venue>.<segment>` elsewhere: `binance.spot`, `binance.linear`."""
    return f"{instrument.venue}.unified" if instrument.venue in _UNIFIED else str(instrument.feed)


def transfer_wallet(venue: str) -> str:
    """Where what comes by a transfer is traded from: the wallet of the venue's spot instruments."""
    return f"{venue}.unified" if venue in _UNIFIED else f"{venue}.{Segment.SPOT}"
