"""Kraken's REST interface: `/0/public` and `/0/private`, every answer with its `error` and its `result`.

Source: https://docs.kraken.com/api/docs/rest-api/get-server-time (and its neighbours).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.clock import Clock, Timer
from exchanges.simulator.core.ports import Account, Exchange
from exchanges.simulator.kraken.errors import ApiError
from exchanges.simulator.kraken.limits import Counters, OrderCounters
from exchanges.simulator.kraken.orders import KrakenDesk, Values
from exchanges.simulator.kraken.pairs import Pairs, asset_name
from exchanges.simulator.kraken.public import PublicFacts
from exchanges.simulator.kraken.signing import Signatures

_log = logging.getLogger(__name__)
_S = 1_000_000_000
_MOST_BODY = 64 * 1024
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Call:
    key: str
    account: Account
    desk: KrakenDesk
    values: Values
    now_ns: int


class KrakenRest:
    """Answers requests of one exchange."""

    def __init__(self, exchange: Exchange, pairs: Pairs, clock: Clock, *, is_counting: bool = True) -> None:
        self._exchange = exchange
        self._pairs = pairs
        self._public = PublicFacts(exchange, pairs).answers
        self._clock = clock
        self._signatures = Signatures(exchange)
        self._counters = Counters(is_counting=is_counting)
        self._order_counters = OrderCounters(is_counting=is_counting)
        self._switches: dict[str, Timer] = {}
        self._private: dict[str, Callable[[_Call], Any]] = {
            "AddOrder": lambda call: call.desk.add(call.values, call.now_ns),
            "CancelOrder": lambda call: call.desk.cancel(call.values, call.now_ns),
            "CancelAll": lambda call: {"count": call.desk.cancel_all(call.now_ns)},
            "CancelAllOrdersAfter": self._set_switch,
            "OpenOrders": lambda call: {"open": call.desk.open_orders(call.values)},
            "ClosedOrders": self._closed,
            "QueryOrders": lambda call: call.desk.query(call.values),
            "QueryTrades": lambda call: call.desk.query_trades(call.values),
            "TradesHistory": self._trades,
            "BalanceEx": self._balances,
            "TradeVolume": self._fees,
            "GetApiKeyInfo": self._key,
        }

    def close(self) -> None:
        """Let no switch fire any more."""
        for timer in self._switches.values():
            timer.cancel()

    async def public(self, request: web.Request) -> web.Response:
        """Answer a question that needs no key."""
        ask = self._public.get(request.match_info["method"])
        if "User-Agent" not in request.headers:
            return _nobody()
        return _enveloped(ask) if ask is not None else _error("EGeneral:Unknown method")

    async def private(self, request: web.Request) -> web.Response:
        """Answer a signed request."""
        method, body = request.match_info["method"], await request.read()
        if "User-Agent" not in request.headers:
            return _nobody()
        if method not in self._private or len(body) > _MOST_BODY:
            return _error("EGeneral:Unknown method")
        return _enveloped(lambda: self._answer(method, request, body))

    def _answer(self, method: str, request: web.Request, body: bytes) -> Any:
        now_ns = self._exchange.now_ns()
        key, account, values = self._signatures.account(request.path, request.headers, body)
        self._counters.count(key, method, now_ns)
        call = _Call(key, account, KrakenDesk(account, self._pairs, key, self._order_counters), values, now_ns)
        return self._private[method](call)

    # Private

    def _closed(self, call: _Call) -> Any:
        rows = call.desk.closed_orders(call.values)
        return {"closed": dict(list(rows.items())[-50:]), "count": len(rows)}

    def _trades(self, call: _Call) -> Any:
        rows, count = call.desk.trades(call.values)
        return {"trades": rows, "count": count}

    def _balances(self, call: _Call) -> Any:
        return {
            asset_name(one.asset): {"balance": f"{one.total:f}", "hold_trade": f"{one.locked:f}"}
            for one in call.account.balances()
        }

    def _fees(self, call: _Call) -> Any:
        maker, taker = {}, {}
        for pair in self._pairs.all:
            rates = call.account.fee_rates(pair.index)
            maker[pair.id], taker[pair.id] = ({"fee": f"{100 * rate:.4f}"} for rate in rates)
        return {"currency": "ZUSD", "volume": "0.0", "fees": taker, "fees_maker": maker}

    def _key(self, call: _Call) -> Any:
        setup = self._exchange.setup
        rights = ["query-funds", "query-open-trades", "query-closed-trades"]
        rights += ["modify-trades", "close-trades"] if setup.may_trade else []
        rights += ["withdraw-funds"] if setup.may_withdraw else []
        return {
            "apiKeyName": "simulated",
            "apiKey": call.key,
            "nonceWindow": 0,
            "permissions": rights,
            "iban": "AA00 SIMU LATE D000",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "1772542900",
            "modifiedTime": "1772543095",
            "ipAllowlist": ["127.0.0.1"] if setup.is_ip_bound else [],
            "lastUsed": str(call.now_ns // _S),
        }

    def _set_switch(self, call: _Call) -> Any:
        text = call.values.get("timeout", "")
        if not text.isdigit() or int(text) > _DAY_S:
            raise ApiError("EGeneral:Invalid arguments:timeout")
        after_s = int(text)
        if (armed := self._switches.pop(call.key, None)) is not None:
            armed.cancel()
        if after_s:

            def fire() -> None:
                call.desk.cancel_all(self._exchange.now_ns())

            self._switches[call.key] = self._clock.call_later(after_s, fire)
        ends_ns = call.now_ns + after_s * _S
        return {"currentTime": _printed(call.now_ns), "triggerTime": _printed(ends_ns) if after_s else "0"}


def _printed(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // _S, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _enveloped(ask: Callable[[], Any]) -> web.Response:
    try:
        return web.json_response({"error": [], "result": ask()})
    except ApiError as error:
        return _error(str(error))
    except Exception:  # noqa: BLE001 - a defect of ours must look like one of the venue's, and the log tells
        _log.exception("a request failed")
        return _error("EGeneral:Internal error")


def _nobody() -> web.Response:
    """Kraken wants every request to say what program sends it; what stands before its servers turns others away."""
    return web.Response(status=403, text="error code: 1010")


def _error(text: str) -> web.Response:
    return web.json_response({"error": [text]})
