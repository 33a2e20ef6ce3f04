"""Everything the engine knows of one instrument of this run."""

from collections import Counter
from typing import TYPE_CHECKING

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms, on_schedule
from bot.domain.instrument import Instrument
from bot.domain.market import FundingRate, TopOfBook
from bot.domain.order_book import OrderBook
from bot.market.clock_offset import ClockOffset, FeedDelay
from bot.market.funding_history import FundingHistory
from bot.market.quote_gate import QuoteGate
from bot.market.rolling_statistics import RollingStatistics
from bot.market.trade_window import TradeWindow
from bot.market.window import Window
from bot.pricing.crossing_index import ALWAYS, Member
from bot.settings import QuoteGateSettings, WindowSettings

if TYPE_CHECKING:
    from bot.engine.route_state import RouteState

HOUR_NS = 3_600_000_000_000
ASSUMED_INTERVAL_H = 8.0
"""The usual interval, where a venue's message names none; a figure that rests on it is shown as ASSUMED."""
MARK_NS = 60_000_000_000
"""Nothing is valued at a price that came longer ago: after a restart a window's newest quote may be hours old."""


class InstrumentSlot:
    """One instrument: its window, gate, statistics and what trading it costs. Implements `bot.ports.InstrumentView`."""

    __slots__ = (
        "ask_all",
        "book",
        "book_ns",
        "clock_offset",
        "dirty",
        "event_age_ns",
        "feed",
        "feed_delay",
        "fees",
        "funding",
        "funding_assumed",
        "funding_bps_per_h",
        "funding_rates",
        "funding_terms",
        "gate",
        "hot",
        "index",
        "instrument",
        "latency_s",
        "margin_ratio",
        "members",
        "next_funding_ns",
        "quote",
        "raw",
        "received",
        "recv_ns",
        "refused",
        "refused_counts",
        "routes",
        "sequence",
        "spans",
        "statistics",
        "takes_orders",
        "trades",
        "window",
    )

    def __init__(
        self,
        index: int,
        instrument: Instrument,
        *,
        gate: QuoteGateSettings,
        window: WindowSettings,
        clock_offset: ClockOffset,
        feed_delay: FeedDelay,
        fees: FeeSchedule | None,
        funding_assumed_bps_per_8h: float | None,
        latency_s: float | None = None,
        margin_ratio: float | None = None,
        takes_orders: bool = True,
    ) -> None:
        self.index = index
        self.instrument = instrument
        self.feed = instrument.feed
        grid = float(instrument.tick_size), float(instrument.lot_size)
        self.window = Window(hold_h=window.hold_h, rolling_s=window.rolling_s, grid=grid)
        self.trades = TradeWindow(hold_h=window.hold_h, grid=grid)
        """Public trades of the last hours; empty where nobody subscribes to them."""
        self.funding_rates = FundingHistory(hold_h=window.hold_h, tick=grid[0])
        """What the venue announced in the last hours; `funding` is what it says now."""
        self.gate = QuoteGate(gate)
        self.statistics = RollingStatistics(span_s=window.rolling_s)
        self.spans: dict[float, RollingStatistics] = {}
        """The same over other spans, which strategies asked for; what happens to `statistics` happens to each."""
        self.clock_offset = clock_offset
        self.feed_delay = feed_delay
        self.fees = fees
        self.funding: FundingRate | None = None
        self.funding_bps_per_h = None if funding_assumed_bps_per_8h is None else funding_assumed_bps_per_8h / 8
        self.funding_assumed = funding_assumed_bps_per_8h is not None
        self.funding_terms: FundingTerms | None = None
        """The venue's own schedule and bounds; they go before a rate without them."""
        self.latency_s = latency_s
        """From a decision to an order's meeting the book; None where it was never measured."""
        self.margin_ratio = margin_ratio
        self.takes_orders = takes_orders
        self.next_funding_ns: int | None = None
        self.quote: TopOfBook | None = None
        """The newest quote; None before the first and while the newest was refused."""
        self.recv_ns = 0
        self.event_age_ns: int | None = None
        self.raw: bytes | None = None
        """Payload of the newest accepted quote: it holds the digits that the venue printed; empty from a tape."""
        self.book: OrderBook | None = None
        """What stands behind the quote, while it is known to be right."""
        self.book_ns = 0
        """When its newest change was received."""
        self.sequence = -1
        self.received = 0
        self.refused: str | None = None
        self.refused_counts: Counter[str] = Counter()
        self.routes: list[RouteState] = []
        self.dirty = False
        self.ask_all = True
        """A quote came or went, or a cost has changed: the next quote asks every route."""
        self.hot: list[RouteState] = []
        """Routes that every quote asks, whether or not a price moves; in the order of `routes`."""
        self.members: tuple[Member, ...] = (ALWAYS,)
        """Its places in the groups of the route index."""

    def statistics_over(self, span_s: float) -> RollingStatistics:
        """Statistics over another span than the settings' one; they begin when they are asked for first."""
        found = self.spans.get(span_s)
        if found is None:
            found = self.spans[span_s] = RollingStatistics(span_s=span_s)
        return found

    def on_funding(self, funding: FundingRate) -> None:
        """Take the venue's rate; it replaces an assumption."""
        self.funding = funding
        self.funding_terms = on_schedule(funding, self.funding_terms)
        interval_h = funding.interval_h or ASSUMED_INTERVAL_H
        self.funding_bps_per_h = funding.rate * 1e4 / interval_h
        self.funding_assumed = funding.interval_h is None

    def begin_gaps(self, since_ns: int, reason: str) -> None:
        """Rows may be missing since the newest ones, but since no earlier than `since_ns`."""
        for history in (self.window, self.trades, self.funding_rates):
            history.begin_gap(max(history.last_recv_ns + 1, since_ns), reason)

    def end_gaps(self, now_ns: int) -> None:
        """What is traded and announced from now on comes; a quote is known when the next one does."""
        self.trades.end_gap(now_ns)
        self.funding_rates.end_gap(now_ns)

    def newest(self, now_ns: int) -> TopOfBook | None:
        """The quote that stands, else the last good one; None where that came longer ago than `MARK_NS`."""
        if self.quote is not None:
            return self.quote
        return None if now_ns - self.window.last_recv_ns > MARK_NS else self.window.last()

    def tell_index(self) -> None:
        """Its prices again, to the route index: weights have changed, or quotes came another way than one by one."""
        for member in self.members:
            if self.quote is None:
                member.withdraw()
            else:
                member.moved(self.quote.bid_price, self.quote.ask_price)

    def known_age_ns(self) -> int | None:
        """How old the newest quote was on arrival, by all that is known now.

        After a stall the first quotes without a time of their own come before the frame that dates them.
        """
        return self.feed_delay.age_ns(self.recv_ns) if self.event_age_ns is None else self.event_age_ns

    def event_time_ns(self) -> int:
        """When the venue made the newest accepted quote, UTC ns; our corrected receive time where it did not say."""
        if self.quote is not None and self.quote.ts_event_ns is not None:
            return self.quote.ts_event_ns
        return self.recv_ns + (self.clock_offset.offset_ns or 0)
