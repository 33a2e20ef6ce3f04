"""Readers of order books over every venue: as many connections as their limits ask for."""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from bot.domain.instrument import Feed
from bot.errors import SettingsError
from bot.ports import MarketReader, Wiring
from exchanges.binance.depth_reader import MAX_SYMBOLS, SNAPSHOTS_PER_MINUTE, BinanceDepthReader
from exchanges.bybit.depth_reader import BybitDepthReader
from exchanges.common.market.depth import DepthSink
from exchanges.kraken.depth_reader import KrakenDepthReader


class _Build(Protocol):
    def __call__(
        self,
        slots: Mapping[str, int],
        sink: DepthSink,
        wiring: Wiring,
    ) -> MarketReader: ...


def depth_readers(
    by_feed: Mapping[Feed, Mapping[str, int]],
    sink: DepthSink,
    wiring: Wiring,
) -> list[MarketReader]:
    """Readers of the books of these instruments; nothing happens before their `start`.

    Args:
        by_feed: Feed -> the venue's own symbol -> slot under which the sink knows the instrument.
        sink: Where the books go.
        wiring: What their connections are made with.

    Raises:
        SettingsError: If a feed has no live order books.
    """
    readers = []
    for feed, slots in by_feed.items():
        symbols = sorted(slots)
        build = _builder(feed, -(-len(symbols) // MAX_SYMBOLS))
        for start in range(0, len(symbols), MAX_SYMBOLS):
            part = {symbol: slots[symbol] for symbol in symbols[start : start + MAX_SYMBOLS]}
            readers.append(build(part, sink, wiring))
    return readers


def has_books(feed: Feed) -> bool:
    """Whether the feed's order books can be read live."""
    return _builder_or_none(feed, 1) is not None


def _builder(feed: Feed, readers: int) -> _Build:
    builder = _builder_or_none(feed, readers)
    if builder is None:
        raise SettingsError(f"{feed} has no order books that can be read live")
    return builder


def _builder_or_none(feed: Feed, readers: int) -> _Build | None:
    if feed.venue == "binance":
        return partial(BinanceDepthReader, feed, per_minute=max(1, SNAPSHOTS_PER_MINUTE // max(1, readers)))
    if feed.venue == "bybit":
        return partial(BybitDepthReader, feed)
    return KrakenDepthReader if str(feed) == "kraken.spot" else None
