"""Binance in an emergency: cancels of whole symbols, what is open, what is held.

Source: https://developers.binance.com/docs (cancel all open orders of spot and USDⓈ-M, current open orders, position
information v3, request security).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode

from bot.clock import Clock
from exchanges.common.requests.emergency import Account, Refused, Reply, Resting, Sender, Standing, Unanswered

_CLOCK = frozenset({-1021})
_WRONG_KEY = frozenset({-1002, -1022, -2014, -2015})
_NOTHING_TO_CANCEL = frozenset({-2011})
_WINDOW_MS = "60000"
"""The longest that Binance takes: a cancel that arrives late is as good."""
_PREFIX = {"spot": "/api", "linear": "/fapi"}
_CANCEL_ALL = {"spot": "/v3/openOrders", "linear": "/v1/allOpenOrders"}
_OPEN_ORDERS = {"spot": "/v3/openOrders", "linear": "/v1/openOrders"}
_TIME = {"spot": "/v3/time", "linear": "/v1/time"}
_MOST_BLIND = 40
"""Symbols that are cancelled without asking what is open; of more, those with open orders alone."""


class BinanceEmergency:
    """Implements `exchanges.common.requests.emergency.Emergency`."""

    def __init__(self, account: Account, clock: Clock) -> None:
        """Nothing is sent yet.

        Raises:
            SettingsError: If an address is none that may be signed for.
        """
        self.account = account
        self._sender = Sender(account, clock)

    def cancels(self, found: Sequence[Resting]) -> Sequence[Callable[[], None]]:
        """One request a symbol: Binance cancels no segment as a whole."""
        symbols = [(segment, symbol) for segment, names in self.account.symbols.items() for symbol in names]
        if len(symbols) > _MOST_BLIND:
            symbols = []
        symbols += [(order.segment, order.symbol) for order in found]
        return [partial(self._cancel_all, segment, symbol) for segment, symbol in dict.fromkeys(symbols)]

    def open_orders(self) -> Sequence[Resting]:
        """Of all symbols at once."""
        return [
            Resting(segment, str(row["symbol"]), str(row["orderId"]), str(row.get("clientOrderId", "")))
            for segment in self.account.rest_urls
            for row in self._rows("GET", segment, _OPEN_ORDERS[segment], {})
        ]

    def positions(self) -> Sequence[Standing]:
        """Of USDⓈ-M."""
        if "linear" not in self.account.rest_urls:
            return ()
        rows = self._rows("GET", "linear", "/v3/positionRisk", {})
        found = (Standing("linear", str(row["symbol"]), Decimal(str(row["positionAmt"]))) for row in rows)
        return [one for one in found if one.quantity]

    def close(self, position: Standing) -> None:
        """A reduce-only market order."""
        values = {
            "symbol": position.symbol,
            "side": "SELL" if position.quantity > 0 else "BUY",
            "type": "MARKET",
            "quantity": f"{abs(position.quantity):f}",
            "reduceOnly": "true",
        }
        self._asked("POST", position.segment, "/v1/order", values)

    def measure_clock(self) -> None:
        """From the first segment that there is."""
        segment, base = next(iter(self.account.rest_urls.items()))
        reply = self._sender.send("GET", f"{base}{_PREFIX[segment]}{_TIME[segment]}", {})
        self._sender.believe(int(_understood(reply)["serverTime"]))

    def _cancel_all(self, segment: str, symbol: str) -> None:
        try:
            self._asked("DELETE", segment, _CANCEL_ALL[segment], {"symbol": symbol})
        except Refused as refused:
            if refused.code not in _NOTHING_TO_CANCEL:
                raise

    def _rows(self, method: str, segment: str, path: str, values: dict[str, str]) -> Iterable[dict[str, Any]]:
        rows = self._asked(method, segment, path, values)
        if not isinstance(rows, list):
            raise Unanswered(f"answered {path} in an unknown way")
        return rows

    def _asked(self, method: str, segment: str, path: str, values: dict[str, str]) -> Any:
        query = urlencode({**values, "recvWindow": _WINDOW_MS, "timestamp": self._sender.stamp()})
        url = f"{self.account.rest_urls[segment]}{_PREFIX[segment]}{path}"
        headers = {"X-MBX-APIKEY": self.account.key}
        return _understood(self._sender.send(method, f"{url}?{query}&signature={self._sender.sign(query)}", headers))


def _understood(reply: Reply) -> Any:
    try:
        body = json.loads(reply.text)
    except ValueError:
        body = None
    if 200 <= reply.status < 300 and body is not None:
        return body
    code = body.get("code", 0) if isinstance(body, dict) else 0
    code = code if isinstance(code, int) else 0
    words = f"HTTP {reply.status}, code {code}"
    if reply.status >= 500 or reply.status == 408 or (body is None and reply.status < 400):
        raise Unanswered(words)
    wait_s, is_final = reply.retry_after_s, code in _WRONG_KEY
    raise Refused(words, code=code, retry_after_s=wait_s, final=is_final, clock=code in _CLOCK)
