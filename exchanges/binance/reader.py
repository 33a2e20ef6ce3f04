"""Binance's live market data: a connection per route, and the offset of its clock."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from bot.domain.instrument import Feed, Segment
from bot.ports import MarketSink, Wiring
from bot.settings import Settings
from exchanges.binance.decoder import BinanceDecoder
from exchanges.binance.endpoints import REFUSED, rest_url, stream_url
from exchanges.common.market.feed_reader import FeedReader, connections
from exchanges.common.market.plan import StreamPlan
from exchanges.common.requests.offset_watch import AskTime

_STREAMS_PER_CONNECTION = 200
"""Binance allows 1024; fewer keep one bad connection from taking everything with it."""

_ROUTES: Mapping[Segment, Mapping[str, tuple[str, ...]]] = {
    Segment.SPOT: {"": ("bookTicker", "trade")},
    # Since 2026-04-23 a stream asked for on the other route is acknowledged and never served.
    Segment.LINEAR: {"/public": ("bookTicker",), "/market": ("aggTrade", "markPrice@1s")},
}


class BinanceReader(FeedReader):
    """Reads one feed, spot or linear, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`; `slots` maps Binance's symbols to slots.

        Raises:
            SettingsError: If the feed cannot be read live.
        """
        rest_url(feed, wiring.settings)
        on_frame = BinanceDecoder(feed, slots, sink).on_frame
        plans = stream_plans(feed, sorted(slots), wiring.settings)
        super().__init__(
            feed,
            sink,
            partial(_asking_time, feed, wiring.settings),
            lambda states: connections(plans, sink, on_frame, states.of, wiring),
            wiring,
        )


@asynccontextmanager
async def _asking_time(feed: Feed, settings: Settings) -> AsyncIterator[AskTime]:
    # Imported here, because python-binance takes the better part of a second to load and recorded markets never
    # need it.
    from exchanges.binance.metadata import connected

    async with connected(feed, settings) as rest:
        yield rest.server_time_ms


def stream_plans(feed: Feed, symbols: Sequence[str], settings: Settings) -> list[StreamPlan]:
    """The connections of a feed: one per route, more where the streams are too many for one."""
    return [plan for route in _ROUTES[feed.segment] for plan in _route_plans(feed, route, symbols, settings)]


def _route_plans(feed: Feed, route: str, symbols: Sequence[str], settings: Settings) -> Iterator[StreamPlan]:
    streams = [f"{symbol.lower()}@{kind}" for kind in _ROUTES[feed.segment][route] for symbol in symbols]
    for start in range(0, len(streams), _STREAMS_PER_CONNECTION):
        part = tuple(streams[start : start + _STREAMS_PER_CONNECTION])
        number = f" #{start // _STREAMS_PER_CONNECTION + 1}" if len(streams) > _STREAMS_PER_CONNECTION else ""
        yield StreamPlan(
            name=f"{feed} {route or '/stream'}{number}",
            feed=feed,
            url=f"{stream_url(feed, settings)}{route}/stream?streams={'/'.join(part)}",
            streams=part,
            data_prefix=b'{"stream"',
            route_hint=_route_hint(feed),
            refused_status=REFUSED,
        )


def _route_hint(feed: Feed) -> str:
    routes = [f"{', '.join(kinds)} on {route}" for route, kinds in _ROUTES[feed.segment].items() if route]
    served = f"Binance serves {' and '.join(routes)}; " if routes else ""
    return f"{served}check venues.{feed.venue}.{feed.segment}.stream_url, and that the symbols trade there"
