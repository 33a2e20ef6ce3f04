"""The job `clock_offset`: each venue's time, asked again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing

from bot.clock import Clock
from bot.domain.instrument import Feed
from bot.errors import BotError, VenueError
from bot.jobs import Job
from bot.ports import MarketSink
from bot.settings import Settings
from exchanges.common.requests.clock_offset import measure_offset
from exchanges.markets import OpenMarket

Measure = Callable[[Feed, Settings, Clock], Awaitable[tuple[int, int]]]


def clock_offset_job(opened: OpenMarket, settings: Settings, sink: MarketSink) -> Job | None:
    """The job, which tells `sink` what it finds; None where it has no schedule, or no venue to ask.

    It is no more than what a reader does at its start: in between, what frames say is bounded by it for ten minutes.
    """
    asked = {feed.venue: feed for feed in opened.market.by_feed if feed.venue in _MEASURES}
    if settings.jobs.clock_offset is None or not asked:
        return None

    async def run() -> str:
        return await measure_all(list(asked.values()), opened.settings, opened.market.clock, sink)

    return Job("clock_offset", settings.jobs.clock_offset, run, is_cut_short=True)


def can_be_measured(feed: Feed) -> bool:
    """Whether its venue tells its time."""
    return feed.venue in _MEASURES


async def measured(feed: Feed, settings: Settings, clock: Clock) -> tuple[int, int]:
    """The clock of a feed's venue minus ours, and the round trip; ns.

    Raises:
        VenueError: It cannot be asked.
    """
    return await _MEASURES[feed.venue](feed, settings, clock)


async def measure_all(feeds: list[Feed], settings: Settings, clock: Clock, sink: MarketSink) -> str:
    """Ask the venue of each feed, all at once; what was found, for a person.

    Raises:
        BotError: If a venue could not be asked; the others are told to `sink` nevertheless.
    """
    measured = await asyncio.gather(
        *(_MEASURES[feed.venue](feed, settings, clock) for feed in feeds), return_exceptions=True
    )
    told, failed = [], []
    for feed, found in zip(feeds, measured, strict=True):
        if isinstance(found, VenueError):
            failed.append(str(found))
        elif isinstance(found, BaseException):
            raise found
        else:
            offset_ns, round_trip_ns = found
            sink.on_clock_offset(feed.venue, offset_ns, round_trip_ns)
            told.append(f"{feed.venue} {offset_ns / 1e6:+.1f} ms ± {round_trip_ns / 2e6:.1f}")
    if failed:
        raise BotError("; ".join([*failed, *told]))
    return ", ".join(told)


async def _binance(feed: Feed, settings: Settings, clock: Clock) -> tuple[int, int]:
    # Imported here, as the readers do: client libraries take the better part of a second to load.
    from exchanges.binance.metadata import connected

    async with connected(feed, settings) as rest:
        return await measure_offset(rest.server_time_ms, clock)


async def _bybit(feed: Feed, settings: Settings, clock: Clock) -> tuple[int, int]:
    from exchanges.bybit.endpoints import rest_url
    from exchanges.bybit.metadata import BybitRest

    with closing(BybitRest(rest_url(feed, settings))) as rest:
        return await measure_offset(rest.server_time_ms, clock)


async def _kraken(feed: Feed, settings: Settings, clock: Clock) -> tuple[int, int]:
    from exchanges.kraken.clock import asking_time
    from exchanges.kraken.endpoints import stream_url

    async with asking_time(stream_url(settings)) as ask:
        return await measure_offset(ask, clock)


async def _coinbase(feed: Feed, settings: Settings, clock: Clock) -> tuple[int, int]:
    from exchanges.coinbase.clock import asking_time
    from exchanges.coinbase.endpoints import rest_url

    async with asking_time(rest_url(settings)) as ask:
        return await measure_offset(ask, clock)


_MEASURES: Mapping[str, Measure] = {
    "binance": _binance,
    "bybit": _bybit,
    "coinbase": _coinbase,
    "kraken": _kraken,
}
