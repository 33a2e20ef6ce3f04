"""What one market-data connection carries, as a venue's reader writes it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.instrument import Feed

_NAMED = 3


@dataclass(frozen=True)
class StreamPlan:
    """One connection: where it goes, what is asked of it, and what a person is told when it fails."""

    name: str
    """Feed and route, for messages: `binance.linear /public`."""
    feed: "Feed"
    url: str
    streams: tuple[str, ...]
    """What it carries, in the venue's spelling; for messages."""
    data_prefix: bytes
    """How a payload begins that is market data, and neither an acknowledgement nor a pong."""
    route_hint: str
    """What to check when the venue acknowledges and stays silent."""
    subscribe: tuple[bytes, ...] = ()
    """Sent after connecting; empty where the URL names the streams."""
    alive_prefix: bytes | None = None
    """How a payload begins that says nothing but that the connection lives, where a venue sends such; None: nowhere."""
    heartbeat: bytes | None = None
    heartbeat_every_s: float = 20.0
    refused_status: Mapping[int, str] = field(default_factory=dict)
    """Handshake status that means "not from this place" -> plain words; never tried again."""

    def stream_names(self) -> str:
        """The streams for one line of text: the first few by name, the rest by number."""
        named = ", ".join(self.streams[:_NAMED])
        further = len(self.streams) - _NAMED
        return f"{named} and {further} more" if further > 0 else named


def printable(text: object, limit: int = 200) -> str:
    """`str(text)` without control characters, cut to `limit`: what a peer sent may be shown to a person."""
    return "".join(char if char.isprintable() else "?" for char in str(text)[:limit])
