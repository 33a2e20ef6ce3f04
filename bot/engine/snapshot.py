"""The engine as the terminal UI and other readers see it."""

from collections.abc import Callable
from typing import Any

from bot.domain.instrument import Feed
from bot.domain.market import PrintedQuote, combined_view
from bot.domain.shadow import ShadowStatus
from bot.domain.snapshot import FeedRow, RouteRow, Snapshot, SurfaceRow, TopRow, UpkeepStatus
from bot.domain.standing import VenueStanding
from bot.engine.engine import Engine
from bot.engine.halt_words import causes_by_name, halt_words, reducing_words
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.engine.standing import limit_rows, pair_rows
from bot.risk.limits import KNOWN

Printed = Callable[[Feed, bytes], PrintedQuote]


_NO_UPKEEP = UpkeepStatus()


def take_snapshot(
    engine: Engine,
    now_ns: int,
    printed: Printed,
    *,
    progress: float | None,
    finished: bool,
    comparison: str = "",
    upkeep: UpkeepStatus = _NO_UPKEEP,
    surface: tuple[SurfaceRow, ...] = (),
    venues: tuple[VenueStanding, ...] = (),
    paused: tuple[str, ...] = (),
    are_pauses_kept: bool = True,
    is_halt_kept: bool = False,
    shadow: ShadowStatus | None = None,
) -> Snapshot:
    """The engine now.

    Args:
        engine: Whose state is shown.
        now_ns: The engine's clock.
        printed: The venue's digits of a payload.
        progress: 0 to 1 through a recording; None where there is no end.
        finished: Whether the run is over.
        comparison: What another day earns, in one line.
        upkeep: Jobs and the way to MongoDB.
        surface: Break-even of the routes over a ladder of sizes.
        venues: How we stand with the venues that orders are sent to.
        paused: What a person has paused (`Snapshot.paused`).
        are_pauses_kept: Whether a restart knows of that.
        is_halt_kept: Whether the halt holds after a restart too.
        shadow: How the real orders beside paper ones stand; None: there are none.
    """
    desk = engine.desk
    engine.look()
    return Snapshot(
        run_id=engine.run.run_id,
        strategy=engine.run.strategy,
        market=engine.run.market,
        real_money=engine.run.real_money,
        state="FINISHED" if finished else desk.gate.state.value,
        now_ns=now_ns,
        started_ns=engine.started_ns,
        progress=progress,
        realised=desk.ledger.realised(),
        unrealised=desk.unrealised(),
        open_pairs=desk.portfolio.open_pairs(),
        taken=engine.decisions.taken,
        refused=dict(engine.decisions.refused),
        closed=dict(engine.decisions.closed),
        reducing=causes_by_name(desk.gate),
        headline=halt_words(desk.gate, is_kept=is_halt_kept) or reducing_words(desk.gate) or headline(engine),
        comparison=comparison,
        tops=tuple(_top_row(slot, now_ns, printed) for slot in engine.slots),
        routes=tuple(_route_row(state) for state in engine.routes),
        feeds=tuple(_feed_rows(engine, now_ns)),
        surface=surface,
        venues=venues,
        pairs=pair_rows(engine),
        dust=dict(desk.executor.dust.amounts),
        limits=limit_rows(engine, now_ns),
        views=combined_views(engine, printed),
        upkeep=upkeep,
        paused=paused,
        are_pauses_kept=are_pauses_kept,
        is_halt_kept=is_halt_kept,
        shadow=shadow,
        log=(),
    )


def headline(engine: Engine) -> str:
    """The break-even of the route that comes nearest: "needs 21.0 bps, best now 0.8"."""
    priced = [(net, state) for state in engine.routes if (net := state.watch.net_bps) is not None]
    if priced:
        _, nearest = max(priced, key=lambda pair: pair[0])
        assumed = " (in part ASSUMED)" if nearest.watch.assumed else ""
        return f"needs {nearest.watch.needed_bps:.1f} bps{assumed}, best now {nearest.watch.gross_bps:.1f}"
    if not engine.routes:
        return "no route: no two instruments share base and quote currency"
    least = min((bps for state in engine.routes if (bps := state.watch.least_needed_bps) is not None), default=None)
    known = "" if least is None else f"needs {least:.1f} bps for fees alone; "
    why = next((words for state in engine.routes if (words := why_not(state))), "")  # one that trades has no reason
    return f"{known}no price yet{f': {why}' if why else ''}"


def why_not(state: RouteState) -> str:
    """The one limit in a route's way, in words; empty while it trades. A person's pause goes before all others."""
    if state.is_paused:
        return "paused: it is being closed" if state.is_leaving and not state.is_free else "paused by a person"
    if not state.is_free or state.reason is None:
        return ""
    limit = state.watch.assess()
    if limit is not None:
        return limit_in_words(limit, *state.watch.figures(limit))
    return limit_in_words(state.reason, *state.observed) if state.observed is not None else state.reason


