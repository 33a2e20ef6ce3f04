"""What a person has to know now, sent to wherever that person reads: mail, chat, a phone. Outbound only.

One text is sent once in `repeat_s`; how often it came meanwhile is said with the next. Numbers in a text (prices,
ids, seconds) do not make it another one. At most `per_minute` messages leave in a minute, and what waits is sent
together. A service that does not answer costs a thread some time, and trading none; what it did not take is tried again
for an hour: what halts a bot may be the network that the news of it needs.
"""

import logging
import re
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

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
_AGAIN_S = 30.0
_TRIES = 120
"""An hour of them."""
_OWED = 50
"""Messages that are tried again at most; the newest stay."""

Log = Callable[[str, str], None]


class Sender(Protocol):
    """Brings a message to a person."""

    def send(self, title: str, text: str) -> bool:
        """Whether it was taken; blocks as long as that takes."""

    def again(self) -> bool:
        """Try once more what was not taken; whether nothing of it is left. Blocks as well."""


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
        self._is_owed = False
        """Whether something was not taken; written on the thread of the outbox."""
        self._looks_again = False
        self._is_closed = False

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
        self._is_closed = True
        while self._waiting and self._hand_over():
            pass
        if self._is_owed:
            self._outbox.put(self._again_deliver)
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
        while self._waiting and len(self._sent_ns) < self._settings.per_minute:
            if not self._hand_over():
                return  # it is looked after again
        if self._waiting and not self._is_due:
            self._is_due = True
            self._clock.call_later((self._sent_ns[0] + _MINUTE_NS - now_ns) / 1e9, self._due)

    def _due(self) -> None:
        self._is_due = False
        if self._waiting:
            self._send_when_due(self._clock.monotonic_ns())

    def _hand_over(self) -> bool:
        """As much of what waits as one message takes; whether there was room for it."""
        count = _fitting(self._waiting)
        text = _joined(self._waiting[:count], self._left_out if count == len(self._waiting) else 0)
        is_taken = self._outbox.put(lambda: self._deliver(text))
        if is_taken:
            self._sent_ns.append(self._clock.monotonic_ns())
            del self._waiting[:count]
            self._left_out = self._left_out if self._waiting else 0
        self._look_later()
        if self._failed > self._told_failed:
            self._told_failed = self._failed
            self._log("warning", f"{self._failed} notifications could not be delivered")
        return is_taken

    def _look_later(self) -> None:
        if not self._looks_again and not self._is_closed:  # it is closed on another thread than the clock's
            self._looks_again = True
            self._clock.call_later(_AGAIN_S, self._look)

    def _look(self) -> None:
        """Whether all has left: a service may not have taken it, and the outbox may have had no room."""
        self._looks_again = False
        if self._is_closed:
            return
        if self._is_owed:
            self._outbox.put(self._again_deliver)
        if self._waiting:
            self._send_when_due(self._clock.monotonic_ns())
        is_busy = self._outbox.is_busy  # asked first: what is under way may end, and be owed, between the two
        if is_busy or self._is_owed:
            self._look_later()

    def _deliver(self, text: str) -> None:
        """On the thread of the outbox."""
        if not self._sender.send(self._title, text):
            self._failed += 1
            self._is_owed = True

    def _again_deliver(self) -> None:
        """On the thread of the outbox."""
        self._is_owed = not self._sender.again()


def _fitting(texts: Sequence[str]) -> int:
    """How many of them one message takes; one at least. What was cut off would not be told again for `repeat_s`."""
    ends = accumulate(len(text) + 1 for text in texts)
    return max(1, sum(end <= _LONGEST + 1 for end in ends))


def _joined(texts: Sequence[str], left_out: int) -> str:
    text = "\n".join(texts)
    rest = f"\n… {left_out} more" if left_out else ""
    return text[:_LONGEST] + ("…" if len(text) > _LONGEST else "") + rest


@dataclass(slots=True)
class _Owed:
    """What one service has not taken."""

    service: Any
    title: str
    text: str
    tries: int = 0
    is_taken: bool = False

    def bring(self) -> None:
        self.tries += 1
        self.is_taken = bool(self.service.notify(title=self.title, body=self.text))


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

            self._services = [apprise.Apprise() for _ in urls.split()]
            known = [service.add(url) for service, url in zip(self._services, urls.split(), strict=True)]
        if not all(known):
            raise ValueError(f"address {known.index(False) + 1} in {URLS} is none that apprise knows")
        self._owed: deque[_Owed] = deque(maxlen=_OWED)

    def send(self, title: str, text: str) -> bool:
        """Whether every service took it."""
        owed = [_Owed(service, title, text) for service in self._services]
        # One that does not answer keeps no other waiting, and no process from its end.
        threads = [threading.Thread(target=one.bring, daemon=True) for one in owed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = [one for one in owed if not one.is_taken]
        self._owed.extend(left)
        return not left

    def again(self) -> bool:
        """To each service what it did not take, and no other; given up in the end."""
        away = set[int]()
        for _ in range(len(self._owed)):
            one = self._owed.popleft()
            # Who has not taken one is not asked about the next: news would have to wait behind all of them.
            if id(one.service) not in away:
                one.bring()
            if not one.is_taken:
                away.add(id(one.service))
            if not one.is_taken and one.tries < _TRIES:
                self._owed.append(one)
        return not self._owed
