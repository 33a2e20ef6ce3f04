"""What the scan keeps of each instrument: newest quote, funding and fees. Nothing is stored, nothing decided."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms, on_schedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState

READABLE = frozenset({FeedState.LIVE, FeedState.CONNECTING})
"""States in which a feed's quotes stand."""


class ScanView:
    """One instrument now. Implements `bot.ports.InstrumentView`; its statistics are those of the newest quote alone."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.quote: TopOfBook | None = None
        """None before the first, after one that nobody can trade at, and while its feed is away."""
        self.recv_ns = 0
        self.fees: FeeSchedule | None = None
        self.funding_terms: FundingTerms | None = None
        self.funding_bps_per_h: float | None = None
        self.funding_assumed = False
        self.latency_s: float | None = None
        self.margin_ratio: float | None = None
        self.takes_orders = True

    @property
    def statistics(self) -> "ScanView":
        """Of this moment."""
        return self

    def statistics_over(self, span_s: float) -> "ScanView":
        """Of this moment too."""
        return self

    @property
    def covered_s(self) -> float:
        """A moment."""
        return 0.0

    @property
    def mean_mid(self) -> float | None:
        """The middle now, quote units."""
        return None if self.quote is None else self.quote.mid

    @property
    def mean_spread_bps(self) -> float | None:
        """The spread now."""
        return None if self.quote is None else self.quote.spread_bps

    @property
    def volatility_bps_per_sqrt_s(self) -> float | None:
        """Not known."""
        return None


class ScanSink:
    """Keeps the newest of every instrument. Implements `bot.ports.MarketSink`."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        """Their place in this sequence is their slot."""
        self.views = [ScanView(instrument) for instrument in instruments]
        self.by_id = {view.instrument.id: view for view in self.views}
        self.states: dict[Feed, tuple[FeedState, str]] = {}
        self.quotes: Counter[Feed] = Counter()
        self.malformed: Counter[Feed] = Counter()

    def feed_state(self, feed: Feed) -> FeedState:
        """How its connections are."""
        return self.states.get(feed, (FeedState.CONNECTING, ""))[0]

    def take_funding(self, told: Mapping[str, FundingTerms]) -> None:
        """Schedules and rates as a venue told them, by instrument id; newer rates of a stream stay."""
        for name, terms in told.items():
            view = self.by_id.get(name)
            if view is None:
                continue
            known = view.funding_terms
            if known is None or known.ts_ns <= terms.ts_ns:
                view.funding_terms = terms

    def forget_funding(self, before_ns: int) -> None:
        """Rates that were told before are not known any more."""
        for view in self.views:
            if view.funding_terms is not None and view.funding_terms.ts_ns < before_ns:
                view.funding_terms = None

    # bot.ports.MarketSink

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Keep it, unless nobody can trade at it."""
        view = self.views[slot]
        self.quotes[view.instrument.feed] += 1
        view.quote = quote if _is_sound(quote) else None
        view.recv_ns = ts_recv_ns

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """Trades are not ranked."""

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """A rate of a stream; without a schedule that it fits it is not known."""
        view = self.views[slot]
        view.funding_terms = on_schedule(funding, view.funding_terms) or view.funding_terms

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """The venue's time is not needed here."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """Count it."""
        self.malformed[feed] += 1

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection changed; without one the feed's quotes are gone."""
        self.states[feed] = (state, detail)
        if state not in READABLE:
            for view in self.views:
                if view.instrument.feed == feed:
                    view.quote = None

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """Ages are counted from the receiving."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Nothing is decided."""


def _is_sound(quote: TopOfBook) -> bool:
    """Not crossed, and every number one that can be traded at; NaN fails each comparison."""
    return 0.0 < quote.bid_price < quote.ask_price < inf and 0.0 < quote.bid_qty < inf and 0.0 < quote.ask_qty < inf
