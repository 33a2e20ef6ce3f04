"""One client of `/v5/public/linear` or `/v5/public/spot`.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect.
"""

from typing import Any

from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.hub import Hub
from exchanges.simulator.bybit.live import Live
from exchanges.simulator.bybit.options import BybitOptions

_MOST_ARGS = {"spot": 10, "linear": 2_000}


class PublicSocket:
    """Answers what one client says; `close` when it is gone."""

    def __init__(
        self, category: str, connection: Connection, hub: Hub, catalogue: Catalogue, options: BybitOptions
    ) -> None:
        self._category = category
        self._connection = connection
        self._hub = hub
        self._catalogue = catalogue
        self._options = options
        self._topics: dict[str, tuple[Live, str]] = {}

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer one message."""
        op = message.get("op")
        if op == "ping":
            self._answer(message, success=True, ret_msg="pong")
        elif op == "subscribe":
            self._subscribe(message)
        elif op == "unsubscribe":
            self._unsubscribe(message)
        else:
            self._answer(message, success=False, ret_msg=f"error:unknown op,op:{str(op)[:40]}")

    def close(self) -> None:
        """Leave every topic."""
        for live, kind in self._topics.values():
            self._hub.leave(live, kind, self._connection)
        self._topics.clear()

    def _subscribe(self, message: dict[str, Any]) -> None:
        topics = message.get("args")
        error = self._why_not(topics)
        if error is not None:
            self._answer(message, success=False, ret_msg=error)
            return
        assert isinstance(topics, list)
        found = {topic: self._find(topic) for topic in topics}
        for topic, target in found.items():
            if target is None:
                # One wrong topic refuses the whole message.
                self._answer(message, success=False, ret_msg=f"error:handler not found,topic:{topic[:100]}")
                return
        self._answer(message, success=True, ret_msg="subscribe" if self._category == "spot" else "")
        for topic, target in found.items():
            assert target is not None
            if topic not in self._topics:
                self._topics[topic] = target
                self._hub.join(*target, self._connection)

    def _why_not(self, topics: Any) -> str | None:
        if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
            return "error:args is invalid"
        if len(topics) > _MOST_ARGS[self._category]:
            return f"args size >{_MOST_ARGS[self._category]}"
        if sum(map(len, topics)) + sum(map(len, self._topics)) > self._options.max_topic_characters:
            return f"error:args is too long, limit:{self._options.max_topic_characters}"
        return None

    def _find(self, topic: str) -> tuple[Live, str] | None:
        kind, _, symbol = topic.rpartition(".")
        entry = self._catalogue.get(self._category, symbol)
        if entry is None:
            return None
        live = self._hub.live(entry.index)
        return (live, kind) if live.channel(kind) is not None else None

    def _unsubscribe(self, message: dict[str, Any]) -> None:
        topics = message.get("args")
        if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            self._answer(message, success=False, ret_msg="error:args is invalid")
            return
        for topic in topics:
            known = self._topics.pop(topic, None)
            if known is not None:
                self._hub.leave(*known, self._connection)
        self._answer(message, success=True, ret_msg="subscribe" if self._category == "spot" else "")

    def _answer(self, message: dict[str, Any], *, success: bool, ret_msg: str) -> None:
        req_id = message.get("req_id")
        self._connection.say(
            {
                "success": success,
                "ret_msg": ret_msg,
                "conn_id": self._connection.conn_id,
                "req_id": req_id if isinstance(req_id, str) else "",
                "op": str(message.get("op"))[:40],
            }
        )
