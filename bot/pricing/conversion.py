"""USDT, USDC and USD are three currencies: what one is in another is a market like any."""

from collections.abc import Iterable

from bot.ports import InstrumentView
from bot.pricing.inputs import Conversion


def conversion(there: str, here: str, views: Iterable[InstrumentView]) -> Conversion | None:
    """What one `there` is in `here` at the newest quotes; None where no market that is watched tells it.

    Where several do, the cheapest one is taken: that is where the proceeds would be turned.
    """
    found = [one for view in views if (one := _at(view, there, here)) is not None]
    return min(found, key=lambda one: one.cost_bps, default=None)


def _at(view: InstrumentView, there: str, here: str) -> Conversion | None:
    instrument, quote = view.instrument, view.quote
    if instrument.is_perpetual or {instrument.base, instrument.quote} != {there, here}:
        return None
    if quote is None or view.fees is None:
        return None
    mid = quote.mid
    rate = mid if instrument.base == there else 1.0 / mid
    fees = view.fees
    fee_bps = float(fees.taker_bps + fees.discount_bps(is_maker=False))
    return Conversion(rate=rate, cost_bps=quote.spread_bps / 2 + fee_bps)
