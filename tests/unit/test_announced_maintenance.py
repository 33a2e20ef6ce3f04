"""Announced maintenance: which texts are a window, and when a venue takes nothing new for it."""

import pytest
from pydantic import ValidationError

from bot.clock import VirtualClock
from bot.settings import ExecutionSettings
from bot.settings.maintenance import window
from exchanges.common.account.venue_state import VenueState
from exchanges.common.requests.request_budget import RequestBudget

S = 1_000_000_000
SIX, EIGHT = 1_796_104_800, 1_796_112_000  # 2026-12-01, UTC
TEXT = "2026-12-01T06:00Z/2026-12-01T08:00Z"


def test_a_window_is_two_moments_of_whatever_time_zone() -> None:
    assert window(TEXT) == (SIX * S, EIGHT * S)
    assert window("2026-12-01T07:00+01:00 / 2026-12-01T08:00:00Z") == (SIX * S, EIGHT * S)
    assert ExecutionSettings(maintenance={"kraken": [TEXT]}).maintenance == {"kraken": [TEXT]}


@pytest.mark.parametrize(
    "text",
    ["", "2026-12-01T06:00Z", "soon/later", "2026-12-01T06:00/2026-12-01T08:00", "2026-12-01T08:00Z/2026-12-01T06:00Z"],
)
def test_what_is_no_window_is_an_error_of_the_settings(text: str) -> None:
    with pytest.raises(ValidationError):
        ExecutionSettings(maintenance={"kraken": [text]})


def test_nothing_new_is_risked_from_a_while_before_it_to_its_end() -> None:
    clock = VirtualClock((SIX - 400) * S)
    state = VenueState(RequestBudget("kraken", [], clock), [], clock, lambda *_: None)
    assert state.blocked() is None
    state.announce([TEXT, "2026-12-02T06:00Z/2026-12-02T08:00Z"], 300.0)
    told = []
    for at_s in (SIX - 301, SIX - 300, SIX, EIGHT - 1, EIGHT, EIGHT + 86_400 - 7_201, EIGHT + 86_400):
        clock.advance_to(at_s * S)
        told.append(state.blocked())
    words = "its announced maintenance ends at 2026-12-01 08:00 UTC"
    assert told == [None, words, words, words, None, words.replace("-01 ", "-02 "), None]
    assert state.standing().blocked is None
