"""The one line about break-even that status and summary begin with, where nothing has a price."""

from types import SimpleNamespace
from typing import Any

from bot.engine.snapshot import headline


def route(reason: str | None, *, is_free: bool = True) -> Any:
    watch = SimpleNamespace(net_bps=None, least_needed_bps=19.4, assess=lambda: None)
    return SimpleNamespace(watch=watch, is_paused=False, is_free=is_free, reason=reason, observed=None)


def test_it_says_why_there_is_no_price_of_a_route_that_has_a_reason() -> None:
    engine: Any = SimpleNamespace(routes=[route("x", is_free=False), route("feeds are silent")])
    assert headline(engine) == "needs 19.4 bps for fees alone; no price yet: feeds are silent"


def test_it_ends_there_where_no_route_tells_a_reason() -> None:
    engine: Any = SimpleNamespace(routes=[route(None, is_free=False)])
    assert headline(engine) == "needs 19.4 bps for fees alone; no price yet"
