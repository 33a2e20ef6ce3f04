"""A topic: who listens, and when it pushes next."""

from collections.abc import Callable, Sequence
from typing import Protocol

from exchanges.simulator.bybit.connection import Connection, broadcast

NEVER_NS = 2**63
_MS = 1_000_000


class Channel(Protocol):
    """One topic of one listing."""

    listeners: dict[Connection, None]

    def greet(self, connection: Connection, now_ns: int) -> None:
        """What a new listener gets at once."""

    def leave(self, connection: Connection) -> None:
        """Somebody listens no more; nothing happens where nobody did."""


class PacedChannel:
    """Pushes the newest state when it has changed, at most once an interval; the first change at once.

    The times of pushes come from the times of changes, so the same market gives the same frames however it is batched.
    """

    def __init__(self, interval_ns: int, repeat_ns: int = NEVER_NS) -> None:
        self.listeners: dict[Connection, None] = {}
        self.due_ns = NEVER_NS
        """When it pushes next if nothing happens before; `NEVER_NS` while nobody listens or nothing has changed."""
        self._interval_ns = interval_ns
        self._repeat_ns = repeat_ns
        self._pushed_ns = 0
        self._changed_ns = NEVER_NS

    def _reckon(self) -> None:
        # Kept, and not asked for: every event of the market looks at the times of all topics.
        if not self.listeners:
            self.due_ns = NEVER_NS
        elif self._changed_ns != NEVER_NS:
            self.due_ns = max(self._changed_ns, self._pushed_ns + self._interval_ns)
        else:
            self.due_ns = self._pushed_ns + self._repeat_ns if self._repeat_ns != NEVER_NS else NEVER_NS

    def changed(self, ts_ns: int) -> None:
        """Something of it is new."""
        if self._changed_ns == NEVER_NS:
            self._changed_ns = ts_ns
            self._reckon()

    def push(self, now_ns: int) -> None:
        """Say what is new, or the same again."""
        is_new = self._changed_ns != NEVER_NS
        self._pushed_ns = now_ns
        self._changed_ns = NEVER_NS
        self._reckon()
        text = self.update(now_ns // _MS) if is_new else self.repeat(now_ns // _MS)
        if text is not None:
            broadcast(self.listeners, text)

    def greet(self, connection: Connection, now_ns: int) -> None:
        """A snapshot; a channel that nobody listened to begins anew."""
        if not self.listeners:
            self._changed_ns = NEVER_NS
            self._pushed_ns = now_ns
            self.begin()
        text = self.snapshot(now_ns // _MS)
        self.listeners[connection] = None
        self._reckon()
        if text is not None:
            broadcast((connection,), text)

    def leave(self, connection: Connection) -> None:
        """Somebody listens no more; nothing happens where nobody did."""
        self.listeners.pop(connection, None)
        self._reckon()

    def begin(self) -> None:
        """Take the state as it is now for the one that was pushed last."""
        raise NotImplementedError

    def snapshot(self, now_ms: int) -> str | None:
        """The state that was pushed last, whole."""
        raise NotImplementedError

    def update(self, now_ms: int) -> str | None:
        """The state now, or what has changed; None where the change was undone."""
        raise NotImplementedError

    def repeat(self, now_ms: int) -> str | None:
        """The state that was pushed last, again."""
        return self.snapshot(now_ms)


class EventChannel:
    """Pushes every event as it comes."""

    def __init__(self, greeting: Callable[[], str | None] | None = None) -> None:
        self.listeners: dict[Connection, None] = {}
        self._greeting = greeting

    def greet(self, connection: Connection, now_ns: int) -> None:
        """The greeting, where it has one."""
        self.listeners[connection] = None
        text = self._greeting() if self._greeting else None
        if text is not None:
            broadcast((connection,), text)

    def leave(self, connection: Connection) -> None:
        """Somebody listens no more; nothing happens where nobody did."""
        self.listeners.pop(connection, None)

    def say(self, texts: Sequence[str]) -> None:
        """Push these."""
        if self.listeners:
            for text in texts:
                broadcast(self.listeners, text)
