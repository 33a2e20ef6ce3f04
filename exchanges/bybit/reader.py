"""Bybit's live market data: public connections, as few as may carry a feed, and the offset of its clock."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

from bot.clock import Timer
from bot.domain.instrument import Feed, Segment
from bot.errors import SettingsError, VenueError
from bot.ports import MarketSink, Wiring
from bot.settings import Settings
from exchanges.bybit.decoder import BybitDecoder
from exchanges.bybit.endpoints import FORBIDDEN, rest_url, stream_url
from exchanges.common.market.feed_reader import connections
from exchanges.common.market.feed_state import FeedStates
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.started import start_together
from exchanges.common.requests.clock_offset import measure_offset

_ARGS_PER_MESSAGE = 10
"""What spot allows; linear allows more, and nothing is gained by it."""
_ARGS_CHARACTERS = 21_000
"""On one connection."""
_PING_EVERY_S = 20.0
_OFFSET_ROUNDS = 5
_OFFSET_EVERY_S = 600.0


class BybitReader:
    """Reads one feed, linear or spot, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`; `slots` maps Bybit's symbols to slots."""
        self._feed = feed
        self._sink = sink
        self._rest_url = rest_url(feed, wiring.settings)
        self._clock = wiring.clock
        self._timer: Timer | None = None
        self._measuring: asyncio.Task[None] | None = None
        report = partial(sink.on_feed_state, feed)
        plans = stream_plans(feed, slots, wiring.settings)
        # One connection's words are the feed's; of several the worst state is.
        told = FeedStates(feed, report).of if len(plans) > 1 else lambda _: report
        on_frame = BybitDecoder(feed, slots, sink).on_frame
        self._connections = connections(plans, sink, on_frame, told, wiring)

    async def start(self) -> None:
        """Measure the clock offset, connect and subscribe; returns when market data has come on every connection.

        Raises:
            VenueError: Bybit cannot be reached, does not serve this place, or acknowledges and stays silent.
        """
        # Before the first quote: without the offset nothing can be said about a quote's age.
        await self._measure()
        self._measure_later()
        await start_together(self._connections)

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""
        if self._timer is not None:
            self._timer.cancel()
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait({self._measuring})
        await asyncio.gather(*(connection.stop() for connection in self._connections))

    async def _measure(self) -> None:
        # Imported here, because pybit takes half a second to load and recorded markets never need it.
        from exchanges.bybit.metadata import BybitRest

        with closing(BybitRest(self._rest_url)) as rest:
            offset_ns, round_trip_ns = await measure_offset(rest.server_time_ms, self._clock, _OFFSET_ROUNDS)
        self._sink.on_clock_offset(self._feed.venue, offset_ns, round_trip_ns)

    def _measure_later(self) -> None:
        self._timer = self._clock.call_later(_OFFSET_EVERY_S, self._begin_measuring)

    def _begin_measuring(self) -> None:
        self._measuring = asyncio.get_running_loop().create_task(self._measure_again())

    async def _measure_again(self) -> None:
        with suppress(VenueError):  # the last offset holds until a later try succeeds
            await self._measure()
        self._measure_later()


def stream_plans(feed: Feed, symbols: Iterable[str], settings: Settings) -> list[StreamPlan]:
    """The connections of a feed: one, or more where the topics are too many characters for one."""
    parts: list[dict[str, int]] = [{}]
    left = _ARGS_CHARACTERS
    for symbol in symbols:
        characters = _characters(_topics(feed, [symbol]))
        if characters > left:
            parts.append({})
            left = _ARGS_CHARACTERS
        parts[-1][symbol] = 0
        left -= characters
    plans = [stream_plan(feed, part, settings) for part in parts]
    if len(plans) == 1:
        return plans
    return [replace(plan, name=f"{plan.name} #{number}") for number, plan in enumerate(plans, start=1)]


def stream_plan(feed: Feed, slots: Mapping[str, int], settings: Settings) -> StreamPlan:
    """One connection that carries all of these symbols.

    Raises:
        SettingsError: If the instruments are more than one connection may carry.
    """
    topics = tuple(_topics(feed, slots))
    characters = _characters(topics)
    if characters > _ARGS_CHARACTERS:
        raise SettingsError(
            f"{feed}: {len(slots)} instruments are too many for one connection ({characters} characters of topics, "
            f"Bybit allows {_ARGS_CHARACTERS}); watch fewer"
        )
    return StreamPlan(
        name=f"{feed} /v5/public/{feed.segment}",
        feed=feed,
        url=stream_url(feed, settings),
        streams=topics,
        data_prefix=b'{"topic"',
        route_hint=(
            f"Bybit serves {feed.segment} topics on /v5/public/{feed.segment} only, and a symbol that is not traded "
            "there stays silent: check stream_url and the symbols"
        ),
        subscribe=tuple(_subscribe_messages(topics)),
        heartbeat=b'{"op":"ping"}',
        heartbeat_every_s=_PING_EVERY_S,
        refused_status={403: FORBIDDEN},
    )


def _characters(topics: Iterable[str]) -> int:
    """What they take of `_ARGS_CHARACTERS`, quotes and commas included."""
    return sum(len(topic) + 3 for topic in topics)


def _topics(feed: Feed, symbols: Iterable[str]) -> list[str]:
    kinds = ["orderbook.1", "publicTrade"]
    if feed.segment is not Segment.SPOT:
        kinds.append("tickers")  # carries the funding rate
    return [f"{kind}.{symbol}" for kind in kinds for symbol in symbols]


def _subscribe_messages(topics: tuple[str, ...]) -> list[bytes]:
    return [
        json.dumps(
            {"req_id": str(number), "op": "subscribe", "args": topics[start : start + _ARGS_PER_MESSAGE]},
            separators=(",", ":"),
        ).encode()
        for number, start in enumerate(range(0, len(topics), _ARGS_PER_MESSAGE), start=1)
    ]
