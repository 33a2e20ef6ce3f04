"""Bybit in an emergency: cancels of whole categories, what is open, what is held.

Source: https://bybit-exchange.github.io/docs/v5/order/cancel-all (and open orders, position info, authentication).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
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

_CLOCK = frozenset({10002})
_WRONG_KEY = frozenset({10003, 10004, 10005, 10007, 10009, 10010, 33004})
_SERVER = frozenset({10000, 10016, 10019, 170007, 170032, 170146, 170147})
_TOO_MANY = frozenset({10006, 10018})
_TOO_MANY_S = 0.25
_WINDOW_MS = "60000"
_MOST_PAGES = 50


class BybitEmergency:
    """Implements `exchanges.common.requests.emergency.Emergency`."""

    def __init__(self, account: Account, clock: Clock) -> None:
        """Nothing is sent yet.

        Raises:
            SettingsError: If an address is none that may be signed for.
        """
        self.account = account
        self._sender = Sender(account, clock)
        self._base = next(iter(account.rest_urls.values()))

    def cancels(self, found: Sequence[Resting]) -> Sequence[Callable[[], None]]:
        """One request for all of spot, and one for each currency that contracts settle in; `found` is among them."""
        return [partial(self._post, "/v5/order/cancel-all", dict(scope)) for scope in self._scopes()]

    def open_orders(self) -> Sequence[Resting]:
        """Of all symbols, page by page."""
        return [
            Resting(scope["category"], str(row["symbol"]), str(row["orderId"]), str(row.get("orderLinkId", "")))
            for scope in self._scopes()
            for row in self._rows("/v5/order/realtime", {**scope, "limit": "50"})
        ]

    def positions(self) -> Sequence[Standing]:
        """Of linear contracts."""
        found = []
        for scope in self._scopes():
            if scope["category"] == "spot":
                continue
            for row in self._rows("/v5/position/list", {**scope, "limit": "200"}):
                size = Decimal(str(row["size"] or 0))
                if size:
                    signed = -size if row["side"] == "Sell" else size
                    found.append(Standing(scope["category"], str(row["symbol"]), signed))
        return found

    def close(self, position: Standing) -> None:
        """A reduce-only market order."""
        body = {
            "category": position.segment,
            "symbol": position.symbol,
            "side": "Sell" if position.quantity > 0 else "Buy",
            "orderType": "Market",
            "qty": f"{abs(position.quantity):f}",
            "reduceOnly": True,
        }
        self._post("/v5/order/create", body)

    def measure_clock(self) -> None:
        """Bybit's own, which it tells anybody."""
        reply = self._sender.send("GET", f"{self._base}/v5/market/time", {})
        self._sender.believe(int(_understood(reply)["timeSecond"]) * 1000)

    def _scopes(self) -> Iterator[dict[str, str]]:
        for segment in self.account.rest_urls:
            if segment == "spot":
                yield {"category": "spot"}
            else:
                yield from ({"category": segment, "settleCoin": coin} for coin in self.account.settles)

    def _rows(self, path: str, values: dict[str, str]) -> Iterator[dict[str, Any]]:
        for _ in range(_MOST_PAGES):
            query = urlencode(values, safe="%")  # a cursor comes percent-encoded, and goes back as it came
            reply = self._sender.send("GET", f"{self._base}{path}?{query}", self._headers(query))
            result = _understood(reply)
            rows = result.get("list")
            if not isinstance(rows, list):
                raise Unanswered(f"answered {path} in an unknown way")  # not "nothing is open"
            yield from rows
            cursor = result.get("nextPageCursor")
            if not cursor:
                return
            values = {**values, "cursor": cursor}
        raise Unanswered(f"told no end of {path}")

    def _post(self, path: str, body: dict[str, Any]) -> None:
        text = json.dumps(body, separators=(",", ":"))
        headers = {**self._headers(text), "Content-Type": "application/json"}
        _understood(self._sender.send("POST", f"{self._base}{path}", headers, text))

    def _headers(self, payload: str) -> dict[str, str]:
        stamp = self._sender.stamp()
        return {
            "X-BAPI-API-KEY": self.account.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": _WINDOW_MS,
            "X-BAPI-SIGN": self._sender.sign(f"{stamp}{self.account.key}{_WINDOW_MS}{payload}"),
        }


def _understood(reply: Reply) -> dict[str, Any]:
    require_ok(reply)  # 403 is ten minutes of silence for this address, or a place that is not served
    try:
        body = json.loads(reply.text)
        code, result = int(body["retCode"]), body["result"]
    except (ValueError, TypeError, KeyError) as error:
        raise Unanswered("answered something that is not understood") from error
    if code in _SERVER:
        raise Unanswered(f"code {code}")
    if code:
        wait_s = _TOO_MANY_S if code in _TOO_MANY else 0.0
        is_final, clock = code in _WRONG_KEY, code in _CLOCK
        raise Refused(f"code {code}", code=code, retry_after_s=wait_s, final=is_final, clock=clock)
    return result if isinstance(result, dict) else {}
