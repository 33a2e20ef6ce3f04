"""Disconnection protection (DCP): a customer whose private sockets stay away has its orders cancelled.

Source: https://bybit-exchange.github.io/docs/v5/order/dcp.
"""

from collections import defaultdict
from functools import partial

from bot.clock import Clock, Timer
from bot.domain.instrument import Segment
from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.core.ports import Exchange

PRODUCTS = {"SPOT": "dcp.spot", "DERIVATIVES": "dcp.future", "OPTIONS": "dcp.option"}
_SEGMENTS = {"dcp.spot": Segment.SPOT, "dcp.future": Segment.LINEAR}


class Protection:
    """Windows that customers have set, and who is connected. It begins when a socket has joined a `dcp` topic."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue, clock: Clock) -> None:
        self._exchange = exchange
        self._catalogue = catalogue
        self._clock = clock
        self._windows: dict[tuple[str, str], int] = {}
        self._connected: defaultdict[tuple[str, str], set[Connection]] = defaultdict(set)
        self._timers: dict[tuple[str, str], Timer] = {}

    def close(self) -> None:
        """Cancel nobody's orders any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._windows.clear()

    def set_window(self, customer: Customer, topic: str, seconds: int) -> None:
        """From now on, cancel after so long without a socket."""
        self._windows[customer.key, topic] = seconds

    def windows(self, customer: Customer) -> dict[str, int]:
        """What a customer has set, by topic."""
        return {topic: seconds for (key, topic), seconds in self._windows.items() if key == customer.key}

    def joined(self, customer: Customer, topic: str, connection: Connection) -> None:
        """A socket is there."""
        self._connected[customer.key, topic].add(connection)
        timer = self._timers.pop((customer.key, topic), None)
        if timer is not None:
            timer.cancel()

    def left(self, customer: Customer, topic: str, connection: Connection) -> None:
        """A socket is gone; if it was the last one, the window begins."""
        name = (customer.key, topic)
        sockets = self._connected[name]
        sockets.discard(connection)
        window = self._windows.get(name)
        if not sockets and window is not None and name not in self._timers:
            self._timers[name] = self._clock.call_later(window, partial(self._cancel, customer, topic))

    def _cancel(self, customer: Customer, topic: str) -> None:
        self._timers.pop((customer.key, topic), None)
        segment = _SEGMENTS.get(topic)
        for entry in self._catalogue.entries:
            if entry.segment is segment:
                customer.account.cancel_all(entry.index, self._exchange.now_ns())
