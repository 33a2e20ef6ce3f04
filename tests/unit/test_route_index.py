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
EVENTS = 3_000


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

    def __init__(self, venues, journal, idle=0, **arbitrage):
        """`idle` venues more are quoted as the others are, and so dear that nothing is ever taken there."""
        self.instruments = [instrument(f"v{number}") for number in range(venues + idle)]
        self.clock = VirtualClock(START_NS)
        wallets = {str(one.feed): {one.quote: 100_000} for one in self.instruments}
        settings = Settings.model_validate({"paper": {"balances": wallets}, "risk": {"max_open_pairs": 2}})
        fees = {
            one.feed: FeeSchedule(
                feed=one.feed, maker_bps=D(0), taker_bps=D(0 if at < venues else 250), source="settings"
            )
            for at, one in enumerate(self.instruments)
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
            show_decision=lambda decision: self.decided.append(decision),
        )
        self.decided = []
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

    def __init__(self, seed, bench, venues):
        self.random = Random(seed)
        self.bench = bench
        self.engine = bench.engine
        self.venues = venues
        self.prices = [60_000.0 + 6 * number for number in range(venues)]
        self.sequence = 1
        self.now_ns = START_NS

    def play(self, events=EVENTS):
        for _ in range(events):
            self.now_ns += self.random.randrange(1_000_000, 60_000_000)
            self.bench.clock.advance_to(self.now_ns)
            self.event(self.random.random(), self.random.randrange(self.venues))
            if self.random.random() < 0.8:  # else the next event is of the same batch
                self.engine.on_batch_end(self.now_ns)

    def play_among(self):
        """The same day; each price is quoted by idle venues as well, a little later, in a batch of their own."""
        decide, venues = self.engine.on_batch_end, range(self.venues, len(self.engine.slots))

        def ended(ts_ns):
            decide(ts_ns)
            for slot in venues:
                mine = self.random.getstate()
                self.quote(slot, crossed=False, bid=self.prices[slot % self.venues])
                self.random.setstate(mine)
                decide(ts_ns)

        self.engine.on_batch_end = ended
        self.play()

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

    def quote(self, slot, *, crossed, bid=None):
        self.sequence += 1
        bid = round(self.prices[slot] if bid is None else bid, 1)
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


def played(seed, venues, **more):
    """The bench after a random day."""
    with temporary_journal() as journal:
        bench = Bench(venues, journal, **more)
        RandomMarket(seed, bench, venues).play()
        return bench


def outcome(bench):
    decisions = bench.engine.decisions
    return decisions.digest, dict(decisions.refused), decisions.taken, bench.engine.desk.orders


@pytest.mark.parametrize("venues", [2, 3, 5])
@pytest.mark.parametrize("seed", range(2))
def test_decisions_equal_those_of_an_engine_that_asks_everybody_at_every_quote(monkeypatch, seed, venues):
    indexed = played(seed, venues)
    monkeypatch.setattr(InstrumentSlot, "ask_all", AllAtEveryQuote())
    in_full = played(seed, venues)
    assert outcome(indexed) == outcome(in_full)
    assert indexed.asked < 0.9 * in_full.asked
    _, refused, taken, _ = outcome(indexed)
    assert {"net_edge", "no_quote", "size"} <= refused.keys()
    assert taken


@pytest.mark.parametrize("kinds", [{"maker_variants": True}, {"min_net_edge_bps": 30.0}])
def test_decisions_are_the_same_with_routes_that_cannot_be_executed_and_with_none_worth_taking(monkeypatch, kinds):
    indexed = played(7, 4, **kinds)
    monkeypatch.setattr(InstrumentSlot, "ask_all", AllAtEveryQuote())
    in_full = played(7, 4, **kinds)
    assert outcome(indexed) == outcome(in_full)
    assert indexed.asked < 0.9 * in_full.asked
    nearest = max(state.watch.best_gross_bps - state.watch.take_at_bps for state in in_full.engine.routes)
    assert (nearest > 0.0) == ("maker_variants" in kinds)


def test_venues_at_which_nothing_is_to_be_had_change_no_decision():
    alone = played(3, 2)
    with temporary_journal() as journal:
        among = Bench(2, journal, idle=6)
        RandomMarket(3, among, 2).play_among()
    ids = {state.route.id for state in alone.engine.routes}
    assert [one.digest_line() for one in among.decided if one.route in ids] == [
        one.digest_line() for one in alone.decided
    ]
    assert alone.engine.decisions.taken


def test_the_nearest_that_any_route_came_is_known_exactly(monkeypatch):
    """Nobody was near enough to be taken; what part of its ratio the nearest offered is what asking everybody tells."""
    parts = []
    for full in (False, True):
        if full:
            monkeypatch.setattr(InstrumentSlot, "ask_all", AllAtEveryQuote())
        bench = played(11, 5, min_net_edge_bps=40.0)
        (group,) = bench.engine._index._groups
        parts.append(group.nearest)
    assert parts[0] == pytest.approx(parts[1], rel=1e-11)
    assert 0.99 < parts[0] < 1.0
