"""Everything that is looked at before the first order. Nothing is changed by looking: neither here nor at a venue."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, ListingStatus
from bot.errors import BotError, VenueError
from bot.patience import Patience
from bot.ports import TermsSource
from bot.ports.inspection import AccountInspector
from bot.preflight.account import Stakes, judge_balances, judge_modes, judge_rights
from bot.preflight.check import Check, Verdict, asked, failed, ok, require, warning
from bot.preflight.machine import HALT_FLAG, look_at_machine
from bot.preflight.streams import StreamWatch
from bot.settings import Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.live.market import LiveVenues
from exchanges.registry import all_venues
from modes.clock_offsets import can_be_measured, measured

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket

STREAMS_S = 5.0
_AHEAD_MS = 1000.0
"""A clock that is further off is corrected for, and wrong in every log."""
Log = Callable[[str, str], None]
Ask = Callable[[str, str, Callable[[], Awaitable[Sequence[Check]]]], Awaitable[Sequence[Check]]]


def stakes_of(settings: Settings, *, real_money: bool) -> Stakes:
    """What is at stake with these settings."""
    return Stakes(real_money=real_money, unbound_ok=settings.keys.unbound_ok, transfers=settings.transfers.enabled)


async def preflight(
    opened: "OpenMarket",
    settings: Settings,
    keys: Mapping[str, ApiKeys],
    *,
    real_money: bool,
    patience: Patience | None = None,
) -> list[Check]:
    """Every check, those of the machine first.

    Args:
        opened: The market, which does not run yet.
        settings: As they hold for the run.
        keys: Of the accounts that orders are sent for; none: nothing is asked about accounts.
        real_money: Whether orders would move real money.
        patience: With venues that are away; None: that is a check that failed.

    Raises:
        VenueError: If there was patience, and a venue is away still.
    """
    from exchanges.inspection import inspectors

    market, stakes = opened.market, stakes_of(settings, real_money=real_money)
    machine = await asyncio.to_thread(look_at_machine, settings.data_dir, settings.journal, market.clock)
    accounts = inspectors(market.by_feed, opened.settings, market.clock, keys)
    ask = partial(asked, patience=patience)
    looks: list[Awaitable[Sequence[Check]]] = [
        *(_clock(feed, opened, settings, ask) for feed in _one_each(market.by_feed)),
        *(_account(one, market.instruments, settings, stakes, market.clock, ask) for one in accounts),
        *(_listings(source, market.instruments, ask) for source in opened.terms),
        *(_fees(source, market.instruments, ask) for source in opened.terms if source.venue in keys),
        _streams(opened, patience),
    ]
    return [*machine, *(check for found in await asyncio.gather(*looks) for check in found)]


async def require_preflight(
    opened: "OpenMarket",
    settings: Settings,
    keys: Mapping[str, ApiKeys],
    log: Log,
    *,
    real_money: bool,
    patience: Patience | None = None,
) -> None:
    """Look, tell what is not as it should be, and let the start go on if nothing failed.

    Raises:
        PreflightFailed: If something did; every line of it was told.
        VenueError: If there was `patience`, and a venue is away still.
    """
    log("info", "preflight: looking at machine, keys, accounts and streams")
    checks = await preflight(opened, settings, keys, real_money=real_money, patience=patience)
    for check in checks:
        if check.verdict is not Verdict.OK:
            log("error" if check.verdict is Verdict.FAILED else "warning", f"preflight: {check.line}")
    require([check for check in checks if check.name != HALT_FLAG])  # such a start opens nothing (docs/stopping.md)
    log("info", f"preflight: {len(checks)} checks, none failed")


async def check_rights(
    account: AccountInspector, instruments: Sequence[Instrument], stakes: Stakes, clock: Clock
) -> list[Check]:
    """What the key of an account may do, judged by what is traded there.

    Raises:
        VenueError: The venue cannot be asked, or refuses.
    """
    segments = {one.segment for one in instruments if one.venue == account.venue}
    return judge_rights(account.venue, await account.rights(), segments, stakes, clock.now_ns())


async def _account(
    account: AccountInspector,
    instruments: Sequence[Instrument],
    settings: Settings,
    stakes: Stakes,
    clock: Clock,
    ask: Ask,
) -> Sequence[Check]:
    own = [one for one in instruments if one.venue == account.venue]
    ratio = settings.paper.initial_margin_ratio

    async def modes() -> Sequence[Check]:
        told = await account.modes()
        return [
            *judge_modes(account.venue, told, own, ratio, stakes),
            *judge_balances(account.venue, told, own, settings.risk.max_order_notional, ratio),
        ]

    rights = await ask("key rights", account.venue, partial(check_rights, account, own, stakes, clock))
    return [*rights, *await ask("account", account.venue, modes)]


async def _clock(feed: Feed, opened: "OpenMarket", settings: Settings, ask: Ask) -> Sequence[Check]:
    async def look() -> Sequence[Check]:
        offset_ns, round_trip_ns = await measured(feed, opened.settings, opened.market.clock)
        offset_ms, uncertain_ms = offset_ns / 1e6, round_trip_ns / 2e6
        said = f"{offset_ms:+.1f} ms from ours, ± {uncertain_ms:.1f}"
        if uncertain_ms > settings.risk.max_clock_uncertainty_ms:
            return [
                failed("clock", feed.venue, said, "the way to the venue is too slow to know how old its quotes are")
            ]
        if abs(offset_ms) > _AHEAD_MS:
            return [warning("clock", feed.venue, said, "it is corrected for; set this machine's clock by NTP")]
        return [ok("clock", feed.venue, said)]

    return await ask("clock", feed.venue, look)


async def _listings(source: TermsSource, instruments: Sequence[Instrument], ask: Ask) -> Sequence[Check]:
    async def look() -> Sequence[Check]:
        told = (await source.listings()).values
        own = [one for one in instruments if one.venue == source.venue and one.id in told]
        halted = [one for one in own if told[one.id].status is not ListingStatus.TRADING]
        if not halted:
            return [ok("instruments", source.venue, f"all {len(own)} trade")] if own else []
        return [
            failed("instruments", one.id, str(told[one.id].status), "leave it out of instruments until it trades")
            for one in halted
        ]

    return await ask("instruments", source.venue, look)


async def _fees(source: TermsSource, instruments: Sequence[Instrument], ask: Ask) -> Sequence[Check]:
    async def look() -> Sequence[Check]:
        told = await source.fees()
        known = {} if told is None else told.values
        own = [one for one in instruments if one.venue == source.venue]
        missing = [one.id for one in own if one.id not in known]
        if missing:
            advice = "the venue's published lowest tier counts instead"
            return [warning("fees", source.venue, f"not told for {', '.join(missing)}", advice)]
        rates = sorted({f"taker {known[one.id].taker_bps:f}, maker {known[one.id].maker_bps:f}" for one in own})
        return [ok("fees", source.venue, f"{'; '.join(rates)} bps")]

    return await ask("fees", source.venue, look)


async def _streams(opened: "OpenMarket", patience: Patience | None) -> Sequence[Check]:
    """Connections of their own, let go at the end: whether every stream delivers."""
    market, settings = opened.market, opened.settings
    trial = LiveVenues(market.by_feed, all_venues(), settings, run_s=STREAMS_S, name=market.name, patience=patience)
    books = trial.books.wanted(settings.order_books)
    watch = StreamWatch(market.instruments, books)
    trial.books.listen(books, watch)
    try:
        await trial.run(watch, watch.complete)
    except BotError as error:
        if patience is not None and isinstance(error, VenueError) and patience.may_help(error):
            raise
        venues = "check venues in the settings, symbols and firewall"
        return [*watch.checks(STREAMS_S), failed("streams", "", str(error), venues)]
    return watch.checks(STREAMS_S)


def _one_each(by_feed: Mapping[Feed, object]) -> list[Feed]:
    """A feed of every venue whose clock can be asked."""
    return list({feed.venue: feed for feed in by_feed if can_be_measured(feed)}.values())
