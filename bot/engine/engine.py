"""From a quote to a decision, without a queue, a task switch or a lock on the way.

    on_quote      gate -> window -> statistics; remembers which instruments moved
    on_batch_end  asks each route that they touch once: take it, leave it, or why not
    each second   statistics and costs anew, closing by time, funding, the daily loss

A quote that the gate refused leaves its instrument without a quote until a good one comes: nothing is decided on the
one before it. A decision is recorded when a route's outcome or reason changes.

Most quotes change a size and no price, and most prices move where nothing is to be had. Where every route of the
instrument has been refused, such a quote asks nobody: the answer would be the one that stands. A price at which some
route might be worth taking, a cost that is summed anew, an open pair or a route that is worth taking end that
(`bot.engine.route_index`); the decisions are those of an engine that asks every route at every quote.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.clock import Clock, Timer
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.domain.route import Decision
from bot.engine.books import BookDesk, FillsFromTrades
from bot.engine.decision_log import DecisionLog
from bot.engine.feed_desk import FeedDesk
from bot.engine.feed_health import FeedHealth
from bot.engine.pairs import PairDesk
from bot.engine.route_decider import RouteDecider
from bot.engine.route_index import RouteIndex
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.engine.transfer_way import TransferWay
from bot.engine.watches.bystander import Bystander
from bot.market.clock_offset import ClockOffset, FeedDelay
from bot.market.rolling_statistics import RollingStatistics
from bot.ports import FeedState, Journal, NoTerms, QuoteDrivenVenue, RecordKind, RouteTerms, Strategy
from bot.ports.transfers import Carrier
from bot.settings import Settings

TICK_S = 1.0
_TICK_NS = round(TICK_S * 1e9)
OUT_OF_ORDER = "out_of_order"
OUT_OF_RANGE = "out_of_range"
CLOCK_STEP = "clock_step"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Which run this is; stands on every record and report."""

    run_id: str
    strategy: str
    market: str
    real_money: bool
    settings_digest: str
    version: str


