"""What a scan reads: the feeds that can be read, what they list, their fees, and their connections.

A venue that does not answer, or that does not serve this place, closes its own feeds and says why; the others go on.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.engine.terms.rates import effective_fees
from bot.errors import BotError, SettingsError, VenueError
from bot.ports import FeedState, LiveVenueModule, MarketReader, Wiring
from bot.scan.views import ScanSink
from bot.settings import Settings
from exchanges.common.market.wanted import ALL
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.price_lists import PRICE_LISTS
from exchanges.registry import order_venues
from exchanges.terms import terms_sources
from modes.house import MAIN

Log = Callable[[str, str], None]
ByFeed = Mapping[Feed, Mapping[str, Instrument]]
"""Feed -> the venue's symbol -> instrument."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the venues of a live or simulated market are."""

    settings: Settings
    keys: ApiKeys | None
    """Of the simulated exchanges; a scan of any other market needs none."""
    lost: "asyncio.Future[VenueError] | None" = None

    @property
    def own_keys(self) -> Mapping[str, ApiKeys]:
        """By venue."""
        return {} if self.keys is None else dict.fromkeys(order_venues(self.settings), self.keys)


@asynccontextmanager
async def reached(settings: Settings, log: Log) -> AsyncIterator[Reached]:
    """The venues, for the length of the block.

    Raises:
        VenueError: If the simulated exchanges do not come up.
    """
    if settings.market in ("live", "testnet"):
        yield Reached(settings, None)
        return
    from exchanges.simulator.process import pointed_at, simulator_process

    simulator = settings.simulator
    log("info", f"SIMULATED: starting the exchanges, scenario {simulator.scenario}, seed {simulator.seed}")
    lost: asyncio.Future[VenueError] = asyncio.get_running_loop().create_future()
    async with simulator_process(MAIN, settings, lost.set_result) as address:
        keys = ApiKeys(key=SecretStr(address.credentials.api_key), secret=SecretStr(address.credentials.secret))
        yield Reached(pointed_at(settings, address), keys, lost)


def scanned_feeds(settings: Settings, venues: Mapping[str, LiveVenueModule]) -> list[Feed]:
    """The feeds that the settings name, or every one that can be read.

    Raises:
        SettingsError: If one that is named is not known or cannot be read, or fewer than two venues are left.
    """
    known = {str(feed): feed for venue in venues.values() for feed in venue.feeds()}
    named = settings.scan.feeds
    unknown = [name for name in named if name not in known]
    if unknown:
        raise SettingsError(f"scan.feeds: {unknown[0]} is no known feed; known: {', '.join(sorted(known))}")
    found = [known[name] for name in named] or [feed for feed in known.values() if _is_readable(feed, venues, settings)]
    if len({feed.venue for feed in found}) < 2:
        raise SettingsError("a scan compares venues, and fewer than two can be read: see scan.feeds")
    for feed in found:
        _reader(feed, {}, ScanSink([]), venues, settings)
    return found


def _is_readable(feed: Feed, venues: Mapping[str, LiveVenueModule], settings: Settings) -> bool:
    try:
        _reader(feed, {}, ScanSink([]), venues, settings)
    except SettingsError:
        return False
    return True


def _reader(
    feed: Feed,
    slots: Mapping[str, int],
    sink: ScanSink,
    venues: Mapping[str, LiveVenueModule],
    settings: Settings,
) -> MarketReader:
    return venues[feed.venue].reader(feed, slots, sink, Wiring(settings, SystemClock()))


async def listed(
    feeds: Sequence[Feed], venues: Mapping[str, LiveVenueModule], settings: Settings
) -> tuple[dict[Feed, dict[str, Instrument]], dict[Feed, str]]:
    """What every feed lists, and why not where one does not answer.

    Raises:
        SettingsError: If a feed cannot be asked with these settings.
    """
    answers = await asyncio.gather(
        *(venues[feed.venue].instruments(feed, [ALL], settings) for feed in feeds), return_exceptions=True
    )
    found: dict[Feed, dict[str, Instrument]] = {}
    failed: dict[Feed, str] = {}
    for feed, answer in zip(feeds, answers, strict=True):
        if isinstance(answer, VenueError):
            failed[feed] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[feed] = answer
    return found, failed


@dataclass(slots=True)
class Fees:
    """What each feed is priced with."""

    by_feed: dict[Feed, FeeSchedule] = field(default_factory=dict)
    """A feed whose fees nobody tells is left out: its rows are not ranked by edge."""
    notes: list[str] = field(default_factory=list)


