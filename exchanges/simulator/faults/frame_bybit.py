"""Bybit's frames: public, private and trade sockets.

Sources: https://bybit-exchange.github.io/docs/v5/ws/connect and the topics' pages.
"""

import re

from exchanges.simulator.faults.frame_dialect import Book, Label, Message, Now, sized

_DATA = re.compile(r'\{"(id":"[^"]*",")?topic":')
_FIGURE = re.compile(r"(?i)price|qty|size|value|volume|turnover")
_SHORT = frozenset({"p", "v", "open", "high", "low", "close"})


class BybitFrames:
    """A `Dialect`."""

    venue = "bybit"

    def __init__(self, now_ms: Now) -> None:
        self._now_ms = now_ms

    def is_data(self, text: str) -> bool:
        """What a topic says."""
        return _DATA.match(text) is not None

    def stream(self, message: Message, label: Label) -> str:
        """The topic."""
        return str(message.get("topic")) if label.channel == "public" else ""

    def book(self, message: Message) -> Book | None:
        """Of `orderbook` topics."""
        topic, data = str(message.get("topic")), message.get("data")
        if not topic.startswith("orderbook.") or not isinstance(data, dict):
            return None
        return Book(topic, data, "b", "a", is_whole=message.get("type") == "snapshot", zero="0")

    def is_figure(self, name: str, owner: Message) -> bool:
        """By name: ids and times are texts of digits as well."""
        return name in _SHORT or _FIGURE.search(name) is not None

    def farewell(self, label: Label) -> str | None:
        """Nothing."""
        return None

    def oversized(self, size: int) -> str:
        """A snapshot of a book."""
        head = '{"topic":"orderbook.1000.OVERSIZED","type":"snapshot","data":{"s":"OVERSIZED","b":['
        return sized(head, '["1.00","1.000"]', f'],"a":[],"u":1,"seq":1}},"ts":{self._now_ms()}}}', size)
