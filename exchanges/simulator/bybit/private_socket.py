"""One client of `/v5/private`: authentication and private topics.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect.
"""

from collections.abc import Callable
from typing import Any

from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.protection import Protection
from exchanges.simulator.bybit.signing import socket_authenticated
from exchanges.simulator.core.ports import Account, Exchange

_KINDS = ("order", "execution", "execution.fast", "position")
_ALL_IN_ONE = frozenset((*_KINDS, "wallet", "greeks"))
_BY_CATEGORY = frozenset(
    f"{kind}.{category}" for kind in _KINDS for category in ("linear", "spot", "inverse", "option")
)
_PROTECTION = frozenset(("dcp.future", "dcp.spot", "dcp.option"))
_MOST_ARGS = 100
_MS = 1_000_000


class PrivateSocket:
    """Answers what one client says; `close` when it is gone."""

    def __init__(
        self,
        connection: Connection,
        exchange: Exchange,
        customer_of: Callable[[str, Account], Customer],
        protection: Protection,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._customer_of = customer_of
        self._protection = protection
        self._customer: Customer | None = None
        self._topics: set[str] = set()

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer one message."""
        if self._customer is not None:
            for topic in self._topics & _PROTECTION:
                self._protection.heard(self._customer, topic)
        op = message.get("op")
        if op == "auth":
            self._authenticate(message)
        elif op == "ping":
            self._pong(message)
        elif op in ("subscribe", "unsubscribe"):
            self._change(message, op)
        else:
            self._answer(message, success=False, ret_msg="Params Error")

    def close(self) -> None:
        """Leave every topic; orders may be protected against that."""
        if self._customer is None:
            return
        for topic in self._topics:
            self._leave(self._customer, topic)
        self._topics.clear()

    def _authenticate(self, message: dict[str, Any]) -> None:
        if self._customer is not None:
            self._answer(message, success=False, ret_msg="Repeat auth")
            return
        try:
            key, account = socket_authenticated(self._exchange, message.get("args"))
        except ApiError as error:
            self._answer(message, success=False, ret_msg=error.message)
            return
        self._customer = self._customer_of(key, account)
        self._answer(message, success=True, ret_msg="")

    def _pong(self, message: dict[str, Any]) -> None:
        pong: dict[str, object] = {"req_id": _text(message.get("req_id"))}
        now_ms = str(self._exchange.now_ns() // _MS)
        self._connection.say(pong | {"op": "pong", "args": [now_ms], "conn_id": self._connection.conn_id})

    def _change(self, message: dict[str, Any], op: str) -> None:
        if self._customer is None:
            self._answer(message, success=False, ret_msg="Request not authorized")
            return
        topics = message.get("args")
        error = _why_not(topics)
        if error is not None:
            self._answer(message, success=False, ret_msg=error)
            return
        assert isinstance(topics, list)
        for topic in topics:
            if op == "subscribe":
                self._join(self._customer, topic)
            elif topic in self._topics:
                self._topics.discard(topic)
                self._leave(self._customer, topic)
        self._answer(message, success=True, ret_msg="")

    def _join(self, customer: Customer, topic: str) -> None:
        self._topics.add(topic)
        if topic in _PROTECTION:
            self._protection.joined(customer, topic, self._connection)
        else:
            customer.listeners[topic][self._connection] = None

    def _leave(self, customer: Customer, topic: str) -> None:
        if topic in _PROTECTION:
            self._protection.left(customer, topic, self._connection)
        else:
            customer.listeners[topic].pop(self._connection, None)

    def _answer(self, message: dict[str, Any], *, success: bool, ret_msg: str) -> None:
        answer: dict[str, object] = {"success": success, "ret_msg": ret_msg, "op": str(message.get("op"))[:40]}
        req_id = message.get("req_id")
        if isinstance(req_id, str):
            answer["req_id"] = req_id
        self._connection.say(answer | {"conn_id": self._connection.conn_id})


def _why_not(topics: Any) -> str | None:
    if not isinstance(topics, list) or not 0 < len(topics) <= _MOST_ARGS:
        return "Params Error"
    for topic in topics:
        if not isinstance(topic, str) or topic not in _ALL_IN_ONE | _BY_CATEGORY | _PROTECTION:
            return f"error:handler not found,topic:{str(topic)[:100]}"
    if any(topic in _BY_CATEGORY and _kind(topic) in topics for topic in topics):
        return "error:all-in-one and categorised topics cannot be in one request"
    return None


def _kind(topic: str) -> str:
    return topic.rpartition(".")[0]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