async def fees_of(by_feed: ByFeed, tier: str | None, there: Reached, venues: Mapping[str, LiveVenueModule]) -> Fees:
    """Fees at the account's tier (where an account can be asked: the published lowest elsewhere), or at `tier`.

    Raises:
        SettingsError: If no feed has such a tier.
    """
    published = {feed: told for feed in by_feed if (told := venues[feed.venue].published_fees(feed)) is not None}
    if tier is not None:
        return _at_tier(list(by_feed), tier, published)
    found = Fees()
    accounts = await _accounts(by_feed, there, found.notes)
    for feed in by_feed:
        fees = effective_fees(feed, accounts.get(feed, published.get(feed)), there.settings)
        if fees is not None:
            found.by_feed[feed] = fees
    return found


def _at_tier(feeds: Sequence[Feed], tier: str, published: Mapping[Feed, FeeSchedule]) -> Fees:
    found = Fees(dict(published))
    wanted = _plain(tier)
    known: list[str] = []
    has_it = False
    for feed in feeds:
        listed = PRICE_LISTS.get(feed, ())
        known += [one.name for one in listed if one.name not in known]
        chosen = next((one for one in listed if _is_called(one.name, wanted)), None)
        if chosen is not None:
            has_it = True
            found.by_feed[feed] = chosen.schedule(feed)
        else:
            lowest = published.get(feed)
            told = f"its published lowest counts, taker {lowest.taker_bps} bps" if lowest else "its fees are not known"
            found.notes.append(f"{feed}: no list with a tier {tier}; {told}")
    if not has_it:
        raise SettingsError(f"--tier {tier} is no tier of what is scanned; known: {', '.join(known)}")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_called(name: str, wanted: str) -> bool:
    """`vip3` is `VIP 3`; `regular` is `Regular User`, and `vip1` is not `VIP 10`."""
    plain = _plain(name)
    return plain == wanted or (not wanted[-1:].isdigit() and bool(wanted) and plain.startswith(wanted))


async def _accounts(by_feed: ByFeed, there: Reached, notes: list[str]) -> dict[Feed, FeeSchedule]:
    """What the account pays on each feed, asked about one instrument of it: tiers are of feeds."""
    if there.keys is None:
        return {}
    traded = {feed: listed for feed, listed in by_feed.items() if feed.venue in there.own_keys and listed}
    one_each = {feed: dict([next(iter(listed.items()))]) for feed, listed in traded.items()}
    found: dict[Feed, FeeSchedule] = {}
    for source in terms_sources(one_each, there.settings, SystemClock(), there.own_keys):
        try:
            told = await source.fees()
        except VenueError as error:
            notes.append(f"{source.venue}: its fees cannot be asked ({error}); the published lowest count")
            continue
        found |= {fees.feed: fees for fees in told.values.values()} if told is not None else {}
    return found


async def take_funding(by_feed: ByFeed, there: Reached, sink: ScanSink) -> list[str]:
    """Ask every venue for the funding of its perpetuals, and give it to `sink`; why not, a line a venue."""
    troubles = []
    for source in terms_sources(by_feed, there.settings, SystemClock(), {}):
        try:
            sink.take_funding((await source.funding()).values)
        except VenueError as error:
            troubles.append(f"{source.venue}: its funding cannot be asked: {error}")
    return troubles


class Readers:
    """The connections of a scan, each feed for itself."""

    def __init__(
        self, by_feed: ByFeed, sink: ScanSink, venues: Mapping[str, LiveVenueModule], settings: Settings
    ) -> None:
        """Nothing happens before `start`; the slots of `sink` are those of its views."""
        slots = {view.instrument.id: slot for slot, view in enumerate(sink.views)}
        self._sink = sink
        self._readers = {
            feed: _reader(feed, {name: slots[one.id] for name, one in found.items()}, sink, venues, settings)
            for feed, found in by_feed.items()
        }
        self._starting: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect every feed; one that cannot be is FAILED, and says why."""
        self._starting = [asyncio.create_task(self._start(feed)) for feed in self._readers]

    async def stop(self) -> None:
        """Disconnect them all."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(reader.stop() for reader in self._readers.values()), return_exceptions=True)

    async def _start(self, feed: Feed) -> None:
        try:
            await self._readers[feed].start()
        except BotError as error:
            self._sink.on_feed_state(feed, FeedState.FAILED, str(error))