class Engine:
    """One run of one strategy over one market. Implements `bot.ports.MarketSink`."""

    def __init__(
        self,
        *,
        run: RunInfo,
        instruments: Sequence[Instrument],
        strategy: Strategy,
        venue: QuoteDrivenVenue,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        fees: Mapping[Feed, FeeSchedule],
        assumed_funding_bps_per_8h: Mapping[Feed, float],
        log: Callable[[str, str], None],
        show_decision: Callable[[Decision], None] | None = None,
        terms: RouteTerms | None = None,
        no_orders_at: Collection[str] = (),
        carrier: Carrier | None = None,
    ) -> None:
        """Build the engine; nothing happens before `start`.

        Args:
            run: Names the run.
            instruments: Their place in this sequence is their slot.
            strategy: Decides.
            venue: Takes the orders; it follows the quotes that the gate lets pass.
            journal: Keeps everything.
            clock: Time and timers: virtual in a recorded market.
            settings: Limits and spans.
            fees: Per feed; a feed without fees refuses its routes.
            assumed_funding_bps_per_8h: Per feed, for instruments whose rate nothing tells.
            log: Takes a level (`info`, `warning`, `error`) and one line.
            show_decision: Gets every decision.
            terms: What is known about moving money between venues; None: nothing.
            no_orders_at: Venues that are watched and priced, and that nobody can send orders to.
            carrier: Moves the amounts of chains between venues; None: nobody does.
        """
        self.run = run
        self.settings = settings
        self.fees = fees
        self._clock = clock
        self._journal = journal
        self._log = log
        self.started_ns = self.ticked_ns = 0
        """When it began, and its newest tick."""
        self._tick_timer: Timer | None = None
        self.bystanders: list[Bystander] = []
        """Who else has timers on its clock, and nothing to do while nothing happens."""
        self.clock_offsets = {instrument.venue: ClockOffset() for instrument in instruments}
        self.feeds = {instrument.feed: FeedHealth(instrument.feed) for instrument in instruments}
        self._delays = {feed: FeedDelay(self.clock_offsets[feed.venue]) for feed in self.feeds}
        self.slots = [
            InstrumentSlot(
                index,
                instrument,
                gate=settings.quote_gate,
                window=settings.window,
                clock_offset=self.clock_offsets[instrument.venue],
                feed_delay=self._delays[instrument.feed],
                fees=fees.get(instrument.feed),
                funding_assumed_bps_per_8h=assumed_funding_bps_per_8h.get(instrument.feed),
                latency_s=settings.paper.latency_ms / 1e3,
                margin_ratio=float(settings.paper.initial_margin_ratio),
                takes_orders=instrument.venue not in no_orders_at,
            )
            for index, instrument in enumerate(instruments)
        ]
        self.decisions = DecisionLog(journal, show_decision)
        self.terms = terms or NoTerms()
        """What is known about moving money."""
        self.routes = self._watch_routes(strategy, self.terms)
        self.desk = PairDesk(
            run_id=run.run_id,
            slots=self.slots,
            feeds=self.feeds,
            routes=self.routes,
            venue=venue,
            journal=journal,
            clock=clock,
            settings=settings,
            fees=fees,
            decisions=self.decisions,
            cooldown_s=strategy.cooldown_s,
            log=log,
            carrier=carrier,
        )
        self._feed_desk = FeedDesk(
            self.feeds, self.slots, self.routes, clock, settings, forget=self._forget_quote, event=self.event
        )
        self.books = BookDesk(self.slots, venue, self.event)
        """Takes the order books of the instruments."""
        self.desk.portfolio.transfer_way = TransferWay(carrier, self.terms)
        self.decider = RouteDecider(settings, self.desk, self.decisions)
        """Takes an edge that is there, or names the limit in the way."""
        self._index = RouteIndex(self.routes, self.slots)
        self._awake = False
        """This batch brought or took a quote, or moved a price to where some route might be worth taking: all that it
        touched is asked, in the order in which it came."""
        self._dirty: list[InstrumentSlot] = []
        self._show_to_venue = venue.on_quote
        self._show_trade = venue.on_trade if isinstance(venue, FillsFromTrades) else None
        self._tell_venue_refused = venue.on_quote_refused

    def _watch_routes(self, strategy: Strategy, terms: RouteTerms) -> list[RouteState]:
        by_id = {slot.instrument.id: slot for slot in self.slots}
        states = []
        for route in strategy.routes([slot.instrument for slot in self.slots]):
            buy, sell = by_id[route.buy.id], by_id[route.sell.id]
            watch = strategy.watch(route, by_id, terms)
            slots = [by_id[leg.instrument.id] for leg in route.priced]
            state = RouteState(route, watch, buy, sell, self.settings.execution.price_cap_bps, slots)
            for instrument in route.instruments:
                by_id[instrument.id].routes.append(state)
            states.append(state)
        return states

    def start(self) -> None:
        """Begin: the clock's time is the run's start."""
        self.started_ns = self.ticked_ns = self._clock.now_ns()
        self._feed_desk.start()
        self.desk.start()
        self._tick_timer = self._clock.call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """The run has ended: nothing is decided by time any more."""
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        self.desk.executor.stop()
        self.desk.chains.stop()

    # bot.ports.MarketSink

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Gate a quote and keep it; `on_batch_end` decides."""
        s = self.slots[slot]
        s.received += 1
        event_ns = quote.ts_event_ns
        age_ns = s.feed_delay.age_ns(ts_recv_ns) if event_ns is None else s.clock_offset.observe(event_ns, ts_recv_ns)
        sequence = quote.sequence
        # An equal sequence is the venue saying that nothing changed (Bybit, after 3 s); 1 is its restart.
        reason = OUT_OF_ORDER if sequence < s.sequence and sequence != 1 else s.gate.refuse(quote, ts_recv_ns, age_ns)
        if reason is None:
            try:
                moved = s.window.append(ts_recv_ns, quote)
            except OverflowError:
                reason = OUT_OF_RANGE
        if reason is not None:
            self._refuse(s, reason, ts_recv_ns)
            return
        s.sequence = sequence
        s.quote = quote
        s.raw = raw
        s.recv_ns = ts_recv_ns
        s.event_age_ns = age_ns
        s.refused = None
        statistics = s.statistics
        if moved or statistics.interrupted:
            if statistics.interrupted:
                s.ask_all = self._awake = True
            bid, ask = quote.bid_price, quote.ask_price
            statistics.update(ts_recv_ns, bid, ask)
            for over_span in s.spans.values():
                over_span.update(ts_recv_ns, bid, ask)
            for member in s.members:
                if member.moved(bid, ask):
                    self._awake = True
        self._show_to_venue(slot, quote)
        if not s.dirty:
            s.dirty = True
            self._dirty.append(s)

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Decide once about every route that the batch touched."""
        dirty = self._dirty
        if not dirty:
            return
        awake, self._awake = self._awake, False
        for s in dirty:
            s.dirty = False
            if awake or s.ask_all:
                s.ask_all = False
                self._ask(s.routes, ts_recv_ns)
                self._index.note(s)
            elif s.hot:
                self._ask(s.hot, ts_recv_ns)
        dirty.clear()

    def _ask(self, states: Sequence[RouteState], ts_ns: int) -> None:
        for state in states:
            if state.is_free:
                limit = state.watch.assess()
                if limit is None:
                    self._index.heat(state)
                    self.decider.consider(state, ts_ns)
                elif limit != state.reason:
                    self._index.heat(state)
                    self.decider.refuse(state, ts_ns, limit, state.watch.figures(limit))
                    state.is_opportunity = False
            else:
                limit = state.watch.assess()  # what is offered and the best of the run go on while a pair is open
                if state.holding is not None:
                    self.decider.consider_closing(state, ts_ns)
                elif limit is not None:
                    self.desk.edge_gone(state)

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """A public trade dates its feed; it is kept for a day."""
        s = self.slots[slot]
        self.feeds[s.feed].last_frame_ns = ts_recv_ns
        try:
            s.trades.append(ts_recv_ns, trade)
        except OverflowError as error:
            self.on_malformed(s.feed, b"", str(error))
            return
        if self._show_trade is not None:
            self._show_trade(slot, trade)

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """Take a funding rate; routes are priced anew at once."""
        s = self.slots[slot]
        self.feeds[s.feed].last_frame_ns = ts_recv_ns
        try:
            s.funding_rates.append(ts_recv_ns, funding)
        except OverflowError as error:
            self.on_malformed(s.feed, b"", str(error))
            return
        s.on_funding(funding)
        for state in s.routes:
            state.buy.ask_all = state.sell.ask_all = True
            state.watch.refresh(ts_recv_ns)
        self._index.changed(s.routes)

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """A frame told the venue's time: it dates quotes of its feed that carry none."""
        self.feeds[feed].last_frame_ns = ts_recv_ns
        self._delays[feed].observe(ts_event_ns, ts_recv_ns)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """Count a frame that does not decode, and say so."""
        self._feed_desk.malformed(feed, reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection changed; without one, the feed's instruments have no quote."""
        self._feed_desk.entered(feed, state, detail)

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """A measured clock offset bounds the estimate from the frames."""
        self.clock_offsets[venue].measured(offset_ns, round_trip_ns)
        latency_s = max(self.settings.paper.latency_ms / 1e3, round_trip_ns / 2e9)
        for s in self.slots:
            if s.instrument.venue == venue:
                s.latency_s = latency_s

    def on_clock_step(self, step_ns: int) -> None:
        """Our wall clock was set forward by `step_ns` (negative: back): what was dated by it is forgotten, or moves.

        No quote stands, no statistics reach back beyond the step, and the venues' clocks are learnt anew.
        """
        now_ns = self._clock.now_ns()
        for offset in self.clock_offsets.values():
            offset.stepped(step_ns)
        for s in self.slots:
            self._forget_quote(s, CLOCK_STEP, now_ns)
            s.statistics = RollingStatistics(span_s=self.settings.window.rolling_s, seen=s.window.appended)
            s.spans = {span_s: RollingStatistics(span_s=span_s, seen=s.window.appended) for span_s in s.spans}
        for state in self.routes:
            state.rest_until_ns += step_ns
            if state.holding is not None:
                state.holding = replace(state.holding, opened_ns=state.holding.opened_ns + step_ns)
            state.watch.refresh(now_ns)

    # Inside

    def _refuse(self, s: InstrumentSlot, reason: str, ts_recv_ns: int) -> None:
        s.refused_counts[reason] += 1
        if reason == OUT_OF_ORDER:
            return  # a late copy says nothing about the newer quote that stands
        self._forget_quote(s, str(reason), ts_recv_ns)

    def _forget_quote(self, s: InstrumentSlot, reason: str, ts_ns: int) -> None:
        s.quote = None
        s.refused = reason
        s.statistics.interrupt(ts_ns)
        for over_span in s.spans.values():
            over_span.interrupt(ts_ns)
        self._tell_venue_refused(s.index)
        s.ask_all = self._awake = True
        for member in s.members:
            member.withdraw()
        if not s.dirty:
            s.dirty = True
            self._dirty.append(s)

    def _tick(self) -> None:
        """Once a second: what moves without a quote."""
        now_ns = self._clock.now_ns()
        for s in self.slots:
            s.ask_all = True
            s.statistics.seen = s.window.appended
            s.statistics.roll(now_ns)
            for over_span in s.spans.values():
                over_span.seen = s.window.appended
                over_span.roll(now_ns)
        self._feed_desk.tick(now_ns)
        self.look()
        self.desk.tick(now_ns)
        for state in self.routes:
            state.watch.refresh(now_ns)
            if state.holding is not None:
                self.decider.consider_closing(state, now_ns)
        self._index.refresh()
        self._tick_timer = self._clock.call_later(TICK_S, self._tick)
        self.ticked_ns = now_ns

    @property
    def timers(self) -> tuple[Timer, ...]:
        """Of the next tick, and of the bystanders."""
        timers = (self._tick_timer, *(one.timer for one in self.bystanders))
        return tuple(timer for timer in timers if timer is not None)

    @property
    def next_tick_ns(self) -> int:
        """When it ticks next."""
        return self.ticked_ns + _TICK_NS

    def skip_ticks(self, until_ns: int) -> None:
        """Leave out the ticks before `until_ns`, when one is due: somebody has done what they would have done."""
        for one in self.bystanders:
            one.skip_to(until_ns)
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        self._tick_timer = self._clock.call_later((until_ns - self._clock.now_ns()) / 1e9, self._tick)
        self.ticked_ns = until_ns - _TICK_NS

    def look(self) -> None:
        """Bring up to date what each route offers, for whoever reads it: quotes that change no decision do not."""
        for state in self.routes:
            state.watch.assess()

    def event(self, level: str, text: str, more: Mapping[str, Any] | None = None) -> None:
        """Something a person should know: journal and log; `more` is for programs, and stands in the journal alone."""
        body = {"level": level, "text": text, **(more or {})}
        self._journal.record(RecordKind.EVENT, level, self._clock.now_ns(), body)
        self._log(level, text)
