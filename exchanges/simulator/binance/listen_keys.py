"""Listen keys of USDⓈ-M user streams: sixty minutes each, unless kept alive."""

import hashlib
from collections.abc import Callable

from bot.clock import Clock, Timer
from exchanges.simulator.binance.errors import Rejected

LIFETIME_S = 3600.0


class ListenKeys:
    """One live key per account at most; who listens is told when it expires."""

    def __init__(self, clock: Clock, lifetime_s: float = LIFETIME_S) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._made = 0
        self._keys: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._timers: dict[str, Timer] = {}
        self.on_end: list[Callable[[str, bool], None]] = []
        """Called with a key that ended and whether it expired (else it was closed)."""

    def open(self, api_key: str) -> str:
        """The account's key, new or the same again; its time starts anew."""
        key = self._keys.get(api_key)
        if key is None:
            self._made += 1
            digest = hashlib.sha256(f"listen:{api_key}:{self._made}".encode()).hexdigest()
            key = self._keys[api_key] = digest
            self._owners[key] = api_key
        self._extend(key)
        return key

    def keep_alive(self, api_key: str) -> str:
        """Start the time anew; -1125 where the account has none."""
        key = self._keys.get(api_key)
        if key is None:
            raise Rejected(-1125, "This listenKey does not exist.")
        self._extend(key)
        return key

    def owner(self, key: str) -> str | None:
        """The API key that it belongs to, while it lives."""
        return self._owners.get(key)

    def end(self, api_key: str, *, expired: bool = False) -> None:
        """Close or expire the account's key, if it has one."""
        key = self._keys.pop(api_key, None)
        if key is None:
            return
        del self._owners[key]
        self._timers.pop(key).cancel()
        for listener in list(self.on_end):
            listener(key, expired)

    def expire_all(self) -> int:
        """Expire the key of every account; how many there were."""
        owners = list(self._keys)
        for api_key in owners:
            self.end(api_key, expired=True)
        return len(owners)

    def _extend(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        api_key = self._owners[key]
        self._timers[key] = self._clock.call_later(self._lifetime_s, lambda: self.end(api_key, expired=True))

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._keys.clear()
        self._owners.clear()
