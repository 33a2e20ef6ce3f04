"""The market that the settings name, opened, and the venue that takes its orders.

recorded    files on a virtual clock, orders to the paper venue
simulated   exchanges in a process of ours, orders over the wire to them
live        the real exchanges, orders to the paper venue; with keys, to them
testnet     the exchanges' test systems, orders to them
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.errors import VenueError
from bot.patience import Patience
from bot.ports import Market, QuoteDrivenVenue, TermsSource
from bot.settings import Settings
from exchanges.accounts import order_accounts
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.emergency import Account
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.live.market import LiveVenues, ask_instruments, configured_feeds
from exchanges.paper.actions import PaperActions
from exchanges.recorded.market import Recordings
from exchanges.recorded.scan import ScanProgress
from exchanges.registry import TRADING_VENUES, all_venues, order_venues
from exchanges.simulator.sample_recording import write_sample

VenueFactory = Callable[[Mapping[Feed, FeeSchedule]], QuoteDrivenVenue]
Log = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """A market that is ready to run, and what builds its venue from the fees of each feed."""

    market: Market
    venue: VenueFactory
    deliver: Callable[[Callable[[], None]], object] | None
    """Brings a callback to the engine's thread; None on a virtual clock, where waiting takes no time."""
    settings: Settings
    """Where its venues are: the settings that were given, but for endpoints."""
    lost: "asyncio.Future[VenueError] | None" = None
    """Done when the market has gone for good: the process of the simulated exchanges has ended."""
    terms: Sequence[TermsSource] = ()
    """Who can be asked for fees, funding schedules and networks."""
    no_orders_at: frozenset[str] = frozenset()
    """Venues of it that are watched and priced, and that no order can be sent to."""
    notes: Sequence[str] = ()
    """What a person should know of it before the first decision, a line each."""
    accounts: Sequence[Account] = ()
    """Where its orders will be; none where they go to the paper venue."""
    dies_with_run: bool = False
    """Whether its accounts, and what they hold, end with this run."""
    budgets: Mapping[str, RequestBudget] = field(default_factory=dict)
    """Venue -> what may be asked there, shared by whoever asks."""
    keys: Mapping[str, ApiKeys] = field(default_factory=dict, repr=False)
    """Venue -> the account that orders are sent for; none where they go to the paper venue."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says about the market."""

    recordings: Sequence[tuple[Feed, Path]]
    run_s: float | None
    main: Path
    """The program itself, which also serves the simulated exchanges."""
    keys: Mapping[str, ApiKeys] = field(default_factory=dict)
    """Venue -> the account that orders of `live` and `testnet` are sent for; none: they go to the paper venue."""
    patience: Patience | None = None
    """With venues that are away, or want to be left alone; None: they are an error at once."""


@asynccontextmanager
async def opened_market(
    settings: Settings, wanted: Wanted, log: Log, on_scan: ScanProgress
) -> AsyncIterator[OpenMarket]:
    """The market of `settings.market`, for the length of the block.

    Raises:
        SettingsError, RecordingError: If what it needs is missing or wrong.
        VenueError: If a venue cannot be asked.
    """
    if settings.market == "recorded":
        yield _recorded(settings, wanted, log, on_scan)
    elif settings.market in ("live", "testnet"):
        yield await _outside(settings, wanted, log)
    else:
        async with _simulated(settings, wanted, log) as opened:
            yield opened


@asynccontextmanager
async def _simulated(settings: Settings, wanted: Wanted, log: Log) -> AsyncIterator[OpenMarket]:
    """Exchanges that run already, or that run as long as the block."""
    # Imported here: servers and protocols take half a second to load, and only this market needs them.
    from exchanges.simulator.process import pointed_at, running_simulator, simulator_process

    lost: asyncio.Future[VenueError] = asyncio.get_running_loop().create_future()
    if settings.simulator.address is not None:
        keys = next(iter(wanted.keys.values()))
        log("info", f"SIMULATED: the exchanges at {settings.simulator.address}, which outlive this run")
        there = pointed_at(settings, running_simulator(settings.simulator.address))
        yield await _on_simulator(there, keys, wanted, log, None)
        return
    day = f"scenario {settings.simulator.scenario}, seed {settings.simulator.seed}"
    log("info", f"SIMULATED: starting the exchanges, {day}")
    async with simulator_process(wanted.main, settings, lost.set_result) as address:
        keys = ApiKeys(key=SecretStr(address.credentials.api_key), secret=SecretStr(address.credentials.secret))
        opened = await _on_simulator(pointed_at(settings, address), keys, wanted, log, lost)
        yield replace(opened, dies_with_run=True)


async def _on_simulator(
    there: Settings, keys: ApiKeys, wanted: Wanted, log: Log, lost: "asyncio.Future[VenueError] | None"
) -> OpenMarket:
    market = await _connected(there, wanted, log)
    return _traded(market, there, dict.fromkeys(order_venues(there), keys), wanted, log, lost)


