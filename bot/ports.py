"""What the machine needs from others, as Protocols; `main.py` hands the parts to each other.

A **slot** is the small integer under which the engine knows one instrument of this run: the path from bytes to
decision indexes lists with it instead of hashing names.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bot.clock import Clock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import TransferLeg
from bot.domain.market import FundingRate, PrintedQuote, PublicTrade, TopOfBook
from bot.domain.network import AssetNetwork
from bot.domain.order import Fill, Order, Side
from bot.domain.route import Opportunity, Route
from bot.domain.terms import Listing, Told, WalletMove
from bot.settings import Settings


class FeedState(StrEnum):
    """How a feed's connection is."""

    CONNECTING = "connecting"
    LIVE = "live"
    """Data frames arrive."""
    SILENT = "silent"
    """Connected, and nothing has come for longer than the silence limit."""
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    """Given up: a person has to act."""
    CLOSED = "closed"


class MarketSink(Protocol):
    """Where decoded market data goes. All calls come on one thread, in receive order.

    Every frame of a read batch is delivered, then `on_batch_end` once: decisions are taken there.
    """

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """A top of book; `raw` is a payload from which the venue can print its digits again."""

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """A public trade."""

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """A funding rate."""

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """A frame other than a timed quote told the venue's time: it dates quotes that carry none."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """A frame that does not decode; it was skipped."""

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection changed; `detail` is one line for a person."""

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """The venue's clock minus ours, measured by a request; right to ± half the round trip."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Everything that was there to read has been delivered."""


class FrameDecoder(Protocol):
    """Turns one feed's raw payloads into calls on a sink; live, recorded and simulated markets share it."""

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Decode one payload. Never raises for what the venue sent: malformed payloads go to the sink."""


class MarketReader(Protocol):
    """A live connection to one venue's market data."""

    async def start(self) -> None:
        """Connect and subscribe; returns when every stream has delivered a data frame or its failure is known."""

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""


class FrameTap(Protocol):
    """Sees every raw frame of a feed before it is decoded (raw recording)."""

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        """Keep it; returns at once."""


class VenueModule(Protocol):
    """What a folder of `exchanges/` offers to `main.py`."""

    id: str

    def feeds(self) -> Sequence[Feed]:
        """The feeds that this venue has a decoder for."""

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of one feed; `slots` maps the venue's own symbols (`BTCUSDT`) to slots."""

    def quoted_symbol(self, raw: bytes) -> str | None:
        """The venue's symbol if `raw` is a top-of-book frame, else None; cheap, for scanning recordings."""

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By venue symbol: metadata known without asking the venue."""

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """The venue's public lowest tier; None where it is not known."""


class Statistics(Protocol):
    """Rolling statistics of one instrument, time-weighted over the last minutes."""

    @property
    def covered_s(self) -> float:
        """Seconds that they rest on."""

    @property
    def mean_mid(self) -> float | None:
        """Quote units; None while no time is covered."""

    @property
    def mean_spread_bps(self) -> float | None:
        """(ask − bid) / mid; None while no time is covered."""

    @property
    def volatility_bps_per_sqrt_s(self) -> float | None:
        """Standard deviation of the mid's log return in one second; None before the first return."""


class InstrumentView(Protocol):
    """What a strategy sees of one instrument; always current, never copied."""

    @property
    def instrument(self) -> Instrument:
        """What it is."""

    @property
    def quote(self) -> TopOfBook | None:
        """The newest quote; None before the first one and after a refused one."""

    @property
    def statistics(self) -> Statistics:
        """The last six minutes."""

    def statistics_over(self, span_s: float) -> Statistics:
        """The same over another span, which begins when it is asked for first. Ask each time: they may be made anew."""

    @property
    def fees(self) -> FeeSchedule | None:
        """What trading it costs; None where that is not known."""

    @property
    def funding_bps_per_h(self) -> float | None:
        """What a long pays per hour, in bps; None where it is not known."""

    @property
    def funding_assumed(self) -> bool:
        """True where the funding is a setting and not what the venue said."""

    @property
    def funding_terms(self) -> FundingTerms | None:
        """The venue's own schedule, rate and bounds; None where `funding_bps_per_h` is all that is known."""

    @property
    def latency_s(self) -> float | None:
        """From a decision to an order's meeting the book; None where it was never measured."""

    @property
    def margin_ratio(self) -> float | None:
        """Part of a derivative's notional that its wallet must have; None where it is not known."""

    @property
    def takes_orders(self) -> bool:
        """Whether this version can send orders to its venue."""


