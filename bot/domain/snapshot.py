"""What the engine shows of itself: the terminal UI and `--json` readers see this and nothing else."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.shadow import ShadowStatus
from bot.domain.standing import VenueStanding


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class TopRow(_Shown):
    """Top of book of one instrument."""

    venue: str
    symbol: str
    """Unified."""
    feed: str
    bid: str | None
    """With the venue's digits; None before the first quote."""
    bid_qty: str | None
    ask: str | None
    ask_qty: str | None
    spread_bps: float | None
    age_ms: float | None
    """Since it was received."""
    status: str
    """`ok`, or the reason why the newest quote was refused."""


class RouteRow(_Shown):
    """One route, what it needs and what is offered."""

    route: str
    kind: str
    buy: str
    sell: str
    gross_bps: float | None
    """Offered now; None while a side has no quote."""
    needed_bps: float | None
    """Break-even edge: every cost; None while a cost is unknown."""
    net_bps: float | None
    best_gross_bps: float | None
    """Best offered in this run."""
    why_not: str
    """The one limit in the way, in words; empty when it trades."""
    open_quantity: str | None
    """Base units of an open pair."""
    assumed: bool
    """A cost is a setting and not what the venue said (shown as ASSUMED)."""
    paused: bool = False
    """A person wants nothing new of it."""


class CostRow(_Shown):
    """One cost of a route by name, bps of the first trade's money; positive is bad."""

    name: str
    bps: float
    assumed: bool


class SizeRow(_Shown):
    """What one size of a route needs, what is offered for it, and what is in the way."""

    notional: float
    """Quote units of the first trade."""
    quantity: str
    """Base units, on the grid; 0: the size cannot be traded."""
    offered_bps: float | None
    """At the average prices of this size; None where it is not on offer."""
    needed_bps: float | None
    """Break-even: every cost; only the fees where not all are known."""
    missing_bps: float | None
    """What the offer falls short of the least net edge; not above zero: it is enough."""
    net_bps: float | None
    costs: tuple[CostRow, ...]
    limit: str
    """The one limit in the way, by name; empty: it would be taken."""
    why_not: str
    """The same in words."""
    trades_at: dict[str, str]
    """Feed -> fee tier: the lowest ones at which it would trade; empty where it does already, or none would do."""
    then: str
    """What would be in the way at those tiers, in words."""

    @property
    def tier_words(self) -> str:
        """`bybit.linear VIP 1, but for ...`; empty where no tier helps."""
        told = " and ".join(f"{feed} {tier}" for feed, tier in self.trades_at.items())
        return f"{told}, but for {self.then}" if told and self.then else told


class SurfaceRow(_Shown):
    """A route's break-even over a ladder of sizes."""

    route: str
    kind: str
    buy: str
    sell: str
    currency: str
    """Of the notionals."""
    ts_ns: int
    """When it was computed, by the engine's clock."""
    sizes: tuple[SizeRow, ...]


class PairRow(_Shown):
    """A pair that is not flat."""

    pair: str
    route: str
    state: str
    opened_ns: int
    quantity: str
    """Base units that were decided on."""
    bought: str
    """Signed base units that the bought side holds; of a chain, each asset that it holds on its way."""
    sold: str
    """What the sold side holds; empty for a chain."""
    net_bps: float
    """Expected when it was decided."""
    unhedged_s: float | None = None
    """For how long it is uneven, or may be for all that is known; None while it is even."""
    unhedged_notional: Decimal | None = None
    """How much of it, quote units."""


class LimitRow(_Shown):
    """One cap of the risk gate, and how much of it is used."""

    limit: str
    observed: float
    allowed: float
    unit: str


class FeedRow(_Shown):
    """Health of one feed."""

    feed: str
    state: str
    quotes: int
    quotes_per_s: float
    refused: int
    malformed: int
    reconnects: int
    last_frame_age_ms: float | None
    clock_offset_ms: float | None
    """The venue's clock minus ours."""