async def _outside(settings: Settings, wanted: Wanted, log: Log) -> OpenMarket:
    """The real exchanges or their test systems; without keys, paper money at prices that are real."""
    market = await _connected(settings, wanted, log)
    if wanted.keys:
        return _traded(market, settings, wanted.keys, wanted, log)
    from exchanges.terms import terms_sources  # see `_traded`

    terms = terms_sources(market.by_feed, settings, market.clock, {}, _budgets(market))
    deliver = asyncio.get_running_loop().call_soon_threadsafe
    return OpenMarket(market, _paper(market, settings), deliver, settings, terms=terms, notes=_played_alone(market))


def _traded(
    market: LiveVenues,
    settings: Settings,
    keys: Mapping[str, ApiKeys],
    wanted: Wanted,
    log: Log,
    lost: "asyncio.Future[VenueError] | None" = None,
) -> OpenMarket:
    """A market whose orders are sent over the wire, to the accounts of `keys`."""
    # Imported here, as everywhere: the client libraries take a second to load, and recorded markets need none.
    from exchanges.terms import terms_sources

    budgets, silent = _budgets(market), _without_orders(market, keys)
    return OpenMarket(
        market,
        _wire(market, settings, keys, log, budgets, wanted.patience),
        asyncio.get_running_loop().call_soon_threadsafe,
        settings,
        lost=lost,
        terms=terms_sources(market.by_feed, settings, market.clock, keys, budgets),
        no_orders_at=silent,
        notes=_told(silent),
        accounts=order_accounts(market.by_feed, settings, keys, settings.market),
        budgets=budgets,
        keys=keys,
    )


def _told(silent: frozenset[str]) -> list[str]:
    return [f"{venue}: watched and priced; no order can be sent there" for venue in sorted(silent)]


def _recorded(settings: Settings, wanted: Wanted, log: Log, on_scan: ScanProgress) -> OpenMarket:
    files: dict[Feed, list[Path]] = {}
    for feed, path in wanted.recordings:
        files.setdefault(feed, []).append(path)
    if not files:
        log("info", "no --recording given: generating the sample market (seed 1, ten minutes)")
        # Nothing in it comes from an exchange.
        files = {feed: [path] for feed, path in write_sample(settings.data_dir / "sample").items()}
    market = Recordings(files, all_venues(), speed=settings.recorded.speed, play_s=wanted.run_s, scan_progress=on_scan)
    return OpenMarket(market, _paper(market, settings), None, settings, notes=_played_alone(market))


async def _connected(settings: Settings, wanted: Wanted, log: Log) -> LiveVenues:
    venues = all_venues()
    feeds = configured_feeds(settings, venues)
    log("info", f"asking {', '.join(sorted({feed.venue for feed in feeds}))} for instruments")
    found = await ask_instruments(feeds, venues, settings, wanted.patience)
    return LiveVenues(found, venues, settings, run_s=wanted.run_s, name=settings.market, patience=wanted.patience)


def _without_orders(market: Market, able: Collection[str]) -> frozenset[str]:
    """The venues of a market that orders are not sent to: all but those of `able`."""
    return frozenset(feed.venue for feed in market.by_feed) - (TRADING_VENUES & set(able))


def _played_alone(market: Market) -> list[str]:
    """Paper money is traded on every venue, also where real orders could not be sent: then that is said."""
    return [
        f"{venue}: the paper venue fills orders of it; this version could not send them there"
        for venue in sorted(_without_orders(market, TRADING_VENUES))
    ]


def _paper(market: Market, settings: Settings) -> VenueFactory:
    def paper(fees: Mapping[Feed, FeeSchedule]) -> QuoteDrivenVenue:
        return PaperActions(market.instruments, fees, settings.paper, market.clock)

    return paper


def _budgets(market: LiveVenues) -> dict[str, RequestBudget]:
    """One a venue, for everything that is signed there: it counts by address and account, not by who of us asks."""
    from exchanges.binance import request_costs as binance
    from exchanges.bybit import request_costs as bybit
    from exchanges.kraken import request_costs as kraken

    rates = {"binance": binance.rates, "bybit": bybit.rates, "kraken": kraken.rates}
    venues = {feed.venue for feed in market.by_feed} & TRADING_VENUES
    return {venue: RequestBudget(venue, rates[venue](), market.clock) for venue in sorted(venues)}


def _wire(
    market: LiveVenues,
    settings: Settings,
    keys: Mapping[str, ApiKeys],
    log: Log,
    budgets: Mapping[str, RequestBudget],
    patience: Patience | None,
) -> VenueFactory:
    # Imported here: the client libraries take a second to load.
    from exchanges.binance.actions import BinanceActions
    from exchanges.bybit.actions import BybitActions
    from exchanges.common.account.account_setup import AccountSetup
    from exchanges.kraken.actions import KrakenActions
    from exchanges.routed.venue import ConnectedVenue

    adapters = {"binance": BinanceActions, "bybit": BybitActions, "kraken": KrakenActions}
    venues = sorted({feed.venue for feed in market.by_feed} & TRADING_VENUES & keys.keys())

    def connected(fees: Mapping[Feed, FeeSchedule]) -> QuoteDrivenVenue:
        spread = random.SystemRandom()
        return ConnectedVenue(
            {
                venue: adapters[venue](
                    AccountSetup(
                        market.by_feed, keys[venue], settings, market.clock, spread, fees, log, budget=budgets[venue]
                    )
                )
                for venue in venues
            },
            patience,
        )

    return connected
