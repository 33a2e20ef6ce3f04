"""What it costs to get even: to complete the missing leg at the quotes, or to unwind the one that is ahead.

Both are what the attempt comes to in the end, in bps of the leg, so that they can be compared:

    completing   slippage of the missing leg against its decision price − the net edge that was expected
    unwinding    what the leg ahead was opened at against what it goes for now + its fee, twice

The fee of the leg ahead is paid either way; the net edge counts it already, and so unwinding has to count it too.
"""

from dataclasses import dataclass
from decimal import Decimal

from bot.domain.market import TopOfBook
from bot.execution.grid import decimal_price, touch
from bot.execution.pair import PairLeg

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Evening:
    """How an uneven pair is evened."""

    completes: bool
    slippage_bps: Decimal
    """The most that the missing leg may be worse than decided in this try: never so much that unwinding is cheaper."""


def unwinding_bps(leg: PairLeg, quote: TopOfBook, taker_bps: float) -> Decimal:
    """What it costs to trade the leg ahead away again at the quote; below zero where the price went our way."""
    opened = leg.average_open_price or leg.expected_price
    now = touch(quote, leg.side.opposite)
    return leg.side.sign * (opened - now) / opened * _BPS + 2 * decimal_price(taker_bps)


def slippage_bps(leg: PairLeg, quote: TopOfBook) -> Decimal:
    """How much worse than decided the missing leg can be had at the quote; below zero is better."""
    return leg.side.sign * (touch(quote, leg.side) - leg.expected_price) / leg.expected_price * _BPS


def decide(
    ahead: PairLeg,
    behind: PairLeg,
    at_ahead: TopOfBook | None,
    at_behind: TopOfBook | None,
    *,
    net_edge_bps: float,
    taker_bps: float,
    step_bps: float,
    most_bps: float,
) -> Evening:
    """Whether to complete the pair or to unwind it, whichever costs less at the quotes.

    Args:
        ahead: The leg that holds more than the other hedges.
        behind: The leg that is missing something.
        at_ahead: Its quote; without one nothing tells what unwinding costs, and completing is tried within the cap.
        at_behind: Its quote; without one there is no price to complete at.
        net_edge_bps: Expected of the whole pair when it was decided.
        taker_bps: Of the leg ahead.
        step_bps: How far beyond its quote the missing leg is tried: more with each step of the ladder.
        most_bps: The most that the missing leg may be worse than decided, whatever unwinding costs.
    """
    if at_behind is None:
        return Evening(completes=False, slippage_bps=Decimal(0))
    most, slippage = decimal_price(most_bps), slippage_bps(behind, at_behind)
    if at_ahead is not None:
        most = min(most, unwinding_bps(ahead, at_ahead, taker_bps) + decimal_price(net_edge_bps))
    return Evening(completes=slippage <= most, slippage_bps=min(most, slippage + decimal_price(step_bps)))
