import pytest

from bot.market.quote_ages import AgeLimit, QuoteAges
from bot.settings import QuoteGateSettings

MS = 1_000_000
NOW_NS = 1_723_161_254_000_000_000
AGES = QuoteAges(QuoteGateSettings(max_age_ms=500, max_event_age_ms=1_000, max_skew_ms=300))


def exceeded(a_ms: float, a_event_ms: float | None, b_ms: float, b_event_ms: float | None) -> tuple[object, ...] | None:
    """Two quotes received so many ms ago, each already so old when it came."""
    a_age, b_age = (None if ms is None else int(ms * MS) for ms in (a_event_ms, b_event_ms))
    return AGES.exceeded(NOW_NS, NOW_NS - int(a_ms * MS), a_age, NOW_NS - int(b_ms * MS), b_age)


@pytest.mark.parametrize("legs", [(0, 0, 0, 0), (300, None, 0, None), (500, 400, 500, 400), (0, 1_000, 0, 700)])
def test_quotes_within_the_limits_pass(legs: tuple[float, float | None, float, float | None]) -> None:
    assert exceeded(*legs) is None


@pytest.mark.parametrize(
    ("legs", "reason", "observed_ms", "allowed_ms"),
    [
        ((501, 0, 0, 0), AgeLimit.QUOTE_AGE, 501, 500),
        ((0, None, 600, None), AgeLimit.QUOTE_AGE, 600, 500),
        ((100, 901, 0, 0), AgeLimit.QUOTE_EVENT_AGE, 1_001, 1_000),
        ((0, None, 0, 3_000), AgeLimit.QUOTE_EVENT_AGE, 3_000, 1_000),
        ((301, 0, 0, 0), AgeLimit.QUOTE_SKEW, 301, 300),
        ((0, 0, 0, 400), AgeLimit.QUOTE_SKEW, 400, 300),
        ((0, None, 400, None), AgeLimit.QUOTE_SKEW, 400, 300),
    ],
)
def test_the_first_limit_is_named_with_its_figures(
    legs: tuple[float, float | None, float, float | None], reason: AgeLimit, observed_ms: float, allowed_ms: float
) -> None:
    assert exceeded(*legs) == (reason, observed_ms, allowed_ms)
    assert exceeded(*legs[2:], *legs[:2]) == (reason, observed_ms, allowed_ms), "the legs may change places"


def test_legs_that_came_together_but_were_made_apart_are_skewed() -> None:
    assert exceeded(0, 350, 0, 20) == (AgeLimit.QUOTE_SKEW, 330, 300)
    assert exceeded(0, 350, 330, 20) is None, "made at the same moment, one delayed on its way"
