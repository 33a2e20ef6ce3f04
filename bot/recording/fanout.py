"""An engine and a recorder on the same market data."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState, MarketSink
from bot.recording.engine_quotes import EngineSlot


class DecidingSink(MarketSink, Protocol):
    """An engine: a sink that keeps accepted quotes in the windows of its slots."""

    @property
    def slots(self) -> Sequence[EngineSlot]:
        """By slot."""


class Fanout:
    """Implements `bot.ports.MarketSink`: first the engine, so that no decision waits, then the recorder.

    A quote that the engine accepted stands in its window, and the recorder takes it from there: all that is done for it
    here is to look whether it was (0.1 µs). The recorder must have been made with this engine's slots.
    """

    def __init__(self, engine: DecidingSink, recorder: MarketSink) -> None:
        self._engine = engine
        self._recorder = recorder
        self.on_quote: Callable[[int, TopOfBook, int, bytes], None] = _on_quote(engine, recorder)
        # What the recorder has no use for goes the direct way.
        self.on_timed_frame: Callable[[Feed, int, int], None] = engine.on_timed_frame
        self.on_clock_offset: Callable[[str, int, int], None] = engine.on_clock_offset
        self.on_batch_end: Callable[[int], None] = engine.on_batch_end

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """To both."""
        self._engine.on_trade(slot, trade, ts_recv_ns)
        self._recorder.on_trade(slot, trade, ts_recv_ns)

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """To both."""
        self._engine.on_funding(slot, funding, ts_recv_ns)
        self._recorder.on_funding(slot, funding, ts_recv_ns)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """To both."""
        self._engine.on_malformed(feed, raw, reason)
        self._recorder.on_malformed(feed, raw, reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """To both."""
        self._engine.on_feed_state(feed, state, detail)
        self._recorder.on_feed_state(feed, state, detail)


def _on_quote(engine: DecidingSink, recorder: MarketSink) -> Callable[[int, TopOfBook, int, bytes], None]:
    # A closure: names that have to be looked up on an object cost half as much again.
    decide, keep, slots = engine.on_quote, recorder.on_quote, engine.slots

    def on_quote(slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        decide(slot, quote, ts_recv_ns, raw)
        if slots[slot].quote is not quote:
            keep(slot, quote, ts_recv_ns, raw)

    return on_quote
