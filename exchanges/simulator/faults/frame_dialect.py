"""What the faults of frames must know of a venue: which frames are data, and where prices stand in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from bot.domain.instrument import Segment

Message = dict[str, Any]


class Label(NamedTuple):
    """Which connection of a venue it is."""

    segment: Segment | None
    """None where it carries several."""
    channel: str
    """`public`, `market`, `private`, `ws-api` or `trade`; what `match` of a fault of whole connections looks at."""


@dataclass(frozen=True, slots=True)
class Book:
    """Where a frame tells prices of both sides; changing `fields` changes the frame."""

    stream: str
    fields: Message
    bid: str
    """Name of the field: levels `[[price, quantity], …]`, or the best price alone."""
    ask: str
    is_whole: bool
    """False: only changed levels, and quantity zero removes one."""
    zero: str
    """Such a quantity as the venue prints it."""


class Dialect(Protocol):
    """One venue's frames."""

    venue: str

    def is_data(self, text: str) -> bool:
        """False for what answers the client: acknowledgements, pongs, results of requests."""

    def stream(self, message: Message, label: Label) -> str:
        """What orders a frame among others: its stream; the connection as a whole where events of several belong
        together.
        """

    def book(self, message: Message) -> Book | None:
        """The frame's book, where it has one with both sides."""

    def is_figure(self, name: str, owner: Message) -> bool:
        """Whether a field of that name holds a price or a quantity, where it holds a number at all."""

    def farewell(self, label: Label) -> str | None:
        """What is said some time before a planned end; None where nothing is."""

    def oversized(self, size: int) -> str:
        """A valid payload of `size` bytes that concerns no instrument that anybody trades."""


Now = Callable[[], int]
"""The venue's time in whole milliseconds."""


def sized(head: str, row: str, tail: str, size: int) -> str:
    """JSON of exactly `size` characters, or the least that holds one row: rows in a list, then blanks."""
    rows = max(1, (size - len(head) - len(tail)) // (len(row) + 1))
    text = f"{head}{','.join([row] * rows)}{tail}"
    return text + " " * (size - len(text))
