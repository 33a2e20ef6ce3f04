"""Disconnection protection (DCP): a customer whose private sockets stay away, or silent, has its orders cancelled.

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
    """Windows that customers have set, and who is connected. It begins when a socket has joined a `dcp` topic.

    A window runs from the last sign of life: a message on a socket of the topic, or the last such socket's end.
    """

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
        """From now on, cancel after so long without a sign of life; where no socket has joined, once one has."""
        name = (customer.key, topic)
        self._windows[name] = seconds
        if self._connected[name] or name in self._timers:
            self._restart(customer, topic)

    def windows(self, customer: Customer) -> dict[str, int]:
        """What a customer has set, by topic."""
        return {topic: seconds for (key, topic), seconds in self._windows.items() if key == customer.key}

    def joined(self, customer: Customer, topic: str, connection: Connection) -> None:
        """A socket is there."""
        self._connected[customer.key, topic].add(connection)
        self._restart(customer, topic)

    def heard(self, customer: Customer, topic: str) -> None:
        """A socket of the topic has said something."""
        self._restart(customer, topic)

    def left(self, customer: Customer, topic: str, connection: Connection) -> None:
        """A socket is gone; the window goes on, from now where it was the last one."""
        sockets = self._connected[customer.key, topic]
        sockets.discard(connection)
        if not sockets:
            self._restart(customer, topic)

    def _restart(self, customer: Customer, topic: str) -> None:
        name = (customer.key, topic)
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        window = self._windows.get(name)
        if window is not None:
            self._timers[name] = self._clock.call_later(window, partial(self._cancel, customer, topic))

    def _cancel(self, customer: Customer, topic: str) -> None:
        self._timers.pop((customer.key, topic), None)
        segment = _SEGMENTS.get(topic)
        for entry in self._catalogue.entries:
            if entry.segment is segment:
                customer.account.cancel_all(entry.index, self._exchange.now_ns())
