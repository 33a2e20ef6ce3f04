"""`--mode scan`: what two venues list both, ranked live by net edge, carry or funding. No keys are needed."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.command_options import Sort
from bot.domain.instrument import Feed, Instrument
from bot.domain.route import Route
from bot.errors import BotError, ExitCode, SettingsError, VenueUnavailable
from bot.ports import FeedState
from bot.scan.ranking import Ranking, ScanRoute, needed_instruments, ranked, scan_routes
from bot.scan.views import ScanSink
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from exchanges.registry import all_venues
from modes.scan_market import ByFeed, Fees, Reached, Readers, fees_of, listed, reached, scanned_feeds, take_funding
from modes.scan_print import FeedLine, Scan, Screen, opened_screen
from modes.signals import Interruption
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.watch import pricing_rules

_FUNDING_S = 10.0
"""How long the first ranking waits for the venues' schedules."""
_KINDS = ("convergence", "cash_and_carry", "inventory")


def run_scan(arguments: Arguments, loaded: LoadedSettings) -> int:
    """Scan until the end of the time or an interruption; returns the exit code.

    Raises:
        SettingsError: If nothing can be scanned as it is wished.
        VenueError: If no venue can be read.
    """
    import uvloop

    if loaded.settings.market == "recorded":
        raise SettingsError("--mode scan ranks what is quoted now: add --market live or --market simulated")
    if arguments.json and arguments.format not in (None, "json"):
        raise SettingsError(f"--json and --format {arguments.format} are two formats; leave one of them out")
    with opened_screen(arguments, loaded.settings) as screen, asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
        return run.run(_scan(arguments, loaded.settings, screen))


async def _scan(arguments: Arguments, settings: Settings, screen: Screen) -> int:
    stop = asyncio.Event()
    interruption = Interruption(stop)
    async with reached(settings, screen.log) as there:
        if there.lost is not None:
            there.lost.add_done_callback(lambda _: stop.set())
        await _scan_there(arguments, there, screen, stop)
        lost = there.lost.result() if there.lost is not None and there.lost.done() else None
    if lost is not None:
        raise lost
    return ExitCode.INTERRUPTED if interruption.has_come else ExitCode.OK


async def _scan_there(arguments: Arguments, there: Reached, screen: Screen, stop: asyncio.Event) -> None:
    settings, venues = there.settings, all_venues()
    feeds = scanned_feeds(settings, venues)
    screen.log("info", f"asking {', '.join(map(str, feeds))} for instruments")
    found, failed = await listed(feeds, venues, settings)
    if not found:
        raise VenueUnavailable("scan", f"no venue answers: {'; '.join(failed.values())}")
    everything = [one for by_symbol in found.values() for one in by_symbol.values()]
    routes = _routes(everything, settings, arguments.instrument)
    read = _read(found, needed_instruments(routes, everything))
    sink = ScanSink([one for by_symbol in read.values() for one in by_symbol.values()])
    for feed, why in failed.items():
        sink.on_feed_state(feed, FeedState.FAILED, why)
    fees = await fees_of(read, arguments.tier, there, venues)
    for view in sink.views:
        view.fees = fees.by_feed.get(view.instrument.feed)
    readers = Readers(read, sink, venues, settings)
    screen.log("info", f"reading {len(sink.views):,} instruments, {len(routes):,} routes")
    readers.start()
    told = asyncio.Event()
    funding = asyncio.create_task(_keep_funding(read, there, sink, screen, told))
    try:
        with suppress(TimeoutError):  # what is not known by then stands as unknown until it is
            await asyncio.wait_for(told.wait(), _FUNDING_S)
        await _rank(Scanned(arguments, there, sink, feeds, fees, routes), screen, stop)
    finally:
        funding.cancel()
        await asyncio.gather(funding, return_exceptions=True)
        await readers.stop()


