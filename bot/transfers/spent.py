"""What was withdrawn lately, from the journal's records: of this run and of those before it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_DAY_NS = 86_400 * 10**9
_NEVER_LEFT = frozenset({"refused", "not_taken"})
_OVER = frozenset({"done", "failed", *_NEVER_LEFT})


@dataclass(frozen=True, slots=True)
class Sent:
    """One withdrawal, as it was recorded last."""

    id: str
    venue: str
    asset: str
    amount: Decimal
    address: str
    state: str
    sent_ns: int
    body: Mapping[str, Any]

    @property
    def is_carriage(self) -> bool:
        """Whether it moves the amount of a chain, and is followed with it."""
        return self.body.get("deadline_s") is not None

    @property
    def has_left(self) -> bool:
        """Whether it left, or may have."""
        return self.state not in _NEVER_LEFT

    @property
    def is_over(self) -> bool:
        """Whether its venue, or where it went, has told its end."""
        return self.state in _OVER


class Spent:
    """Every withdrawal that is known, and what was moved for one within an account, in its newest state."""

    def __init__(self, bodies: Iterable[Mapping[str, Any]] = ()) -> None:
        """Take the bodies of the journal's `transfer` records, oldest first."""
        self._sent: dict[str, Sent] = {}
        self._landings: dict[str, dict[str, Mapping[str, Any]]] = {}
        for body in bodies:
            self.take(body)

    def take(self, body: Mapping[str, Any]) -> None:
        """One more record."""
        if body["kind"] == "withdrawal":
            words = (body["transfer"], body["venue"], body["asset"])
            self._sent[words[0]] = Sent(
                *words, Decimal(body["amount"]), body["address"], body["state"], int(body["sent_ns"]), body
            )
        elif "lands" in body:
            self._landings.setdefault(body["lands"], {})[body["transfer"]] = body

    def of(self, id_: str) -> Sent | None:
        """The withdrawal of this id; None where none is known."""
        return self._sent.get(id_)

    def carriages(self) -> list[Sent]:
        """Every withdrawal that moved the amount of a chain."""
        return [one for one in self._sent.values() if one.is_carriage]

    def beside(self, id_: str) -> list[Sent]:
        """What else has left, or may have, of the same asset to the same address."""
        own = self._sent[id_]
        return [
            one
            for one in self._sent.values()
            if one is not own and (one.asset, one.address) == (own.asset, own.address) and one.has_left
        ]

    def landings(self, id_: str) -> list[Mapping[str, Any]]:
        """What was moved into the trading wallet after it: the newest record of each move, the oldest move first."""
        return list(self._landings.get(id_, {}).values())

    def last_day(self, asset: str, now_ns: int) -> Decimal:
        """What was sent of an asset in the last 24 h, from all venues; what failed later counts."""
        return sum(
            (
                one.amount
                for one in self._sent.values()
                if one.asset == asset and one.has_left and one.sent_ns > now_ns - _DAY_NS
            ),
            Decimal(0),
        )

    def all_unfinished(self) -> list[Sent]:
        """What may be on its way anywhere."""
        return [one for one in self._sent.values() if not one.is_over]

    def unfinished(self, venue: str) -> list[Sent]:
        """What is on its way from a venue, or may be."""
        return [one for one in self._sent.values() if one.venue == venue and not one.is_over]