@dataclass(frozen=True, slots=True)
class TransferEstimate:
    """What moving an asset over one network takes."""

    mean_s: float
    """From the sale's being possible here to its being possible there, mean."""
    p95_s: float
    """In 19 of 20 cases it takes no longer."""
    fee: float
    """Fixed, in units of the asset."""
    fee_ratio: float = 0.0
    """Of the amount, on top."""
    network: str | None = None
    """Which network it is of."""
    least: float = 0.0
    """What must leave the wallet at least, fee included; in units of the asset, as `most` that may at once."""
    most: float | None = None
    """None where the venue names no most."""

    def takes(self, amount: float) -> bool:
        """Whether so much can be sent at once."""
        return self.least <= amount and (self.most is None or amount <= self.most)


class TermsSource(Protocol):
    """One venue as the engine asks it for its terms. Every question may raise `VenueError`."""

    venue: str

    async def fees(self) -> Told[FeeSchedule] | None:
        """By instrument id, of this account; None where there is no key to ask with."""

    async def funding(self) -> Told[FundingTerms]:
        """By the id of every perpetual."""

    async def listings(self) -> Told[Listing]:
        """By instrument id: status and delivery, as they are now."""

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        """By asset; None where there is no key to ask with."""

    async def moves(self) -> Sequence[WalletMove]:
        """Withdrawals and deposits of the last weeks that have ended; none where there is no key to ask with."""


class RouteTerms(Protocol):
    """What is known about moving money between venues."""

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        """Of this transfer, the cheapest network where the leg names none; None: not known, or closed at an end."""


class NoTerms:
    """Nothing is known. Implements `RouteTerms`: every route with a transfer is refused."""

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        """Not known."""
        return None


@dataclass(frozen=True, slots=True)
class Holding:
    """An open pair, as a strategy sees it."""

    opened_ns: int
    entry_gross_bps: float
    """Realised: average sell price over average buy price."""
    fees_bps: float
    """Fees paid to open and expected to close, in bps of the buy notional."""
    entry_price: float | None = None
    """What a round trip was opened at, on average; None of a pair on two instruments."""


@dataclass(frozen=True, slots=True)
class ExitBounds:
    """When an open pair may be closed: while neither edge is reached and the time has not come, it is kept."""

    low_bps: float
    """At or below this edge of leaving (what is bought back over what is sold), or"""
    high_bps: float
    """at or above this one, or"""
    deadline_ns: int
    """from this time on."""


class RouteWatch(Protocol):
    """A strategy's observer of one route."""

    route: Route
    gross_bps: float | None
    """Offered at the newest quotes; None while a side has none."""
    best_gross_bps: float | None
    """The highest that was seen: each second, and whenever a quote might bring a route of the same asset nearer to
    being taken than any has been. So the nearest of the run is exact."""

    @property
    def needed_bps(self) -> float | None:
        """The gross edge at which the route breaks even; None while a cost is unknown."""

    @property
    def least_needed_bps(self) -> float | None:
        """What is known to be needed while `needed_bps` is not; None where not even the fees are known."""

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""

    @property
    def net_bps(self) -> float | None:
        """What is offered less every cost, at those prices; None while either is unknown."""

    @property
    def take_at_bps(self) -> float:
        """The gross edge from which the route is worth taking; infinite while a cost is unknown."""

    @property
    def take_ratio(self) -> float | None:
        """The last price of `route.priced` over the first from which `assess` answers otherwise than below it.

        Infinite where no prices do; None where more than these two decide. An index asks by it who has to be asked.
        """

    @property
    def rate(self) -> float:
        """Units of the first trade's currency for one of the last trade's: the gross edge has both in one."""

    def exit_bounds(self, holding: Holding) -> ExitBounds | None:
        """Outside these `close_reason` may answer, inside it is None until costs are summed anew; None: not known."""

    def refresh(self, now_ns: int) -> None:
        """Slow inputs (fees, funding, statistics) may have changed."""

    def assess(self) -> str | None:
        """None when the route should be taken at the newest quotes, else the one limit in the way.

        It rests on prices and costs alone: a quote that moves only a size may not be asked about.
        """

    def figures(self, limit: str) -> tuple[float, float, str]:
        """What the limit that `assess` named observed and allows, and the unit."""

    def opportunity(self, ts_ns: int, quantity: Decimal, averages: Sequence[float] | None = None) -> Opportunity:
        """The route priced at the newest quotes, after `assess` said None.

        Args:
            ts_ns: Of the decision.
            quantity: Base units of the first trade.
            averages: The average price that this quantity gets from the order book, for each of `route.priced`;
                None: the top of the book takes it all.
        """

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        """Why an open pair should be closed now; None to keep it."""