class Scanned:
    """What one scan reads, and how it ranks it."""

    def __init__(
        self,
        arguments: Arguments,
        there: Reached,
        sink: ScanSink,
        feeds: Sequence[Feed],
        fees: Fees,
        routes: Sequence[ScanRoute],
    ) -> None:
        """Rank `routes` over the views of `sink`."""
        self.settings = there.settings
        self.for_s = arguments.for_s
        self.clock = SystemClock()
        self._arguments = arguments
        self._sink = sink
        self._feeds = feeds
        self._fees = fees
        self._ranking = Ranking(routes, sink, there.settings.scan, pricing_rules(_arbitrage(there.settings)))

    def look(self) -> Scan:
        """The ranking now."""
        sort: Sort = self._arguments.sort or "edge"
        now_ns = self.clock.now_ns()
        self._sink.forget_funding(now_ns - round(self.settings.terms.max_funding_age_s * 1e9))
        best, rest = ranked(self._ranking.rows(now_ns), sort)
        return Scan(
            ts_ns=now_ns,
            market=self.settings.market,
            sort=sort,
            tier=self._arguments.tier,
            holding_days=self.settings.scan.holding_days,
            feeds=[self._line(feed) for feed in self._feeds],
            notes=self._fees.notes,
            ranked=best,
            unranked=rest,
        )

    def all_failed(self) -> str | None:
        """Why nothing can be read any more; None while a feed still may be."""
        states = [self._sink.states.get(feed, (FeedState.CONNECTING, "")) for feed in self._feeds]
        if any(state is not FeedState.FAILED for state, _ in states):
            return None
        return "; ".join(dict.fromkeys(detail for _, detail in states))

    def _line(self, feed: Feed) -> FeedLine:
        state, detail = self._sink.states.get(feed, (FeedState.CONNECTING, ""))
        views = [view for view in self._sink.views if view.instrument.feed == feed]
        return FeedLine(
            feed=str(feed),
            state=state.value,
            detail=detail if state is not FeedState.LIVE else "",
            instruments=len(views),
            quoted=sum(view.quote is not None for view in views),
            quotes=self._sink.quotes[feed],
            malformed=self._sink.malformed[feed],
            fees=self._fees.by_feed.get(feed),
        )


async def _rank(scanned: Scanned, screen: Screen, stop: asyncio.Event) -> None:
    """Show a ranking every few seconds; the last one when the time is over."""
    clock, refresh_s = scanned.clock, scanned.settings.scan.refresh_s
    began_ns = clock.monotonic_ns()

    def left_s() -> float | None:
        return None if scanned.for_s is None else scanned.for_s - (clock.monotonic_ns() - began_ns) / 1e9

    while not stop.is_set() and ((left := left_s()) is None or left > 0.0):
        try:
            await asyncio.wait_for(stop.wait(), refresh_s if left is None else min(refresh_s, left))
        except TimeoutError:
            screen.show(scanned.look())
        why = scanned.all_failed()
        if why is not None:
            raise VenueUnavailable("scan", f"no feed can be read: {why}")
    screen.finish(scanned.look())


async def _keep_funding(read: ByFeed, there: Reached, sink: ScanSink, screen: Screen, told: asyncio.Event) -> None:
    """Funding schedules now, and again while they are still good: what is too old is not known any more."""
    while True:
        try:
            for trouble in await take_funding(read, there, sink):
                screen.log("warning", trouble)
        except BotError as error:
            screen.log("warning", f"funding cannot be asked: {error}")
        told.set()
        await asyncio.sleep(there.settings.terms.max_funding_age_s / 4)


def _arbitrage(settings: Settings) -> ArbitrageSettings:
    chosen = getattr(settings, "arbitrage", None)
    return chosen if isinstance(chosen, ArbitrageSettings) else ArbitrageSettings()


def _routes(everything: Sequence[Instrument], settings: Settings, wanted: Collection[str]) -> list[ScanRoute]:
    """The pair routes of what is shared, by the strategy's own list; all of `wanted` alone where something is."""
    arbitrage = _arbitrage(settings)
    pairs = arbitrage.model_copy(
        update={"kinds": [kind for kind in _KINDS if kind in arbitrage.kinds], "maker_variants": False}
    )

    def pairs_of(instruments: Sequence[Instrument]) -> list[Route]:
        return list_routes(instruments, pairs)

    assumed = arbitrage.assumed_rebalancing_bps is not None
    routes = scan_routes(everything, pairs_of, settings.scan, shares_rebalancing=assumed)
    if not wanted:
        if not routes:
            raise SettingsError("no coin is listed by two of these venues")
        return routes
    unknown = [name for name in wanted if not any(_is_named(one, {name}) for one in everything)]
    if unknown:
        raise SettingsError(f"--instrument {unknown[0]} is listed by none of these venues")
    chosen = [route for route in routes if any(_is_named(one, wanted) for one in route.edge.instruments)]
    if not chosen:
        raise SettingsError(f"--instrument {', '.join(wanted)}: no other venue lists it")
    return chosen


def _is_named(one: Instrument, names: Collection[str]) -> bool:
    """By its id, by its symbol on any venue, or by its coin."""
    return bool({one.id, one.symbol, one.base} & set(names))


def _read(found: ByFeed, instruments: Collection[Instrument]) -> dict[Feed, dict[str, Instrument]]:
    wanted = {one.id for one in instruments}
    chosen = {
        feed: {name: one for name, one in by_symbol.items() if one.id in wanted} for feed, by_symbol in found.items()
    }
    return {feed: by_symbol for feed, by_symbol in chosen.items() if by_symbol}
