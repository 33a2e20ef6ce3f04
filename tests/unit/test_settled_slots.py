"""Quotes that move no price ask nobody: the decisions must be those of an engine that asks at every quote."""

from random import Random

import pytest

from benchmarks.frames import Market, Quotes
from benchmarks.rig import ReplayRig, temporary_journal
from bot.domain.market import FundingRate, TopOfBook
from bot.ports import FeedState
from exchanges.simulator.sample_recording import BINANCE, BYBIT, sample_instrument

START_NS = 1_767_571_200_000_000_000
EVENTS = 6_000
MARKET = Market("random", [Quotes(sample_instrument(feed), "BTCUSDT", []) for feed in (BINANCE, BYBIT)])


class NeverSettled:
    """A flag that cannot be set: the engine asks its routes at every quote."""

    def __get__(self, instance, owner=None):
        return False

    def __set__(self, instance, value):
        pass


class RandomMarket:
    """Prices that mostly stand, a few bps around what a route needs; sizes, funding and trouble that do not."""

    def __init__(self, seed, rig):
        self.random = Random(seed)
        self.rig = rig
        self.engine = rig.engine
        self.prices = [60_000.0, 60_000.0]
        self.sequence = 1
        self.now_ns = START_NS

    def play(self):
        for _ in range(EVENTS):
            self.now_ns += self.random.randrange(1_000_000, 120_000_000)
            self.rig.clock.advance_to(self.now_ns)
            self.event(self.random.random(), self.random.randrange(2))
            if self.random.random() < 0.8:  # else the next event is of the same batch
                self.engine.on_batch_end(self.now_ns)

    def event(self, dice, slot):
        if dice < 0.004:
            self.funding(slot)
        elif dice < 0.006:
            self.engine.on_feed_state((BINANCE, BYBIT)[slot], FeedState.SILENT, "")
        else:
            if dice < 0.06:
                self.prices[slot] = 60_000.0 * (1 + self.random.randrange(-6, 7) / 1e4)
            self.quote(slot, crossed=dice > 0.995)

    def quote(self, slot, *, crossed):
        self.sequence += 1
        bid = self.prices[slot]
        size = self.random.choice((0.0005, 0.01, 5.0))
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
        rate = self.random.uniform(-0.02, 0.02)
        later_ns = self.now_ns + 10**13
        funding = FundingRate(rate=rate, next_funding_ns=later_ns, interval_h=8.0, ts_event_ns=self.now_ns)
        self.engine.on_funding(slot, funding, self.now_ns)


def played(seed):
    """The digest and the numbers of decisions, orders and of times that a route was asked."""
    asked = [0]
    with temporary_journal() as journal:
        rig = ReplayRig(MARKET, journal, START_NS, free=True)
        for state in rig.engine.routes:
            count_asks(state.watch, asked)
        RandomMarket(seed, rig).play()
        decisions = rig.engine.decisions
        return decisions.digest, decisions.refused, decisions.taken, rig.engine.desk.orders, asked[0]


def count_asks(watch, asked):
    assess = type(watch).assess

    class Counting(type(watch)):
        __slots__ = ()

        def assess(self):
            asked[0] += 1
            return assess(self)

    watch.__class__ = Counting


@pytest.mark.parametrize("seed", range(6))
def test_decisions_equal_those_of_an_engine_that_asks_at_every_quote(monkeypatch, seed):
    digest, refused, taken, orders, asked = played(seed)
    monkeypatch.setattr("bot.engine.slot.InstrumentSlot.settled", NeverSettled())
    full_digest, full_refused, full_taken, full_orders, asked_in_full = played(seed)
    assert (refused, taken, orders) == (full_refused, full_taken, full_orders)
    assert digest == full_digest
    assert asked < 0.9 * asked_in_full
    assert {"net_edge", "no_quote", "size"} <= refused.keys()
    assert taken
