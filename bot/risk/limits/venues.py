"""Whether the venues are in order: connections, clocks, rejects, and what they still list."""

from dataclasses import dataclass

from bot.domain.instrument import ListingStatus
from bot.ports import FeedState
from bot.risk.limits.base import Refused, at_least, at_most, is_within, unknown
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal

_BROKEN = (FeedState.RECONNECTING, FeedState.FAILED, FeedState.CLOSED)
"""Connecting and silent are not: the fresh quotes that are asked for besides prove that data comes."""
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class HealthyFeeds:
    """No trade on a feed that is away, was away time and again, or talks nonsense."""

    max_reconnects: int
    max_malformed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """State, reconnects and malformed frames of the last minute, of each leg's feed."""
        for leg in proposal.route.committed:
            feed = leg.instrument.feed
            condition = portfolio.feed(feed)
            if condition is None:
                return unknown(f"feed_state {feed}")
            if condition.state in _BROKEN:
                return Refused(f"feed_state {feed}", 0.0, 1.0, "live")
            reconnects, malformed = condition.recent_reconnects, condition.recent_malformed
            if not is_within(reconnects, self.max_reconnects):
                return at_most(f"reconnects {feed}", reconnects, self.max_reconnects, "a minute")
            if not is_within(malformed, self.max_malformed):
                return at_most(f"malformed {feed}", malformed, self.max_malformed, "frames a minute")
        return None


class OpenVenues:
    """Nothing new at a venue that bans us, does not take our key, or cannot tell what becomes of our orders."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's venue."""
        for leg in proposal.route.committed:
            venue = leg.instrument.venue
            why = portfolio.blocked(venue)
            if why is not None:
                return Refused(f"venue_blocked {venue}", 0.0, 1.0, why)
        return None


class NotQuarantined:
    """Nothing new on an instrument on which something is that is not ours, or that nobody can explain."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's instrument."""
        for leg in proposal.route.committed:
            why = portfolio.quarantined(leg.instrument)
            if why is not None:
                return Refused(f"quarantine {leg.instrument.id}", 0.0, 1.0, f"all ours ({why})")
        return None


@dataclass(frozen=True, slots=True)
class MaxRejects:
    """A venue that rejects order after order says something that a person should read."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Rejected orders of the last minute at each leg's venue."""
        for leg in proposal.route.committed:
            venue = leg.instrument.venue
            rejects = portfolio.rejects_last_minute(venue)
            if not is_within(rejects, self.allowed):
                return at_most(f"rejects {venue}", rejects, self.allowed, "a minute")
        return None


@dataclass(frozen=True, slots=True)
class KnownOrders:
    """A venue that does not say what became of an order takes no new risk until it does."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Orders of an unknown outcome at each leg's venue."""
        for leg in proposal.route.committed:
            venue = leg.instrument.venue
            unknown_orders = portfolio.unresolved_orders(venue)
            if not is_within(unknown_orders, 0):
                return at_most(f"unknown_orders {venue}", unknown_orders, 0, "orders")
        return None


@dataclass(frozen=True, slots=True)
class ClockUncertainty:
    """Ages mean nothing between clocks that may differ by more than the ages allowed."""

    allowed_ms: float
    must_be_measured: bool
    """Where money may be real. Elsewhere the frames themselves tell enough."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Half the round trip of each venue's last measurement."""
        for leg in proposal.route.committed:
            venue = leg.instrument.venue
            uncertain_ms = portfolio.clock_uncertainty_ms(venue)
            if uncertain_ms is None and not self.must_be_measured:
                continue
            if not is_within(uncertain_ms, self.allowed_ms):
                return at_most(f"clock_offset {venue}", uncertain_ms, self.allowed_ms, "ms")
        return None


@dataclass(frozen=True, slots=True)
class StillListed:
    """Nothing new in what is being delisted or settled: the last hours have no second side."""

    stop_before_delivery_h: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's status, and the hours to its delivery."""
        for leg in proposal.route.committed:
            listed = portfolio.listing(leg.instrument)
            if listed.status is not ListingStatus.TRADING:
                return Refused(f"instrument_status {listed.id}", 0.0, 1.0, f"trading ({listed.status})")
            if listed.delivery_ns is not None:
                left_h = (listed.delivery_ns - proposal.ts_ns) / _HOUR_NS
                refused = at_least(f"delivery {listed.id}", left_h, self.stop_before_delivery_h, "h")
                if refused is not None:
                    return refused
        return None
