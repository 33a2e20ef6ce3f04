"""Kraken in an emergency: one request cancels everything, another tells what is open. Spot holds no positions.

Source: https://docs.kraken.com/exchange/api-reference/trading/cancel-all-orders (and open orders, authentication).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from bot.clock import Clock
from exchanges.common.requests.emergency import (
    Account,
    Refused,
    Reply,
    Resting,
    Sender,
    Standing,
    Unanswered,
    require_ok,
)

_AHEAD_MS = 2_000
"""A key's numbers must grow: ahead of those of a bot that still sends. They are its own again seconds later."""
_LEAP_MS = 10_000
_WRONG_KEY = frozenset(
    {"EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied", "EGeneral:Temporary lockout"}
)
_SERVER = frozenset({"EService:Unavailable", "EService:Busy", "EService:Timeout", "EGeneral:Internal error"})
_TOO_MANY = frozenset({"EAPI:Rate limit exceeded", "EOrder:Rate limit exceeded", "EGeneral:Too many requests"})
_TOO_MANY_S = 3.0
_NONCE = "EAPI:Invalid nonce"


class KrakenEmergency:
    """Implements `exchanges.common.requests.emergency.Emergency`."""

    def __init__(self, account: Account, clock: Clock) -> None:
        """Nothing is sent yet.

        Raises:
            SettingsError: If an address is none that may be signed for.
        """
        self.account = account
        self._clock = clock
        self._sender = Sender(account, clock)
        self._base = next(iter(account.rest_urls.values()))
        self._last = 0
        self._ahead_ms = _AHEAD_MS

    def cancels(self, found: Sequence[Resting]) -> Sequence[Callable[[], None]]:
        """One request for all of the account; `found` is among them."""
        return [self._cancel_all]

    def open_orders(self) -> Sequence[Resting]:
        """Of all pairs; Kraken tells them at once."""
        rows = self._post("OpenOrders").get("open")
        if not isinstance(rows, dict):
            raise Unanswered("answered OpenOrders in an unknown way")  # not "nothing is open"
        return [
            Resting("spot", str(row["descr"]["pair"]), str(name), str(row.get("cl_ord_id") or ""))
            for name, row in rows.items()
        ]

    def positions(self) -> Sequence[Standing]:
        """None: spot alone."""
        return ()

    def close(self, position: Standing) -> None:
        """There is nothing to close."""

    def measure_clock(self) -> None:
        """Kraken wants numbers that grow, not the time: go on further ahead."""
        self._ahead_ms += _LEAP_MS

    def _cancel_all(self) -> None:
        self._post("CancelAll")

    def _post(self, method: str) -> dict[str, Any]:
        path = f"/0/private/{method}"
        self._last = max(self._last + 1, self._clock.now_ns() // 1_000_000 + self._ahead_ms)
        nonce = str(self._last)
        body = urlencode({"nonce": nonce})
        digest = hashlib.sha256((nonce + body).encode()).digest()
        secret = base64.b64decode(self.account.secret)
        sign = base64.b64encode(hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()).decode()
        headers = {
            "API-Key": self.account.key,
            "API-Sign": sign,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return _understood(self._sender.send("POST", f"{self._base}{path}", headers, body))


def _understood(reply: Reply) -> dict[str, Any]:
    require_ok(reply)
    try:
        answer = json.loads(reply.text)
        errors = [str(one) for one in answer["error"] if str(one).startswith("E")]
    except (ValueError, TypeError, KeyError) as error:
        raise Unanswered("answered something that is not understood") from error
    if errors:
        _refuse(":".join(errors[0].split(":")[:2]))
    result = answer.get("result")
    return result if isinstance(result, dict) else {}


def _refuse(code: str) -> None:
    words = code if code.isascii() and code.isprintable() else "an error that is not known"
    if code in _SERVER:
        raise Unanswered(words)
    wait_s = _TOO_MANY_S if code in _TOO_MANY else 0.0
    raise Refused(words, code=0, retry_after_s=wait_s, final=code in _WRONG_KEY, clock=code == _NONCE)
