"""Who hears what happens to an account: each event is spelled once, however many connections listen."""

import json
from collections.abc import Callable, Iterable

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Desk
from exchanges.simulator.binance.user_events import (
    Event,
    linear_account_events,
    linear_order_events,
    spot_account_events,
    spot_order_event,
)
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.values import AccountEvent, OrderUpdated
from exchanges.simulator.faults.orders import OrderFaults

Sink = Callable[[str, str], None]
"""Takes an event's type and its JSON text."""


class UserFeed:
    """One account's events in one segment's words."""

    def __init__(self, desk: Desk, account: Account, segment: Segment, faults: OrderFaults) -> None:
        self._desk = desk
        self._account = account
        self._segment = segment
        self._faults = faults
        self._sinks: list[Sink] = []
        self._stop: Callable[[], None] | None = None

    def listen(self, sink: Sink) -> Callable[[], None]:
        """Hear them; call what is returned to stop."""
        self._sinks.append(sink)
        if self._stop is None:
            self._stop = self._account.listen(self._hear)
        return lambda: self._leave(sink)

    def _leave(self, sink: Sink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)
        if not self._sinks:
            self.close()

    def close(self) -> None:
        """Stop listening to the account."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _hear(self, event: AccountEvent) -> None:
        events = tuple(self._events(event))
        for _ in range(self._times_told(event) if events else 0):
            for kind, content in events:
                self.tell(kind, content)

    def _times_told(self, event: AccountEvent) -> int:
        if not isinstance(event, OrderUpdated) or event.fill is None:
            return 1
        return self._faults.times_told(self._desk.lines[event.fill.listing].instrument)

    def tell(self, kind: str, content: dict[str, object]) -> None:
        """Send an event to everybody who listens."""
        text = json.dumps(content, separators=(",", ":"))
        for sink in list(self._sinks):
            sink(kind, text)

    def _events(self, event: AccountEvent) -> Iterable[Event]:
        spot = self._segment is Segment.SPOT
        if not isinstance(event, OrderUpdated):
            return spot_account_events(event) if spot else linear_account_events(self._desk, event)
        line = self._desk.lines.get(event.order.request.listing)
        # A refusal is the answer to the request and no event.
        if line is None or line.instrument.segment is not self._segment or event.refusal is not None:
            return ()
        if spot:
            return (spot_order_event(line, event, self._desk.cancel_ids.get(event.order.number)),)
        return linear_order_events(line, event)


class UserFeeds:
    """The feeds of all accounts; made when first asked for."""

    def __init__(self, desk: Desk, faults: OrderFaults) -> None:
        self._desk = desk
        self._faults = faults
        self._feeds: dict[tuple[str, Segment], UserFeed] = {}

    def of(self, api_key: str, account: Account, segment: Segment) -> UserFeed:
        """The feed of a known key."""
        key = (api_key, segment)
        if key not in self._feeds:
            self._feeds[key] = UserFeed(self._desk, account, segment, self._faults)
        return self._feeds[key]

    def close(self) -> None:
        """Stop them all."""
        for feed in self._feeds.values():
            feed.close()
