"""Whether the quotes of two legs are fresh enough, and of the same moment, to be compared."""

from enum import StrEnum
from typing import NamedTuple

from bot.settings import QuoteGateSettings


class AgeLimit(StrEnum):
    """The limits, in the order in which they are checked."""

    QUOTE_AGE = "quote_age"
    """Since we received it."""
    QUOTE_EVENT_AGE = "quote_event_age"
    """Since the venue made it."""
    QUOTE_SKEW = "quote_skew"
    """Between the two legs."""


class AgeExceeded(NamedTuple):
    """A limit that does not hold."""

    reason: AgeLimit
    observed_ms: float
    allowed_ms: float


class QuoteAges:
    """The age limits of the settings, for a pair of quotes."""

    __slots__ = ("_max_age_ns", "_max_event_age_ns", "_max_skew_ns")

    def __init__(self, settings: QuoteGateSettings) -> None:
        self._max_age_ns = settings.max_age_ms * 1e6
        self._max_event_age_ns = settings.max_event_age_ms * 1e6
        self._max_skew_ns = settings.max_skew_ms * 1e6

    def exceeded(
        self, now_ns: int, a_recv_ns: int, a_event_age_ns: int | None, b_recv_ns: int, b_event_age_ns: int | None
    ) -> AgeExceeded | None:
        """The first limit that a pair of quotes exceeds, with the worse leg's figure; None when all hold.

        Args:
            now_ns: When the decision is taken, on the clock of the receive times.
            a_recv_ns: When the quote of one leg was received.
            a_event_age_ns: How old it was then; None where nothing tells, and then it counts as made on arrival.
            b_recv_ns: The same of the other leg.
            b_event_age_ns: The same of the other leg.
        """
        a_made_ns = a_recv_ns - a_event_age_ns if a_event_age_ns else a_recv_ns
        b_made_ns = b_recv_ns - b_event_age_ns if b_event_age_ns else b_recv_ns
        age_ns = now_ns - (a_recv_ns if a_recv_ns < b_recv_ns else b_recv_ns)
        if age_ns > self._max_age_ns:
            return AgeExceeded(AgeLimit.QUOTE_AGE, age_ns / 1e6, self._max_age_ns / 1e6)
        event_age_ns = now_ns - (a_made_ns if a_made_ns < b_made_ns else b_made_ns)
        if event_age_ns > self._max_event_age_ns:
            return AgeExceeded(AgeLimit.QUOTE_EVENT_AGE, event_age_ns / 1e6, self._max_event_age_ns / 1e6)
        # By the time they were made: a leg that was delayed on its way arrives together with a newer one.
        skew_ns = abs(a_made_ns - b_made_ns)
        if skew_ns > self._max_skew_ns:
            return AgeExceeded(AgeLimit.QUOTE_SKEW, skew_ns / 1e6, self._max_skew_ns / 1e6)
        return None
