"""What a person has to know now, sent to wherever that person reads: mail, chat, a phone. Outbound only.

One text is sent once in `repeat_s`; how often it came meanwhile is said with the next. Numbers in a text (prices,
ids, seconds) do not make it another one. At most `per_minute` messages leave in a minute, and what waits is sent
together. A service that does not answer costs a thread some time, and trading none.
"""

import logging
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.clock import Clock
from bot.settings.telling import NotificationSettings
from bot.telling.outbox import Outbox
from bot.text import inert

URLS = "CRYPTO_PIPE_NOTIFY_URLS"
"""The environment variable with apprise's URLs, separated by spaces: they hold tokens."""
_LEVELS = ("info", "warning", "error")
_NUMBERS = re.compile(r"\d+")
_REMEMBERED = 1_000
_MINUTE_NS = 60_000_000_000
_LONGEST = 2_000
"""Characters of one message."""
_GOODBYE_S = 5.0

Log = Callable[[str, str], None]


class Sender(Protocol):
    """Brings a message to a person."""

    def send(self, title: str, text: str) -> bool:
        """Whether it was taken; blocks as long as that takes."""


@dataclass(slots=True)
class _Seen:
    """A text that was told before."""

    sent_ns: int
    again: int = 0


class Notifier:
    """Tells a person. Call it on the engine's thread."""

    def __init__(self, sender: Sender, title: str, settings: NotificationSettings, clock: Clock, log: Log) -> None:
        """Begin; `title` names the market and whose money it is, and heads every message.

        `log` hears, on the engine's thread, of messages that could not be delivered.
        """
        self._sender = sender
        self._title = title
        self._settings = settings
        self._clock = clock
        self._log = log
        self._outbox = Outbox("notifications", settings.queue_limit)
        self._seen: dict[str, _Seen] = {}
        self._waiting: list[str] = []
        self._left_out = 0
        self._sent_ns: list[int] = []
        self._is_due = False
        self._failed = 0
        self._told_failed = 0

    def tell(self, level: str, text: str) -> None:
        """Something was logged: pass it on, if it is bad enough and news."""
        if _LEVELS.index(level) < _LEVELS.index(self._settings.min_level):
            return
        now_ns = self._clock.monotonic_ns()
        words = inert(text)
        again = self._again(_NUMBERS.sub("#", words), now_ns)
        if again is None:
            return
        if len(self._waiting) >= self._settings.queue_limit:
            self._left_out += 1
            return
        self._waiting.append(f"{level.upper()}: {words}" + (f" ({again} more like it before)" if again else ""))
        self._send_when_due(now_ns)

    def close(self) -> None:
        """Send what waits; a service that does not answer is given up after a few seconds."""
        if self._waiting:
            self._hand_over()
        self._outbox.close(_GOODBYE_S)

    def _again(self, key: str, now_ns: int) -> int | None:
        """How often the like of it was kept back before; None: keep it back now."""
        seen = self._seen.get(key)
        if seen is not None and now_ns - seen.sent_ns < self._settings.repeat_s * 1e9:
            seen.again += 1
            return None
        if seen is None and len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen.pop(key, None)
        self._seen[key] = _Seen(now_ns)
        return 0 if seen is None else seen.again

    def _send_when_due(self, now_ns: int) -> None:
        self._sent_ns = [sent_ns for sent_ns in self._sent_ns if now_ns - sent_ns < _MINUTE_NS]
        if len(self._sent_ns) < self._settings.per_minute:
            self._hand_over()
        elif not self._is_due:
            self._is_due = True
            self._clock.call_later((self._sent_ns[0] + _MINUTE_NS - now_ns) / 1e9, self._due)

    def _due(self) -> None:
        self._is_due = False
        if self._waiting:
            self._send_when_due(self._clock.monotonic_ns())

    def _hand_over(self) -> None:
        text = _joined(self._waiting, self._left_out)
        if self._outbox.put(lambda: self._deliver(text)):
            self._sent_ns.append(self._clock.monotonic_ns())
            self._waiting, self._left_out = [], 0
        if self._failed > self._told_failed:
            self._told_failed = self._failed
            self._log("warning", f"{self._failed} notifications could not be delivered")

    def _deliver(self, text: str) -> None:
        """On the thread of the outbox."""
        if not self._sender.send(self._title, text):
            self._failed += 1


def _joined(texts: Sequence[str], left_out: int) -> str:
    text = "\n".join(texts)
    rest = f"\n… {left_out} more" if left_out else ""
    return text[:_LONGEST] + ("…" if len(text) > _LONGEST else "") + rest


class AppriseSender:
    """Implements `Sender` for some hundred services. The one place that knows apprise."""

    def __init__(self, urls: str) -> None:
        """Take the URLs, separated by spaces; nothing is connected.

        Raises:
            ValueError: If one is not understood. Its text is not in the message: it holds a token.
        """
        for name in ("apprise", "urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # they log URLs, tokens included
        with warnings.catch_warnings():
            # It looks for a module that Python 3.13 has no more, and has its own where that is missing.
            warnings.simplefilter("ignore", DeprecationWarning)
            import apprise  # takes a third of a second, and few runs need it

            self._apprise = apprise.Apprise()
            known = [self._apprise.add(url) for url in urls.split()]
        if not all(known):
            raise ValueError(f"address {known.index(False) + 1} in {URLS} is none that apprise knows")

    def send(self, title: str, text: str) -> bool:
        """Whether every service took it."""
        return bool(self._apprise.notify(title=title, body=text))
