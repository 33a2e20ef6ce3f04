"""Which quotes may be traded on. A refusal is a value with a name; the caller counts it."""

from enum import StrEnum
from math import inf, isfinite, nan

from bot.domain.market import TopOfBook
from bot.settings import QuoteGateSettings


class RefusedQuote(StrEnum):
    """Why a quote is refused. Where several reasons hold, the first in this order is given."""

    NON_FINITE = "non_finite"
    """A price or size is NaN or infinite."""
    EMPTY_SIDE = "empty_side"
    """A side has no size: its quantity is zero, whatever its price."""
    NON_POSITIVE = "non_positive"
    """A price is zero or negative, or a quantity is negative."""
    CROSSED = "crossed"
    """Bid above ask."""
    LOCKED = "locked"
    """Bid equal to ask."""
    STALE = "stale"
    """It was too old when it arrived."""
    IMPLAUSIBLE_JUMP = "implausible_jump"
    """The mid is too far from the last accepted one, and has not been there for long enough to be believed."""


class QuoteGate:
    """The gate of one instrument, called with its quotes in receive order.

    A mid further than `max_jump_bps` from the last accepted one is refused until the new level has held for
    `jump_confirm_ms`: every quote of that time within `max_jump_bps` of its first. Quotes refused for other
    reasons neither confirm a level nor end it; an accepted one ends it. The first quote has nothing to be
    compared with and is accepted.
    """

    __slots__ = ("_ask", "_bid", "_confirm_ns", "_high", "_jump", "_level", "_level_ns", "_low", "_max_event_age_ns")

    def __init__(self, settings: QuoteGateSettings) -> None:
        self._max_event_age_ns = settings.max_event_age_ms * 1e6
        self._confirm_ns = settings.jump_confirm_ms * 1e6
        self._jump = settings.max_jump_bps / 1e4
        # The last accepted prices. NaN equals nothing: while a new level is on trial, every quote takes the long way.
        self._bid = self._ask = nan
        # Bounds of bid + ask, twice the mid, around the last accepted one.
        self._low, self._high = 0.0, inf
        self._level = nan
        self._level_ns = 0

    def refuse(self, quote: TopOfBook, ts_recv_ns: int, event_age_ns: int | None) -> RefusedQuote | None:
        """None when the quote is good, else why it is not.

        Args:
            quote: In the venue's units.
            ts_recv_ns: When we received it.
            event_age_ns: How old it was then, clock offset corrected; None where nothing tells.
        """
        fields = quote.__dict__  # attribute access on a pydantic model takes twice as long
        bid = fields["bid_price"]
        ask = fields["ask_price"]
        # Comparisons with NaN are false, so this one line also finds every number that is none.
        if not (0.0 < bid < ask < inf and 0.0 < fields["bid_qty"] < inf and 0.0 < fields["ask_qty"] < inf):
            return _malformed(quote)
        if event_age_ns is not None and event_age_ns > self._max_event_age_ns:
            return RefusedQuote.STALE
        if bid == self._bid and ask == self._ask:
            return None
        if self._low < bid + ask < self._high or self._has_held(bid + ask, ts_recv_ns):
            self.accept(bid, ask)
            return None
        return RefusedQuote.IMPLAUSIBLE_JUMP

    def accept(self, bid: float, ask: float) -> None:
        """Take these prices for the last accepted ones."""
        self._bid = bid
        self._ask = ask
        twice_mid = bid + ask
        self._low = twice_mid * (1.0 - self._jump)
        self._high = twice_mid * (1.0 + self._jump)
        self._level = nan

    def _has_held(self, twice_mid: float, ts_recv_ns: int) -> bool:
        """Whether the new level has lasted; starts its trial when this quote is the first one there."""
        same_level = abs(twice_mid - self._level) <= self._level * self._jump
        if same_level and ts_recv_ns >= self._level_ns:
            return ts_recv_ns - self._level_ns >= self._confirm_ns
        self._level = twice_mid
        self._level_ns = ts_recv_ns
        self._bid = nan
        return False


def _malformed(quote: TopOfBook) -> RefusedQuote:
    prices = (quote.bid_price, quote.ask_price)
    quantities = (quote.bid_qty, quote.ask_qty)
    if not all(isfinite(number) for number in prices + quantities):
        return RefusedQuote.NON_FINITE
    if 0.0 in quantities:
        return RefusedQuote.EMPTY_SIDE
    if min(prices + quantities) < 0.0 or 0.0 in prices:
        return RefusedQuote.NON_POSITIVE
    return RefusedQuote.LOCKED if quote.bid_price == quote.ask_price else RefusedQuote.CROSSED
