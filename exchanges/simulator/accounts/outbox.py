"""Who listens to an account, and what happened to it besides orders."""

from collections import deque
from collections.abc import Callable

from exchanges.simulator.core.values import AccountChanged, AccountEvent, AccountFill, Cause, OrderUpdated

_KEPT = 50_000
"""Fills, and payments, that are remembered."""


class Outbox:
    """Tells the listeners, and remembers fills and payments."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[AccountEvent], None]] = []
        self.fills: deque[AccountFill] = deque(maxlen=_KEPT)
        self.income: deque[AccountChanged] = deque(maxlen=_KEPT)

    def listen(self, listener: Callable[[AccountEvent], None]) -> Callable[[], None]:
        """Add a listener; what is returned takes it away, however often it is called."""
        self._listeners.append(listener)

        def stop() -> None:
            # By identity: a listener may be added twice.
            self._listeners = [one for one in self._listeners if one is not listener]

        return stop

    def tell(self, event: AccountEvent) -> None:
        """Hand it to everybody who listens now."""
        if isinstance(event, OrderUpdated):
            if event.fill is not None:
                self.fills.append(event.fill)
        elif event.cause is not Cause.ORDER:
            self.income.append(event)
        for listener in tuple(self._listeners):
            listener(event)
