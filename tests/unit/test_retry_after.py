"""`Retry-After`, however a venue, or what stands before it, spells it."""

from collections.abc import Callable

import pytest

from bot.clock import VirtualClock
from bot.errors import Banned, RateLimited
from exchanges.binance.errors import retry_after_s
from exchanges.ccxt.client import _wait_s
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Rate
from exchanges.common.requests.venue_http import of_handshake

READ: list[Callable[[str], float | None]] = [
    lambda text: retry_after_s({"Retry-After": text}),
    lambda text: of_handshake("here", "a socket", 429, text).retry_after_s,
    lambda text: _wait_s(("GET", {"retry-after": text})),
]


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("0", 0), ("40", 40), ("", None), ("-1", None), ("1e3", None), ("nan", None), ("٣", None), ("9" * 400, None),
     ("Sun, 22 Nov 2026 05:00:00 GMT", None)],
)  # fmt: skip
def test_what_is_no_wait_names_none_and_is_sat_out_all_the_same(
    read: Callable[[str], float | None], text: str, wait_s: float | None
) -> None:
    found = read(text)
    budget = RequestBudget("here", [Rate("weight", 10, 1.0)], VirtualClock())
    for kind in (RateLimited, Banned):
        budget.heed(kind("here", "refuses", retry_after_s=found), ["weight"])
    assert found == wait_s
    assert budget.lines()[0].held_s > 0
