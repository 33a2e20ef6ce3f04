"""Quotes that move no price ask nobody: the decisions must be those of an engine that asks at every quote."""

import pytest

from benchmarks.frames import Market, Quotes
from benchmarks.rig import ReplayRig, temporary_journal
from bot.domain.market import FundingRate
from exchanges.simulator.sample_recording import BINANCE, BYBIT, sample_instrument, sample_lines

MINUTES = 3


class EverySlot:
    """A flag that cannot be set: the engine asks its routes at every quote."""

    def __get__(self, instance, owner=None):
        return False

    def __set__(self, instance, value):
        pass


@pytest.fixture(scope="module")
def market():
    feeds = []
    for feed, lines in sample_lines(seed=3, minutes=MINUTES).items():
        stamped = [line.rstrip().encode().split(b" ", 1) for line in lines]
        frames = [(int(ts), raw) for ts, raw in stamped]
        feeds.append(Quotes(sample_instrument(feed), "BTCUSDT", frames))
    assert {quotes.instrument.feed for quotes in feeds} == {BINANCE, BYBIT}
    return Market("sample", feeds)


def played(market, *, free, funding_at=None):
    """The digest, the number of orders and how often a route was asked."""
    frames = market.in_order()
    with temporary_journal() as journal:
        rig = ReplayRig(market, journal, frames[0][0] - 1, free=free)
        asked = [0]
        for state in rig.engine.routes:
            count_asks(state.watch, asked)
        if funding_at is None:
            rig.play(frames)
        else:
            rig.play(frames[:funding_at])
            ts_ns = frames[funding_at][0]
            rate = FundingRate(rate=-0.03, next_funding_ns=ts_ns + 10**13, interval_h=8.0, ts_event_ns=ts_ns)
            rig.engine.on_funding(0, rate, ts_ns)
            rig.play(frames[funding_at:])
        return rig.engine.decisions.digest, rig.engine.desk.orders, asked[0]


def count_asks(watch, asked):
    assess = type(watch).assess

    class Counting(type(watch)):
        __slots__ = ()

        def assess(self):
            asked[0] += 1
            return assess(self)

    watch.__class__ = Counting


@pytest.mark.parametrize("free", [True, False], ids=["no fees", "ordinary fees"])
@pytest.mark.parametrize("funding_at", [None, 5_000], ids=["as it came", "funding between quotes"])
def test_decisions_equal_those_of_an_engine_that_asks_at_every_quote(market, monkeypatch, free, funding_at):
    digest, orders, asked = played(market, free=free, funding_at=funding_at)
    monkeypatch.setattr("bot.engine.slot.InstrumentSlot.settled", EverySlot())
    full_digest, full_orders, asked_in_full = played(market, free=free, funding_at=funding_at)
    assert (digest, orders) == (full_digest, full_orders)
    assert asked < asked_in_full
    assert orders or not free
