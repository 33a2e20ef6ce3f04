"""Binance's live market data: a connection per route, and the offset of its clock."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bot.clock import Clock, Timer
from bot.domain.instrument import Feed, Segment
from bot.errors import VenueError
from bot.ports import FrameTap, MarketSink
from bot.settings import Settings
from exchanges.binance.decoder import BinanceDecoder
from exchanges.binance.endpoints import REFUSED, rest_url, stream_url
from exchanges.common.clock_offset import measure_offset
from exchanges.common.connection import StreamPlan, SupervisedConnection
from exchanges.common.feed_state import FeedStates

_STREAMS_PER_CONNECTION = 200
"""Binance allows 1024; fewer keep one bad connection from taking everything with it."""
_OFFSET_EVERY_S = 600.0

_ROUTES: Mapping[Segment, Mapping[str, tuple[str, ...]]] = {
    Segment.SPOT: {"": ("bookTicker", "trade")},
    # Since 2026-04-23 a stream asked for on the other route is acknowledged and never served.
    Segment.LINEAR: {"/public": ("bookTicker",), "/market": ("aggTrade", "markPrice@1s")},
}


class BinanceReader:
    """Reads one feed, spot or linear, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        tap: FrameTap | None = None,
    ) -> None:
        """Nothing happens before `start`; `slots` maps Binance's symbols to slots, `tap` sees every raw frame.

        Raises:
            SettingsError: If the feed cannot be read live.
        """
        rest_url(feed, settings)
        self._feed = feed
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._timer: Timer | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._states = FeedStates(partial(sink.on_feed_state, feed))
        on_frame = BinanceDecoder(feed, slots, sink).on_frame
        self._connections = [
            SupervisedConnection(
                plan,
                settings=settings.connection,
                clock=clock,
                rng=rng,
                on_frame=on_frame,
                on_batch_end=sink.on_batch_end,
                on_state=self._states.of(plan.name),
                tap=tap,
            )
            for plan in stream_plans(feed, sorted(slots), settings)
        ]

    async def start(self) -> None:
        """Connect every route and measure the clock; returns when that is done and each has delivered market data.

        A clock that cannot be measured is told as a note on the feed: frames tell the offset too, only later.

        Raises:
            VenueError: Binance cannot be reached, does not serve this place, or acknowledges and stays silent. Then
                every connection is closed again.
        """
        measuring = self._measure_now()
        starting = [asyncio.create_task(connection.start()) for connection in self._connections]
        try:
            await self._all_of(starting)
        except BaseException:
            await self.stop()
            raise
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
        await asyncio.wait({measuring}, timeout=self._settings.connection.first_frame_timeout_s)

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""
        if self._timer is not None:
            self._timer.cancel()
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait({self._measuring})
        await asyncio.gather(*(connection.stop() for connection in self._connections))

    @staticmethod
    async def _all_of(starting: Sequence[asyncio.Task[None]]) -> None:
        """Every task, or the first failure: one that is final is told before the others have timed out."""
        if starting:
            await asyncio.wait(starting, return_when=asyncio.FIRST_EXCEPTION)
        for task in starting:
            if task.done():
                task.result()

    def _measure_now(self) -> asyncio.Task[None]:
        self._measuring = asyncio.get_running_loop().create_task(self._measure())
        self._timer = self._clock.call_later(_OFFSET_EVERY_S, self._measure_again)
        return self._measuring

    def _measure_again(self) -> None:
        self._measure_now()

    async def _measure(self) -> None:
        # Imported here, because python-binance takes the better part of a second to load and recorded markets never
        # need it.
        from exchanges.binance.metadata import connected

        try:
            async with connected(self._feed, self._settings) as rest:
                offset_ns, round_trip_ns = await measure_offset(rest.server_time_ms, self._clock)
        except VenueError as error:
            self._states.note(f"the clock offset could not be measured: {error}")
            return
        self._sink.on_clock_offset(self._feed.venue, offset_ns, round_trip_ns)


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
