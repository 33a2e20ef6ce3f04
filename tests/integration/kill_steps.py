"""Moments in the life of a pair at which a process may be killed, by their names."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.ports import RecordKind

_STAGE = {"open": "open", "hedge": "open", "close": "close"}


@dataclass
class Pairs:
    """What has been recorded and sent of every pair so far."""

    legs: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By client order id: pair, and whether it opens or closes; evening an opening is part of it."""
    filled: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By pair and stage: fills."""
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    intended: list[str] = field(default_factory=list)
    """Orders whose intents wait to be durable."""


@dataclass(frozen=True)
class Moment:
    """Something was recorded, promised to be durable, or sent."""

    what: str
    pairs: Pairs
    kind: RecordKind | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    order_id: str = ""

    def order(self) -> tuple[str, str]:
        """Pair and stage of the order that this is about."""
        return self.pairs.legs[self.order_id]

    def is_intent(self) -> bool:
        return self.kind is RecordKind.ORDER and self.body["status"] == "intent"

    def is_state(self, state: str) -> bool:
        return self.kind is RecordKind.PAIR and self.body["state"] == state

    def is_fill(self, stage: str) -> bool:
        """The first one of a pair in this stage."""
        if self.kind is not RecordKind.FILL:
            return False
        place = self.pairs.legs[self.body["client_order_id"]]
        return place[1] == stage and self.pairs.filled[place] == 1

    def is_durable(self, stage: str) -> bool:
        """Intents of this stage are durable, and nothing of them has left."""
        places = [self.pairs.legs[order_id] for order_id in self.pairs.intended]
        return self.what == "durable" and any(place[1] == stage and not self.pairs.sent[place] for place in places)

    def is_sent(self, stage: str, number: int) -> bool:
        """So many orders of this stage have left."""
        return self.what == "sent" and self.order()[1] == stage and self.pairs.sent[self.order()] == number

    def evens(self) -> bool:
        """The order belongs to an opening that has fills already."""
        pair, stage = self.order()
        return stage == "open" and self.pairs.filled[pair, stage] > 0


NAMED: Mapping[str, Callable[[Moment], bool]] = {
    "intents-durable": lambda now: now.is_durable("open"),
    "one-leg-sent": lambda now: now.is_sent("open", 1),
    "both-legs-sent": lambda now: now.is_sent("open", 2),
    "first-fill": lambda now: now.is_fill("open"),
    "evening-intended": lambda now: now.is_intent() and now.evens(),
    "evening-sent": lambda now: now.what == "sent" and now.evens(),
    "opened": lambda now: now.is_state("open"),
    "closing-decided": lambda now: now.is_state("closing"),
    "closing-durable": lambda now: now.is_durable("close"),
    "one-closing-sent": lambda now: now.is_sent("close", 1),
    "closing-fill": lambda now: now.is_fill("close"),
    "closed": lambda now: now.is_state("closed"),
}
"""In the order of a pair's life."""
UNEVEN = frozenset({"evening-intended", "evening-sent"})
"""They come only where one leg is filled and the other is not."""


class Steps:
    """Sees every moment of a process, and tells of each whether it is the one."""

    def __init__(self, name: str) -> None:
        """`name` is one of `NAMED`, or the number of a step: a record, a promise, or an order that leaves."""
        self._left = int(name) if name.isdigit() else 0
        self._is_it = None if name.isdigit() else NAMED[name]
        self._pairs = Pairs()

    def recorded(self, kind: RecordKind, key: str, body: Mapping[str, Any]) -> bool:
        """A record of a pair, an order or a fill was appended."""
        pairs = self._pairs
        if kind is RecordKind.ORDER and key not in pairs.legs:
            pairs.legs[key] = (str(body["pair"]), _STAGE.get(str(body["leg"]).partition("_")[0], ""))
        if kind is RecordKind.ORDER and body["status"] == "intent":
            pairs.intended.append(key)
        if kind is RecordKind.FILL and body["client_order_id"] in pairs.legs:
            pairs.filled[pairs.legs[body["client_order_id"]]] += 1
        known = key if kind is RecordKind.ORDER else str(body.get("client_order_id", ""))
        if kind is RecordKind.FILL and known not in pairs.legs:
            return self._counts(None)  # of an earlier run's order
        return self._counts(Moment("recorded", pairs, kind, body, known))

    def durable(self) -> bool:
        """What was recorded so far is on the disk."""
        found = self._counts(Moment("durable", self._pairs))
        self._pairs.intended.clear()
        return found

    def sent(self, order_id: str) -> bool:
        """An order has left."""
        if (place := self._pairs.legs.get(order_id)) is not None:
            self._pairs.sent[place] += 1
            return self._counts(Moment("sent", self._pairs, order_id=order_id))
        return self._counts(None)

    def _counts(self, now: Moment | None) -> bool:
        if self._is_it is not None:
            return now is not None and self._is_it(now)
        self._left -= 1
        return self._left == 0
