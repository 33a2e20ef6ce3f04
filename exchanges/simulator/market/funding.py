"""Mark price, index and funding of one perpetual, once a second, and the settlement when it is due.

The rate follows the venues' published formula: average premium, plus what is missing to the interest of 1 bp in eight
hours but at most 5 bps of it, within the venue's cap.
"""

from decimal import Decimal

from exchanges.simulator.core.values import FundingDue, MarketEvent, MarkPriced
from exchanges.simulator.market.fair import FollowedPrice
from exchanges.simulator.market.stage import Fired, Stage

_SECOND_NS = 1_000_000_000
_HOUR_NS = 3_600 * _SECOND_NS
_MARK_KEEPS = 0.5 ** (1 / 20)
_PREMIUM_KEEPS = 0.5 ** (1 / 1_800)
"""A second: half-lives of 20 s and half an hour."""
_INTEREST_8H = 1e-4
_DAMPING = 5e-4


class FundingClock:
    """One perpetual's marks and settlements."""

    def __init__(self, stage: Stage, asset: FollowedPrice, start_ns: int) -> None:
        self._stage = stage
        self._asset = asset
        self._interval_h = stage.habits.interval_h
        self._interval_ns = self._interval_h * _HOUR_NS
        self._next_funding_ns = (start_ns // self._interval_ns + 1) * self._interval_ns
        self._basis = self._premium = stage.habits.level_bps / 1e4
        self.now = self._priced(start_ns)
        """The newest mark, index and rate."""

    def first_ns(self, start_ns: int) -> int:
        """The next whole second."""
        return (start_ns // _SECOND_NS + 1) * _SECOND_NS

    def fire(self, ts_ns: int) -> Fired:
        """Settle if it is due, then say the mark."""
        premium = float(self._stage.mid()) / self._asset.history[-1] - 1
        self._basis = premium + (self._basis - premium) * _MARK_KEEPS
        self._premium = premium + (self._premium - premium) * _PREMIUM_KEEPS
        events: list[MarketEvent] = []
        if ts_ns >= self._next_funding_ns:
            settled = self._priced(ts_ns)
            events.append(FundingDue(self._stage.index, ts_ns, settled.rate, settled.mark))
            self._next_funding_ns = (ts_ns // self._interval_ns + 1) * self._interval_ns
        self.now = self._priced(ts_ns)
        events.append(self.now)
        return events, ts_ns + _SECOND_NS

    def _priced(self, ts_ns: int) -> MarkPriced:
        index = self._asset.history[-1]
        return MarkPriced(
            self._stage.index,
            ts_ns,
            mark=_decimal(index * (1 + self._basis)),
            index=_decimal(index),
            rate=self._rate(),
            next_funding_ns=self._next_funding_ns,
            interval_h=self._interval_h,
        )

    def _rate(self) -> Decimal:
        share = self._interval_h / 8
        missing = max(-_DAMPING, min(_DAMPING, _INTEREST_8H - self._premium))
        rate = _decimal((self._premium + missing) * share)
        cap = self._stage.habits.funding_cap
        return max(-cap, min(cap, rate))


def _decimal(value: float) -> Decimal:
    """Eight digits: what the venues print."""
    return Decimal(round(value * 1e8)).scaleb(-8)
