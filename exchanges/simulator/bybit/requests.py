"""What a handler of an endpoint is given, and the parts of the venue that it may use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.hub import Hub
from exchanges.simulator.bybit.limits import KeyLimits
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.params import Params
from exchanges.simulator.bybit.protection import Protection
from exchanges.simulator.core.ports import Exchange

_MS = 1_000_000
_LONGEST_MS = 7 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Venue:
    """The parts of one simulated Bybit."""

    exchange: Exchange
    catalogue: Catalogue
    hub: Hub
    limits: KeyLimits
    protection: Protection
    options: BybitOptions


@dataclass(slots=True)
class Call:
    """One request, checked: `customer` is None for public endpoints."""

    venue: Venue
    params: Params
    customer: Customer | None = None
    message: str = "OK"
    """`retMsg` of success."""
    ext: dict[str, Any] = field(default_factory=dict)
    """`retExtInfo`."""

    @property
    def own(self) -> Customer:
        """Who asks; signed endpoints only."""
        assert self.customer is not None
        return self.customer

    @property
    def now_ns(self) -> int:
        """The exchange's time."""
        return self.venue.exchange.now_ns()

    @property
    def now_ms(self) -> int:
        """The same in ms."""
        return self.now_ns // _MS


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path, who may use it and how often."""

    method: str
    path: str
    handler: Handler
    group: str = ""
    """Of limits; empty for public endpoints. `{}` stands for the category."""

    @property
    def is_signed(self) -> bool:
        """Whether it needs a key."""
        return bool(self.group)


def span(call: Call) -> tuple[int, int]:
    """From when to when, UTC ms: seven days from `startTime` or up to `endTime`, the last seven without either."""
    start, end = call.params.integer("startTime", 0), call.params.integer("endTime", 0)
    end = end or (start + _LONGEST_MS if start else 2**53)
    start = start or max(0, min(end, call.now_ms) - _LONGEST_MS)
    if end - start > _LONGEST_MS and end != 2**53:
        raise ApiError(10001, "The time range between startTime and endTime cannot exceed 7 days")
    return start, end
