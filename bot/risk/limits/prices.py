"""Whether the prices may be believed: fresh quotes, the moving average, other venues, the past, the currency."""

from dataclasses import dataclass
from itertools import combinations
from math import inf

from bot.market.quote_ages import QuoteAges
from bot.risk.limits.base import Refused, at_most, is_within, unknown
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal


class FreshQuotes:
    """All legs need a quote that the quote gate let pass, fresh, and of the same moment."""

    __slots__ = ("_ages",)

    def __init__(self, ages: QuoteAges) -> None:
        """Check against the age limits of the settings."""
        self._ages = ages

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """`quote_gate` without a quote, else the age limit that is exceeded."""
        sides = []
        for leg in proposal.route.committed:
            side = portfolio.market(leg.instrument)
            if side is None or side.quote is None:
                return Refused(f"quote_gate {leg.instrument.id}", 0.0, 1.0, "usable quotes")
            if side.recv_ns > proposal.ts_ns:
                return unknown(f"quote_age {leg.instrument.id}")  # from the future: a clock was set back
            sides.append(side)
        if not sides:
            return unknown("quote_gate")
        # A round trip opens with one leg, whose quote is of its own moment.
        for a, b in combinations(sides, 2) if len(sides) > 1 else ((sides[0], sides[0]),):
            worst = self._ages.exceeded(proposal.ts_ns, a.recv_ns, a.known_age_ns(), b.recv_ns, b.known_age_ns())
            if worst is not None:
                return Refused(worst.reason.value, worst.observed_ms, worst.allowed_ms, "ms")
        return None


@dataclass(frozen=True, slots=True)
class CollarToMean:
    """No price far from where the instrument has been trading in the last minutes."""

    allowed_bps: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's price against its rolling mean mid."""
        for leg in proposal.route.committed:
            side = portfolio.market(leg.instrument)
            mean = None if side is None else side.statistics.mean_mid
            away = None if mean is None or not 0.0 < mean < inf else abs(proposal.price(leg) / mean - 1.0) * 1e4
            if not is_within(away, self.allowed_bps):
                return at_most(f"collar_mean {leg.instrument.id}", away, self.allowed_bps, "bps")
        return None


@dataclass(frozen=True, slots=True)
class CollarToOthers:
    """No price far from what everybody else asks: the venue that differs from all others is the one that is wrong."""

    allowed_bps: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's price against the nearest mid of another instrument on the same asset and currency.

        A leg that nobody else quotes in its currency has nothing to be compared with: its own mean remains.
        """
        for leg in proposal.route.committed:
            price, nearest = proposal.price(leg), inf
            mids = portfolio.other_mids(leg.instrument)
            for mid in mids:
                if not 0.0 < mid < inf:
                    return unknown(f"collar_others {leg.instrument.id}")
                nearest = min(nearest, abs(price / mid - 1.0) * 1e4)
            if mids and not is_within(nearest, self.allowed_bps):
                return at_most(f"collar_others {leg.instrument.id}", nearest, self.allowed_bps, "bps")
        return None


@dataclass(frozen=True, slots=True)
class PersistentEdge:
    """A large edge that nobody takes is none: another coin of the same name, or withdrawals that are halted."""

    allowed_s: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """How long the route's edge has been that large."""
        stood_s = portfolio.edge_stood_s(proposal.route, proposal.gross_edge_bps)
        return at_most("edge_persistent", stood_s, self.allowed_s, "s")


@dataclass(frozen=True, slots=True)
class QuotePeg:
    """Currencies that should be worth a dollar each must be: an edge between two of them is no edge otherwise."""

    allowed_bps: float
    pegged: tuple[str, ...]

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's currency against the others; two currencies in one route need a rate between them."""
        buy, sell = proposal.route.buy.quote, proposal.route.sell.quote
        if buy != sell and buy in self.pegged and sell in self.pegged and portfolio.currency_rate(buy, sell) is None:
            return unknown(f"depeg {buy}/{sell}")
        for currency in {buy, sell}.intersection(self.pegged):
            for other in self.pegged:
                rate = None if other == currency else portfolio.currency_rate(currency, other)
                away = 0.0 if rate is None else abs(rate - 1.0) * 1e4
                if not is_within(away, self.allowed_bps):
                    return at_most(f"depeg {currency}/{other}", away, self.allowed_bps, "bps")
        return None
