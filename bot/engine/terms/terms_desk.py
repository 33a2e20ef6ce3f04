"""Brings what the venues tell to the engine: fees, funding and listing of every instrument, while they are known.

Streams tell a rate each second and, at some venues, no interval: it is completed from the schedule that was asked for.
A rate whose schedule is not known, or does not fit it, is not priced with: it is only kept for the settlement.
"""

from collections.abc import Awaitable, Callable, Mapping

from pydantic import ValidationError

from bot.clock import Clock, Timer
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.engine.engine import Engine
from bot.engine.slot import InstrumentSlot
from bot.engine.terms.fee_changes import FeeChanges
from bot.engine.terms.known import Terms
from bot.ports import FeedState, MarketSink

_WATCH_S = 10.0


class TermsDesk:
    """Keeps the slots of one engine to what is known."""

    def __init__(
        self,
        terms: Terms,
        engine: Engine,
        clock: Clock,
        assumed_bps_per_8h: Mapping[Feed, float],
        ask_again: Callable[[Awaitable[None]], object],
    ) -> None:
        """Nothing is changed before `apply`.

        Args:
            terms: What is known.
            engine: Whose slots are kept.
            clock: Its timers look for what has become too old.
            assumed_bps_per_8h: What the settings assume where nothing tells a rate.
            ask_again: Runs a `refresh` beside the engine.
        """
        self._terms = terms
        self._engine = engine
        self._clock = clock
        self._assumed = assumed_bps_per_8h
        self._ask_again = ask_again
        self._changes = FeeChanges(engine.slots, engine.event)
        self._timer: Timer | None = None

    def start(self) -> None:
        """Apply what is known, and look every ten seconds for what is not any more."""
        self.apply()
        self._timer = self._clock.call_later(_WATCH_S, self._watch)

    def stop(self) -> None:
        """Look no further."""
        if self._timer is not None:
            self._timer.cancel()

    async def refresh(self) -> None:
        """Ask the venues again, and take what they say."""
        await self._terms.refresh()
        self.apply()

    def sink(self, behind: MarketSink) -> "CompletedFunding":
        """`behind`, with funding rates completed."""
        return CompletedFunding(behind, self)

    def _watch(self) -> None:
        self._terms.say()
        self.apply()
        if self._terms.needs_asking():
            self._ask_again(self.refresh())
        self._timer = self._clock.call_later(_WATCH_S, self._watch)

    def apply(self) -> None:
        """Give every slot its fees and its schedule, or take them away; its routes are priced anew by the next tick."""
        for slot in self._engine.slots:
            instrument = slot.instrument
            if not self._terms.is_asked(instrument.venue):
                continue
            self._engine.desk.on_listing(self._terms.listing(instrument))
            fees = self._terms.fees(instrument)
            if slot.fees != fees:
                slot.fees = fees
            if instrument.is_perpetual:
                self._apply_funding(slot)
        self._changes.look()

    def _apply_funding(self, slot: InstrumentSlot) -> None:
        told = self._terms.funding(slot.instrument)
        newest = slot.funding
        if told is not None and (newest is None or newest.ts_event_ns < told.ts_ns):
            slot.on_funding(told.as_rate())
            slot.funding_terms = told
        else:
            slot.funding_terms = self._completed(told, newest)
        self._block_unless_known(slot)

    def complete(self, index: int, funding: FundingRate) -> FundingRate:
        """A rate of a stream with its interval; its slot gets the schedule, where both fit."""
        slot = self._engine.slots[index]
        if not self._terms.is_asked(slot.instrument.venue):
            return funding
        slot.funding_terms = self._completed(self._terms.funding(slot.instrument), funding)
        return funding if slot.funding_terms is None else slot.funding_terms.as_rate()

    def completed(self, index: int) -> None:
        """The engine has taken the rate of a stream: forget it again where its schedule is not known."""
        slot = self._engine.slots[index]
        if self._terms.is_asked(slot.instrument.venue):
            self._block_unless_known(slot)

    def _completed(self, told: FundingTerms | None, newest: FundingRate | None) -> FundingTerms | None:
        if told is None or newest is None:
            return None
        interval_s = told.interval_s if newest.interval_h is None else newest.interval_h * 3600
        try:
            return FundingTerms(
                rate=newest.rate,
                interval_s=interval_s,
                next_funding_ns=newest.next_funding_ns,
                cap=told.cap,
                floor=told.floor,
                mark_price=newest.mark_price,
                ts_ns=newest.ts_event_ns,
            )
        except ValidationError:
            return None

    def _block_unless_known(self, slot: InstrumentSlot) -> None:
        if slot.funding_terms is not None:
            return
        assumed = self._assumed.get(slot.instrument.feed)
        slot.funding_bps_per_h = None if assumed is None else assumed / 8
        slot.funding_assumed = assumed is not None
        for state in slot.routes:
            state.watch.refresh(self._clock.now_ns())


class CompletedFunding:
    """Implements `bot.ports.MarketSink`: everything goes through, funding rates with their interval."""

    def __init__(self, behind: MarketSink, desk: TermsDesk) -> None:
        """Pass on to `behind`."""
        self._behind = behind
        self._desk = desk
        # Bound once: nothing is between a quote and its decision.
        self.on_quote: Callable[[int, TopOfBook, int, bytes], None] = behind.on_quote
        self.on_trade: Callable[[int, PublicTrade, int], None] = behind.on_trade
        self.on_timed_frame: Callable[[Feed, int, int], None] = behind.on_timed_frame
        self.on_malformed: Callable[[Feed, bytes, str], None] = behind.on_malformed
        self.on_feed_state: Callable[[Feed, FeedState, str], None] = behind.on_feed_state
        self.on_clock_offset: Callable[[str, int, int], None] = behind.on_clock_offset
        self.on_batch_end: Callable[[int], None] = behind.on_batch_end

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """With its interval, where the venue's schedule tells it."""
        self._behind.on_funding(slot, self._desk.complete(slot, funding), ts_recv_ns)
        self._desk.completed(slot)
