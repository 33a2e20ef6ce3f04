"""Binance's frames: raw and combined streams, and the WebSocket APIs.

Sources: https://developers.binance.com/docs (web socket streams; `serverShutdown` is documented for spot only, and on
the WebSocket API it stands under `event`).
"""

import re
from typing import Any

from bot.domain.instrument import Segment
from exchanges.simulator.faults.frame_dialect import Book, Label, Message, Now, sized

_ANSWERS = ('{"result":', '{"error":', '{"id":')
_EVENT_OF_API = '{"subscriptionId":'
_PARTIAL = re.compile(r"@depth\d")
_PARTIAL_DEPTHS = (5, 10, 20)
_PUBLIC = ("public", "market")


class BinanceFrames:
    """A `Dialect`."""

    venue = "binance"

    def __init__(self, now_ms: Now) -> None:
        self._now_ms = now_ms

    def is_data(self, text: str) -> bool:
        """Everything but answers and notices about the connection."""
        return not text.startswith(_ANSWERS) and '"e":"serverShutdown"' not in text[:40]

    def stream(self, message: Message, label: Label) -> str:
        """The stream's name; of a raw frame its event and symbol."""
        if label.channel not in _PUBLIC:
            return ""
        data = _data(message)
        event = data.get("e", "") if isinstance(data, dict) else ""
        return str(message.get("stream") or f"{event}{data.get('s', '') if event else ''}")

    def book(self, message: Message) -> Book | None:
        """Of book tickers, partial depth and changes of depth."""
        data = _data(message)
        if not isinstance(data, dict):
            return None
        name = str(message.get("stream", ""))
        for bid, ask in (("b", "a"), ("bids", "asks")):
            bids, asks = data.get(bid), data.get(ask)
            if data.get("e") in (None, "bookTicker") and isinstance(bids, str) and isinstance(asks, str):
                return Book(name, data, bid, ask, is_whole=True, zero="")
            if isinstance(bids, list) and isinstance(asks, list):
                whole = bid == "bids" or _is_partial(name, bids, asks)
                # What is whole has nothing to do with what was added to the changes of the same symbol.
                stream = name or ("" if whole else str(data.get("s")))
                return Book(stream, data, bid, ask, whole, _zero([*bids, *asks]))
        return None

    def is_figure(self, name: str, owner: Message) -> bool:
        """Every decimal but rates; `c` is a price in tickers and the client's own id in orders, which have a side."""
        return name != "r" and not (name in ("c", "C") and "S" in owner)

    def farewell(self, label: Label) -> str | None:
        """`serverShutdown`."""
        if label.segment is not Segment.SPOT:
            return None
        event = f'{{"e":"serverShutdown","E":{self._now_ms()}}}'
        return f'{{"event":{event}}}' if label.channel == "ws-api" else event

    def oversized(self, size: int) -> str:
        """Changes of depth."""
        head = f'{{"e":"depthUpdate","E":{self._now_ms()},"s":"OVERSIZED","U":1,"u":1,"b":['
        return sized(head, '["1.00","1.000"]', '],"a":[]}', size)


def _data(message: Message) -> Any:
    return message.get("data", message.get("event", message))


def _is_partial(stream: str, bids: list[Any], asks: list[Any]) -> bool:
    # Futures spell partial depth like changes. Raw frames do not say which they are; only partial ones are so even.
    if stream:
        return _PARTIAL.search(stream) is not None
    return len(bids) == len(asks) in _PARTIAL_DEPTHS and all(float(level[1]) for level in [*bids, *asks])


def _zero(levels: list[list[str]]) -> str:
    digits = len(levels[0][1].partition(".")[2]) if levels else 0
    return f"{0:.{digits}f}"
