"""Which routes exist: pairs of instruments of one asset, paid in the same currency.

USDT, USDC and USD are three currencies, so `BTC/USDT` pairs with nothing quoted in another. Inverse contracts change
their base quantity with the price; a spot or linear leg does not hedge them one to one, so they make no route here.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.domain.route import HoldLeg, Leg, Route, TradeLeg


def list_routes(instruments: Sequence[Instrument], expected_holding_s: float) -> list[Route]:
    """Both directions of every convergence (perpetual against perpetual) and cash-and-carry (spot against perpetual).

    Within one venue as well as across venues, in the order of the instruments given.
    """
    return list(_routes(instruments, expected_holding_s))


def _routes(instruments: Iterable[Instrument], expected_holding_s: float) -> Iterator[Route]:
    for buy, sell in permutations(instruments, 2):
        kind = _kind(buy, sell)
        if kind is not None and (buy.base, buy.quote) == (sell.base, sell.quote):
            yield Route(kind=kind, legs=_there_and_back(buy, sell, expected_holding_s))


def _kind(buy: Instrument, sell: Instrument) -> str | None:
    segments = {buy.segment, sell.segment}
    if segments == {Segment.LINEAR}:
        return "convergence"
    if segments == {Segment.SPOT, Segment.LINEAR}:
        return "cash_and_carry"
    return None


def _there_and_back(buy: Instrument, sell: Instrument, expected_holding_s: float) -> tuple[Leg, ...]:
    return (
        TradeLeg(instrument=buy, side=Side.BUY),
        TradeLeg(instrument=sell, side=Side.SELL),
        HoldLeg(expected_s=expected_holding_s),
        TradeLeg(instrument=buy, side=Side.SELL),
        TradeLeg(instrument=sell, side=Side.BUY),
    )
