"""What brings quotes to the machine: sinks, decoders, readers, venue modules and markets."""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PrintedQuote, PublicTrade, TopOfBook
from bot.settings import Settings


class FeedState(StrEnum):
    """How a feed's connection is."""

    CONNECTING = "connecting"
    LIVE = "live"
    """Data frames arrive."""
    SILENT = "silent"
    """Connected, and nothing has come for longer than the silence limit."""
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    """Given up: a person has to act."""
    CLOSED = "closed"


class MarketSink(Protocol):
    """Where decoded market data goes. All calls come on one thread, in receive order.

    Every frame of a read batch is delivered, then `on_batch_end` once: decisions are taken there.
    """

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """A top of book; `raw` is a payload from which the venue can print its digits again."""

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """A public trade."""

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """A funding rate."""

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """A frame other than a timed quote told the venue's time: it dates quotes that carry none."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """A frame that does not decode; it was skipped."""

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection changed; `detail` is one line for a person."""

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """The venue's clock minus ours, measured by a request; right to ± half the round trip."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Everything that was there to read has been delivered."""


class FrameDecoder(Protocol):
    """Turns one feed's raw payloads into calls on a sink; live, recorded and simulated markets share it."""

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Decode one payload. Never raises for what the venue sent: malformed payloads go to the sink."""


class MarketReader(Protocol):
    """A live connection to one venue's market data."""

    async def start(self) -> None:
        """Connect and subscribe; returns when every stream has delivered a data frame or its failure is known."""

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""


class FrameTap(Protocol):
    """Sees every raw frame of a feed before it is decoded (raw recording)."""

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        """Keep it; returns at once."""


class VenueModule(Protocol):
    """What a folder of `exchanges/` offers to `main.py`."""

    id: str

    def feeds(self) -> Sequence[Feed]:
        """The feeds that this venue has a decoder for."""

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of one feed; `slots` maps the venue's own symbols (`BTCUSDT`) to slots."""

    def quoted_symbol(self, raw: bytes) -> str | None:
        """The venue's symbol if `raw` is a top-of-book frame, else None; cheap, for scanning recordings."""

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By venue symbol: metadata known without asking the venue."""

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """The venue's public lowest tier; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a reader's connections are made with, whichever venue they go to."""

    settings: Settings
    """Addresses, limits and waits."""
    clock: Clock
    """Stamps frames and drives every timer."""
    rng: random.Random = field(default_factory=random.SystemRandom)
    """Jitter of the waits."""
    tap: FrameTap | None = None
    """Sees every frame before it is used."""


class LiveVenueModule(VenueModule, Protocol):
    """A venue that can also be connected to."""

    def reader(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink, wiring: Wiring) -> MarketReader:
        """A live connection to one feed; nothing happens before its `start`."""

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask the venue for the instruments with these unified symbols; the answer is by the venue's symbol."""


@dataclass(frozen=True, slots=True)
class MarketEnd:
    """How a market ended."""

    complete: bool
    """Whether everything that should have been read was."""
    reasons: tuple[str, ...] = ()
    """Why not, a line each."""
    stopped: bool = False
    """Whether a person ended it."""


class Market(Protocol):
    """Where quotes come from: recordings, or live venues."""

    name: str
    """`recorded`, `live`: stands on every screen and report."""
    instruments: Sequence[Instrument]
    by_feed: Mapping[Feed, Mapping[str, Instrument]]
    """The same by feed and the venue's own symbol."""
    tap: FrameTap | None
    """Sees every raw frame, if it is set before `run`."""
    published_fees: Mapping[Feed, FeeSchedule]
    """What the venues publish as their lowest tier."""

    @property
    def clock(self) -> Clock:
        """Whose time and timers move the run."""

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""

    def progress(self) -> float | None:
        """0 to 1; None where there is no end."""

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Deliver to `sink` until the market ends or `stop` is set."""