def limit_in_words(limit: str, observed: float, allowed: float, unit: str) -> str:
    """A limit that refused, for a person: "net edge -17.4 bps, at least 1 needed"."""
    match limit:
        case "net_edge":
            return f"net edge {observed:.1f} {unit}, at least {allowed:g} needed"
        case "no_quote":
            return "no quote on either side" if observed == 0 else "one side has no quote"
        case "warm_up":
            return f"warming up: {max(0.0, allowed - observed):.0f} {unit} to go of {allowed:g}"
        case "fee_schedule":
            return "fees of a side are not known: set them under fees"
        case "funding_rate":
            return "funding of a side is not known: set funding.<venue>.<segment>.assumed_bps_per_8h"
        case "network":
            return "a transfer's networks are not known: venues tell them to accounts alone"
        case "fill_probability" | "latency" | "volatility" | "transfer_time":
            return f"{limit.replace('_', ' ')} is not known"
        case "paused":
            return "paused by a person"
        case "cooldown":
            return f"resting: {observed:.1f} {unit}"
        case "rounding":
            return f"whole lots leave too much over on the way: {_digits(observed)} beyond its costs, at least 0 needed"
        case "size":
            return f"size {observed:.4g} {unit}, at least {allowed:.4g} needed"
    if limit.startswith("state_"):
        return f"{limit.removeprefix('state_').upper()}: nothing new is opened"
    if limit.startswith("network "):  # it says itself which one, and at which end
        return limit.removeprefix("network ")
    if limit.startswith("transfer "):
        return f"{limit}: {unit}"
    if limit.startswith("venue_blocked "):
        return f"{limit.removeprefix('venue_blocked ')}: {unit}"
    words = limit.replace("_", " ")
    if unit == KNOWN:
        return f"{words} is not known"
    wanted = f"at most {_digits(allowed)} allowed" if observed > allowed else f"at least {_digits(allowed)} needed"
    return f"{words} {_digits(observed)} {unit}, {wanted}"


def _digits(figure: float) -> str:
    """Five digits, and never an exponent where a person reads an amount."""
    return f"{figure:.0f}" if 1e5 <= abs(figure) < 1e15 else f"{figure:.5g}"


def combined_views(engine: Engine, printed: Printed) -> dict[str, dict[str, Any]]:
    """By unified symbol: every venue's top of book with the venue's digits, as it is shown to programs."""
    by_symbol: dict[str, list[InstrumentSlot]] = {}
    for slot in engine.slots:
        if slot.raw:  # a tape has no payloads
            by_symbol.setdefault(slot.instrument.symbol, []).append(slot)
    return {
        symbol: combined_view(
            max(slot.event_time_ns() for slot in slots) // 1_000_000,
            {slot.instrument.venue: printed(slot.instrument.feed, slot.raw) for slot in slots if slot.raw},
        )
        for symbol, slots in by_symbol.items()
    }


def _top_row(slot: InstrumentSlot, now_ns: int, printed: Printed) -> TopRow:
    quote = printed(slot.instrument.feed, slot.raw) if slot.raw else None
    last = slot.quote
    return TopRow(
        venue=slot.instrument.venue,
        symbol=slot.instrument.symbol,
        feed=str(slot.instrument.feed),
        bid=quote.top_bid if quote else None,
        bid_qty=quote.top_bid_quantity if quote else None,
        ask=quote.top_ask if quote else None,
        ask_qty=quote.top_ask_quantity if quote else None,
        spread_bps=last.spread_bps if last else None,
        age_ms=(now_ns - slot.recv_ns) / 1e6 if quote else None,
        status=slot.refused or ("ok" if last else "waiting"),
    )


def _route_row(state: RouteState) -> RouteRow:
    gross, needed = state.watch.gross_bps, state.watch.needed_bps
    pair, chain = state.pair, state.chain
    held = None if pair is None else f"{min(abs(pair.buy.held), abs(pair.sell.held)).normalize():f}"
    return RouteRow(
        route=state.route.id,
        kind=state.route.kind,
        buy=state.route.buy.id,
        sell=state.route.sell.id,
        gross_bps=gross,
        needed_bps=needed,
        net_bps=state.watch.net_bps,
        best_gross_bps=state.watch.best_gross_bps,
        why_not=why_not(state) if chain is None or state.is_paused else chain.words(),
        open_quantity=held if chain is None else f"{chain.opportunity.quantity:f}",
        assumed=state.watch.assumed,
        paused=state.is_paused,
    )


def _feed_rows(engine: Engine, now_ns: int) -> list[FeedRow]:
    rows = []
    for feed, health in engine.feeds.items():
        slots = [slot for slot in engine.slots if slot.instrument.feed == feed]
        last_ns = max((slot.recv_ns for slot in slots), default=0)
        offset = engine.clock_offsets[feed.venue].offset_ns
        rows.append(
            FeedRow(
                feed=str(feed),
                state=health.state.value,
                quotes=sum(slot.received for slot in slots),
                quotes_per_s=health.quotes_per_s,
                refused=sum(slot.refused_counts.total() for slot in slots),
                malformed=health.malformed,
                reconnects=health.reconnects,
                last_frame_age_ms=(now_ns - last_ns) / 1e6 if last_ns else None,
                clock_offset_ms=None if offset is None else offset / 1e6,
            )
        )
    return rows
