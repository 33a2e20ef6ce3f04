"""Quotes that cannot change a decision ask nobody: the decisions are those of an engine that asks at every quote."""

from decimal import Decimal
from random import Random

import pytest

from benchmarks.rig import temporary_journal
from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import FundingRate, TopOfBook
from bot.engine.engine import Engine, RunInfo
from bot.engine.slot import InstrumentSlot
from bot.ports import FeedState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

D = Decimal
START_NS = 1_767_571_200_000_000_000
EVENTS = 5_000


def instrument(venue, quote="USDT"):
    return Instrument(
        venue=venue, symbol=f"BTC/{quote}:{quote}", segment=Segment.LINEAR, base="BTC", quote=quote, settle=quote,
        tick_size=D("0.1"), lot_size=D("0.001"), min_notional=D(5),
    )  # fmt: skip


class AllAtEveryQuote:
    """A flag that cannot be taken down."""

    def __get__(self, instance, owner=None):
        return True

    def __set__(self, instance, value):
        pass


class Bench:
    """An engine over one instrument a venue, on a virtual clock."""

    def __init__(self, venues, journal, taker_bps="0", idle=(), **arbitrage):
        self.instruments = [instrument(f"v{number}") for number in range(venues)] + [instrument(*one) for one in idle]
        self.clock = VirtualClock(START_NS)
        wallets = {str(one.feed): {one.quote: 100_000} for one in self.instruments}
        settings = Settings.model_validate({"paper": {"balances": wallets}, "risk": {"max_open_pairs": 2}})
        fees = {
            one.feed: FeeSchedule(feed=one.feed, maker_bps=D(0), taker_bps=D(taker_bps), source="settings")
            for one in self.instruments
        }
        own = ArbitrageSettings.model_validate({"warmup_s": 2.0, "adverse_moves": False} | arbitrage)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "", "0"),
            instruments=self.instruments,
            strategy=ArbitrageStrategy(own),
            venue=PaperActions(self.instruments, fees, settings.paper, self.clock),
            journal=journal,
            clock=self.clock,
            settings=settings,
            fees=fees,
            assumed_funding_bps_per_8h={one.feed: 0.0 for one in self.instruments},
            log=lambda level, text: None,
        )
        self.engine.start()
        self.asked = 0
        for state in self.engine.routes:
            self._count(state.watch)

    def _count(self, watch):
        bench, assess = self, type(watch).assess

        class Counting(type(watch)):
            __slots__ = ()

            def assess(self):
                bench.asked += 1
                return assess(self)

        watch.__class__ = Counting


class RandomMarket:
    """Prices that mostly stand, a few bps around what a route needs; sizes, funding and trouble that do not."""

    def __init__(self, seed, bench, venues, *, single):
        self.random = Random(seed)
        self.bench = bench
        self.engine = bench.engine
        self.venues = venues
        self.single = single
        self.prices = [60_000.0 + 6 * number for number in range(venues)]
        self.sequence = 1
        self.now_ns = START_NS

    def play(self, events=EVENTS):
        for _ in range(events):
            self.now_ns += self.random.randrange(1_000_000, 60_000_000)
            self.bench.clock.advance_to(self.now_ns)
            self.event(self.random.random(), self.random.randrange(self.venues))
            if self.single or self.random.random() < 0.8:  # else the next event is of the same batch
                self.engine.on_batch_end(self.now_ns)

    def event(self, dice, slot):
        if dice < 0.004:
            self.funding(slot)
        elif dice < 0.006:
            self.engine.on_feed_state(self.engine.slots[slot].feed, FeedState.SILENT, "")
        else:
            if dice < 0.3:
                wide = 12 if dice < 0.02 else 2
                self.prices[slot] = (60_000.0 + 6 * slot) * (1 + self.random.randrange(-wide, wide + 1) / 1e4)
            self.quote(slot, crossed=dice > 0.997)

    def quote(self, slot, *, crossed):
        self.sequence += 1
        bid = round(self.prices[slot], 1)
        size = self.random.choice((0.00005, 0.01, 5.0))
        quote = TopOfBook(
            bid_price=bid,
            bid_qty=size,
            ask_price=bid - 0.1 if crossed else bid + 0.1,
            ask_qty=size,
            sequence=self.sequence,
            ts_event_ns=self.now_ns - 3_000_000,
        )
        self.engine.on_quote(slot, quote, self.now_ns, b"")

    def funding(self, slot):
        rate = self.random.uniform(-0.002, 0.002)
        later_ns = self.now_ns + 10**13
        funding = FundingRate(rate=rate, next_funding_ns=later_ns, interval_h=8.0, ts_event_ns=self.now_ns)
        self.engine.on_funding(slot, funding, self.now_ns)


def played(seed, venues, *, single=False, events=EVENTS, **more):
    """Digest and numbers of decisions, orders, the best of the run, and how often a route was asked."""
    with temporary_journal() as journal:
        bench = Bench(venues, journal, **more)
        RandomMarket(seed, bench, venues, single=single).play(events)
        engine = bench.engine
        bench.engine.look()
        bests = [state.watch.best_gross_bps for state in engine.routes]
        return (
            engine.decisions.digest,
            dict(engine.decisions.refused),
            engine.decisions.taken,
            engine.desk.orders,
            (
                bests,
                bench.asked,
            ),
        )


@pytest.mark.parametrize("venues", [2, 3, 5])
@pytest.mark.parametrize("seed", range(2))
def test_decisions_equal_those_of_an_engine_that_asks_everybody_at_every_quote(monkeypatch, seed, venues):
    *decided, (_, asked) = played(seed, venues)
    monkeypatch.setattr(InstrumentSlot, "ask_all", AllAtEveryQuote())
    *decided_in_full, (_, asked_in_full) = played(seed, venues)
    assert decided == decided_in_full
    assert asked < 0.9 * asked_in_full
    _, refused, taken, _ = decided
    assert {"net_edge", "no_quote", "size"} <= refused.keys()
    assert taken
