"""`--mode status`: what the running engine says of itself, once, for a person or a program."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.control.client import attach
from bot.control.messages import Finished
from bot.domain.money import money_words
from bot.domain.shadow import ShadowStatus
from bot.domain.snapshot import FeedRow, JobRow, RouteRow, ShipperRow, SizeRow, Snapshot, SurfaceRow
from bot.domain.standing import VenueStanding
from bot.engine.run import SOCKET
from bot.errors import ExitCode
from bot.settings import Settings
from bot.tui.words import bps, count, duration, kind, milliseconds, moneys, pair, seconds, time_of_day

PATIENCE_S = 10.0
_SURFACE_S = 8.0
"""How long the first look at every route may take; what is not there by then is left out."""


def run_status(arguments: Arguments, settings: Settings) -> int:
    """Print it; returns the exit code: 2 where no engine runs on the data directory, 5 where one does not answer."""
    try:
        snapshot = asyncio.run(_ask(settings))
    except ConnectionError as error:
        return _failed(f"{error}; start one with --mode action", ExitCode.SETTINGS)
    except TimeoutError:
        return _failed(f"the engine on {settings.data_dir} does not answer within {PATIENCE_S:.0f} s", ExitCode.VENUE)
    if arguments.json:
        print(json.dumps(snapshot.model_dump(mode="json", exclude={"log"}), allow_nan=False))
    else:
        print("\n".join(status_lines(snapshot)))
    return ExitCode.OK


def _failed(why: str, code: ExitCode) -> int:
    print(f"crypto-pipe: {why}", file=sys.stderr)
    return code


async def _ask(settings: Settings) -> Snapshot:
    """The first snapshot in which every route has been priced over all sizes, or the newest of the first seconds."""
    clock = SystemClock()
    engine = await attach(settings.data_dir / SOCKET)
    newest: Snapshot | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            first_ns = None
            async for message in engine:
                if isinstance(message, Finished):
                    break
                newest = message
                first_ns = first_ns or clock.monotonic_ns()
                looked_s = (clock.monotonic_ns() - first_ns) / 1e9
                if len(newest.surface) >= len(newest.routes) or looked_s > _SURFACE_S:
                    break
    finally:
        await engine.close()
    if newest is None:
        raise ConnectionError("the engine went away before it said anything")
    return newest


def status_lines(shown: Snapshot) -> list[str]:
    """A snapshot for a person, section by section."""
    money = money_words(shown.market, shown.real_money)
    head = [
        f"{shown.market.upper()} market, {money}: {shown.state}",
        f"run {shown.run_id}, {shown.strategy}, ran {duration(shown.now_ns - shown.started_ns)}, "
        f"{shown.taken} taken, {shown.open_pairs} open",
        f"realised {moneys(shown.realised)}, unrealised {moneys(shown.unrealised)}",
        *(f"PAUSED by a person: {route or 'everything'}" for route in shown.paused),
        shown.headline,
        *([] if shown.shadow is None else _shadow(shown.shadow)),
    ]
    sections = (
        ("feeds", [_feed(feed) for feed in shown.feeds]),
        (
            "quotes",
            [f"{top.venue}:{top.symbol}  {top.bid or '–'} / {top.ask or '–'}  {top.status}" for top in shown.tops],
        ),
        ("routes", [_route(route) for route in _best_first(shown.routes)]),
        ("break-even, bps", [line for row in shown.surface for line in _surface(row)]),
        ("pairs", [_pair_line(shown, index) for index in range(len(shown.pairs))]),
        ("dust", [f"{amount:+f} on {instrument_id}" for instrument_id, amount in shown.dust.items()]),
        ("venues", [line for one in shown.venues for line in _venue(one)]),
        ("limits", [f"{one.limit}  {one.observed:,.6g} of {one.allowed:,.6g} {one.unit}" for one in shown.limits]),
        ("jobs", [_job(job) for job in shown.upkeep.jobs]),
        ("MongoDB", [] if shown.upkeep.shipper is None else list(_shipper(shown.upkeep.shipper))),
    )
    for title, lines in sections:
        head += ["", title, *(f"  {line}" for line in lines or ["none"])]
    return head


def _shadow(told: ShadowStatus) -> Iterator[str]:
    yield told.line
    if told.not_shadowed:
        yield "  not shadowed: " + ", ".join(f"{why} {times}" for why, times in told.not_shadowed.items())
    yield f"  {told.open_twins} twins open, {told.real_orders} real orders, realised {moneys(told.real_pnl)}"


def _best_first(routes: Sequence[RouteRow]) -> list[RouteRow]:
    return sorted(routes, key=lambda one: (one.net_bps is None, -(one.net_bps or 0.0), one.route))


def _feed(feed: FeedRow) -> str:
    clock = "clock not measured" if feed.clock_offset_ms is None else f"clock {milliseconds(feed.clock_offset_ms)} ms"
    heard = (
        "nothing heard" if feed.last_frame_age_ms is None else f"heard {milliseconds(feed.last_frame_age_ms)} ms ago"
    )
    counts = f"{count(feed.quotes)} quotes, {count(feed.quotes_per_s)} a second"
    troubles = f"{count(feed.refused)} refused, {count(feed.malformed)} malformed, {count(feed.reconnects)} reconnects"
    return f"{feed.feed}  {feed.state}, {heard}, {clock}, {counts}, {troubles}"


def _route(route: RouteRow) -> str:
    figures = f"offers {bps(route.gross_bps)}, needs {bps(route.needed_bps)}, net {bps(route.net_bps)}"
    assumed = ", ASSUMED" if route.assumed else ""
    return f"{_named(route)}  {figures}{assumed}  {route.why_not or ('open' if route.open_quantity else 'trades')}"


def _named(route: RouteRow | SurfaceRow) -> str:
    return f"{kind(route.kind, route.route)} {pair(route.buy, route.sell)}"


def _surface(row: SurfaceRow) -> Iterator[str]:
    yield _named(row)
    for size in row.sizes:
        yield f"  {_size(size, row.currency)}"
    shown = next((size for size in row.sizes if size.costs), None)
    if shown is not None:
        yield "  " + ", ".join(
            f"{cost.name} {bps(cost.bps, 2)}{' ASSUMED' if cost.assumed else ''}" for cost in shown.costs
        )


def _size(size: SizeRow, currency: str) -> str:
    figures = (
        f"offered {bps(size.offered_bps):>7}  needed {bps(size.needed_bps):>7}  missing {bps(size.missing_bps):>7}"
    )
    tiers = f"; would trade at {size.tier_words}" if size.trades_at else ""
    return f"{size.notional:>11,.0f} {currency}  {figures}  {size.why_not or 'trades'}{tiers}"


def _pair_line(shown: Snapshot, index: int) -> str:
    one = shown.pairs[index]
    uneven = "" if one.unhedged_s is None else f"UNEVEN for {one.unhedged_s:.1f} s, "
    # A chain has no two sides: all that it holds stands in the first.
    held = f"{uneven}holds {' and '.join(filter(None, (one.bought, one.sold)))}, expected {bps(one.net_bps)} bps"
    return f"{one.pair}  {one.route}  {one.state} for {duration(shown.now_ns - one.opened_ns)}, {held}"


def _venue(standing: VenueStanding) -> Iterator[str]:
    yield f"{standing.venue}  {standing.refused or standing.blocked or 'takes new pairs'}"
    for line in standing.budgets:
        if line.used or line.held_s or line.waiting:
            held = f", held for {line.held_s:.0f} s" if line.held_s else ""
            waiting = f", {line.waiting} wait" if line.waiting else ""
            yield f"  {line.name}  {line.used} of {line.limit} in {line.window_s:g} s{held}{waiting}"


def _job(job: JobRow) -> str:
    due = "" if job.next_ns is None else f", next {time_of_day(job.next_ns)} UTC"
    fared = f"{job.runs} runs, {job.failures} failed, {job.missed} missed"
    return f"{job.name}  {job.state}, {fared}{due}  {job.detail}".rstrip()


def _shipper(shipper: ShipperRow) -> Iterator[str]:
    yield f"{shipper.target}  {shipper.state}, {seconds(shipper.lag_s)} behind  {shipper.message}".rstrip()
    for source in shipper.sources:
        yield f"{source.name}  {count(source.rows_waiting)} rows wait, {count(source.rows_missing)} missing"