class JobRow(_Shown):
    """One job of the timetable; counts are of this run, times UTC ns of the wall clock."""

    name: str
    schedule: str
    state: str
    """waiting, running, or how the newest run ended: ok, failed, stopped."""
    runs: int
    failures: int
    missed: int
    """Turns that passed without a run."""
    last_ns: int | None
    """Start of the newest run, which may have been an earlier program's."""
    took_s: float | None
    """None while it runs, and before the first run."""
    next_ns: int | None
    detail: str
    """What it did, or why it failed, in a line."""


class ShipperSourceRow(_Shown):
    """Journal or archive on the way to MongoDB."""

    name: str
    rows_waiting: int
    lag_s: float
    """Age of the oldest row that waits; 0 where none does."""
    documents: int
    duplicates: int
    rows_missing: int
    """Removed by retention before they could be delivered."""
    aside: int
    """Segments that could not be read; they are tried again."""
    message: str


class ShipperRow(_Shown):
    """The way to MongoDB; holds no secret."""

    target: str
    state: str
    """starting, connected, away, refused, failed, stopped."""
    message: str
    lag_s: float
    """The largest of the sources'."""
    sources: tuple[ShipperSourceRow, ...]


class UpkeepStatus(_Shown):
    """What goes on beside trading or recording."""

    jobs: tuple[JobRow, ...] = ()
    shipper: ShipperRow | None = None
    """None: no MongoDB is filled."""


class LogLine(_Shown):
    """One line of the engine's log."""

    number: int
    """Grows by one; a reader knows what it has missed."""
    ts_ns: int
    level: Literal["info", "warning", "error"]
    text: str


class Snapshot(_Shown):
    """The engine at one moment."""

    run_id: str
    strategy: str
    market: str
    real_money: bool
    state: str
    """ACTIVE, REDUCING, HALTED, FINISHED."""
    reducing: dict[str, str] = {}
    """Why nothing new is opened, by cause (`person`, `disk`, `loop`, `account`), oldest first; beside a halt, too."""
    now_ns: int
    """The engine's clock: virtual in a recorded market."""
    started_ns: int
    progress: float | None = None
    """0 to 1 through the recordings; None where there is no end."""
    realised: dict[str, Decimal]
    """Net of fees and funding, per asset, of closed pairs."""
    unrealised: dict[str, Decimal]
    """Of open pairs, if they were closed now."""
    open_pairs: int
    taken: int
    refused: dict[str, int]
    closed: dict[str, int]
    headline: str
    """One line: "needs 21.0 bps, best now 0.8"; of a run that is REDUCING its causes, of one that is HALTED what
    ends that, and why it is."""
    comparison: str = ""
    """One line about what another day earns; empty where there is nothing to compare with."""
    tops: tuple[TopRow, ...]
    routes: tuple[RouteRow, ...]
    feeds: tuple[FeedRow, ...]
    surface: tuple[SurfaceRow, ...] = ()
    """The routes that were priced over the ladder of sizes so far, best first."""
    venues: tuple[VenueStanding, ...] = ()
    """How we stand with each venue that orders are sent to, and what its request limits have left."""
    pairs: tuple[PairRow, ...] = ()
    dust: dict[str, Decimal] = {}
    """By instrument id: signed base units that no venue takes as an order, kept for the next pair's closing."""
    limits: tuple[LimitRow, ...] = ()
    views: dict[str, dict[str, Any]] = {}
    """By unified symbol: the combined view of one instrument across venues (`bot.domain.market.combined_view`)."""
    upkeep: UpkeepStatus = UpkeepStatus()
    is_halt_kept: bool = False
    """The halt holds after a restart too: its flag is set, by a person or by the bot."""
    paused: tuple[str, ...] = ()
    """What a person has paused: ids of routes, also of earlier runs; an empty one stands for everything."""
    are_pauses_kept: bool = True
    """Whether that is on the disk by now: else a restart would not know of it."""
    shadow: ShadowStatus | None = None
    """The real orders beside paper ones; None: there are none."""
    log: tuple[LogLine, ...]
    """Lines since the last snapshot that this reader got."""
