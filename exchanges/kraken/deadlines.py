"""The `deadline` of every new order: a moment of Kraken's own clock, told as late as may be.

Source: https://docs.kraken.com/exchange/api-reference/trading/add-order: at least two seconds away, at most sixty.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot.clock import Clock
from exchanges.common.requests.request_budget import PATIENCE_S
from exchanges.common.requests.request_pool import Lane
from exchanges.kraken.turns import LONGEST_S

NEW_ORDER = "private/AddOrder"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOW_MS = 2_800
"""Kraken refuses one that is less than two seconds away when it looks at it: two, the way there, and what its clock may
have moved since it was measured."""
_MOVED_S = 0.4
NEVER_COMES_S = PATIENCE_S[Lane.REDUCE] + LONGEST_S + _WINDOW_MS / 1e3 + _MOVED_S
"""After this time an order that Kraken does not know will not come: its waits for room and for its turn, the window,
and Kraken's clock."""


class Deadlines:
    """Of one account's orders, by the offset that was measured last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns: int | None = None

    @property
    def is_measured(self) -> bool:
        """Whether Kraken's clock is known."""
        return self._offset_ns is not None

    def on_offset(self, offset_ns: int, round_trip_ns: int) -> None:
        """Kraken's clock minus ours."""
        self._offset_ns = offset_ns

    def terms(self, name: str) -> Mapping[str, str]:
        """What a request is told besides, by ccxt's name of it: Kraken takes no order after its `deadline`."""
        if name != NEW_ORDER:
            return {}
        until_us = (self._clock.now_ns() + (self._offset_ns or 0)) // 1_000 + _WINDOW_MS * 1_000
        moment = (_EPOCH + timedelta(microseconds=until_us)).isoformat(timespec="milliseconds")
        return {"deadline": moment.replace("+00:00", "Z")}
