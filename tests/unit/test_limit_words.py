"""What stands behind a refusal and in the headline, in words."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.engine.snapshot import headline, limit_in_words


@pytest.mark.parametrize(
    ("observed", "allowed", "words"),
    [
        (99_807.0, 100_000.0, "depth 99807 USDT, at least 100000 needed"),
        (0.01234567, 0.5, "depth 0.012346 USDT, at least 0.5 needed"),
        (1_234_567.8, 100_000.0, "depth 1234568 USDT, at most 100000 allowed"),
    ],
)
def test_amounts_are_told_without_an_exponent(observed: float, allowed: float, words: str) -> None:
    assert limit_in_words("depth", observed, allowed, "USDT") == words


@pytest.mark.parametrize(("assumed", "marked"), [(True, " (in part ASSUMED)"), (False, "")])
def test_the_headline_marks_what_is_assumed_and_names_no_cost_that_may_be_known(assumed: bool, marked: str) -> None:
    watch = SimpleNamespace(net_bps=1.0, needed_bps=16.57, gross_bps=17.92, assumed=assumed)
    engine = cast(Any, SimpleNamespace(routes=[SimpleNamespace(watch=watch)]))
    assert headline(engine) == f"needs 16.6 bps{marked}, best now 17.9"


def test_a_venue_that_is_blocked_says_why_in_its_own_words() -> None:
    words = limit_in_words("venue_blocked bybit", 0.0, 1.0, "it refuses this address for another 12 s")
    assert words == "bybit: it refuses this address for another 12 s"


@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
def test_a_state_in_the_way_is_named_as_everywhere_else(state: str) -> None:
    assert limit_in_words(f"state_{state.lower()}", 0.0, 1.0, "active") == f"{state}: nothing new is opened"