@runtime_checkable
class RoundTripWatch(RouteWatch, Protocol):
    """An observer of a round trip (`Route.is_round_trip`): says at which prices its post-only orders rest.

    An entry that nobody came for is priced anew. What was filled goes out by an order that rests at the other price
    of its opportunity, or at once after `close_reason`. One order of a route rests at a time.
    """

    rest_s: float
    """An entry rests at one price for at least so long."""
    order_notional: float
    """Wanted size of the entry, quote units."""

    def limits(self) -> tuple[float, float]:
        """The prices at which it would buy and sell at the newest quote, off the grid; after `assess` said None."""


class Strategy(Protocol):
    """Decides; performs nothing."""

    name: str
    cooldown_s: float
    """Rest of a route after a pair ended."""

    def routes(self, instruments: Sequence[Instrument]) -> Sequence[Route]:
        """Every route to watch over these instruments."""

    def watch(self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms) -> RouteWatch:
        """An observer of one of those routes; `views` are all instruments of the run, by their ids."""


class LiveVenueModule(VenueModule, Protocol):
    """A venue that can also be connected to."""

    def reader(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        tap: FrameTap | None = None,
    ) -> MarketReader:
        """A live connection to one feed; nothing happens before its `start`."""

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask the venue for the instruments with these unified symbols; the answer is by the venue's symbol."""


@dataclass(frozen=True, slots=True)
class MarketEnd:
    """How a market ended."""

    complete: bool
    """Whether everything that should have been read was."""
    reasons: tuple[str, ...] = ()
    """Why not, a line each."""
    stopped: bool = False
    """Whether a person ended it."""


class Market(Protocol):
    """Where quotes come from: recordings, or live venues."""

    name: str
    """`recorded`, `live`: stands on every screen and report."""
    instruments: Sequence[Instrument]
    by_feed: Mapping[Feed, Mapping[str, Instrument]]
    """The same by feed and the venue's own symbol."""
    tap: FrameTap | None
    """Sees every raw frame, if it is set before `run`."""
    published_fees: Mapping[Feed, FeeSchedule]
    """What the venues publish as their lowest tier."""

    @property
    def clock(self) -> Clock:
        """Whose time and timers move the run."""

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""

    def progress(self) -> float | None:
        """0 to 1; None where there is no end."""

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Deliver to `sink` until the market ends or `stop` is set."""


class OrderListener(Protocol):
    """Hears what becomes of orders."""

    def on_order(self, order: Order) -> None:
        """An order's state changed."""

    def on_fill(self, fill: Fill) -> None:
        """Part of an order was done; delivered before the order state that includes it."""


class Actions(Protocol):
    """What changes the account. Calls return at once; results come to the listener."""

    def submit(self, order: Order) -> None:
        """Send an order whose intent is durable. Every submitted order ends in a terminal `on_order`."""

    def cancel(self, order: Order) -> None:
        """Ask to cancel it; a terminal order is left as it is."""

    def balances(self) -> Sequence[Balance]:
        """Every wallet as it is known now."""

    def positions(self) -> Sequence[Position]:
        """Every derivative position that is not flat."""

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """How large an order on this side the wallet covers, in quote units, fees not counted."""


class QuoteDrivenVenue(Actions, Protocol):
    """A venue as the engine drives it: the paper venue fills from the quotes it is shown, others from their own."""

    listener: OrderListener | None
    on_funding: Callable[[FundingPayment], None] | None
    """Hears of payments that the venue settles by its own clock."""

    async def start(self) -> None:
        """Connect; orders may be submitted afterwards."""

    async def stop(self) -> None:
        """Disconnect."""

    def on_quote(self, slot: int, quote: TopOfBook) -> None:
        """A quote that passed the gate."""

    def on_quote_refused(self, slot: int) -> None:
        """The instrument has no valid quote until the next one."""

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark_price: Decimal) -> FundingPayment | None:
        """Settle funding now; None where nothing is held, and where the venue settles by its own clock."""


class RecordKind(StrEnum):
    """What the journal keeps."""

    RUN = "run"
    """Written at the start (`key` = run id) and again at the end, with the summary."""
    DECISION = "decision"
    PAIR = "pair"
    """State of a pair: opening, open, closing, closed, missed, failed."""
    ORDER = "order"
    """An order in a new state; the first is the intent, durable before it is sent."""
    FILL = "fill"
    FUNDING = "funding"
    """A funding payment on one of our positions."""
    BALANCE = "balance"
    JOB = "job"
    """A job of the timetable had its turn."""
    EVENT = "event"
    """Something a person should know: feed trouble, halts, malformed data."""


class Journal(Protocol):
    """The truth about this run, on disk. Appending never waits; acting on a record waits for `when_durable`."""

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """Append one record; `body` is plain data, or builds it later, off the engine's thread."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the engine's thread once everything recorded so far is fsynced."""

    def close(self) -> None:
        """Make everything durable and let go of the file."""
