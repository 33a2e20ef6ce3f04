"""Chains whose amount goes from one venue to another: what leaves, what comes back, and what never arrives."""

import pytest

from bot.domain.instrument import Segment
from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg
from bot.errors import InvariantError
from bot.execution.chain_executor import NOT_SENT
from bot.execution.pair import PairState
from bot.execution.reasons import FLATTEN
from bot.ports.transfers import CarryNews, CarryState
from tests.unit.chain_bench import BTC, BTC_B, SENT, SENT_LINKS, Bench
from tests.unit.executor_bench import D


def test_a_transfer_is_sent_with_all_that_was_bought_and_sold_with_what_arrived() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    (carriage,) = bench.carriages
    assert (carriage.asset, carriage.from_venue, carriage.to_venue, carriage.network) == ("BTC", "a", "b", "btc")
    assert (carriage.amount, carriage.deadline_s) == (D("0.1"), 600.0)
    assert len(carriage.id) <= 32
    assert carriage.id.isalnum()
    assert chain.state is PairState.IN_FLIGHT
    bench.wait(300_000)
    assert (bench.alarms, bench.halts, bench.executor.unhedged()) == ([], [], [])
    bench.carry(CarryState.ARRIVED, "0.0998")
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("b:BTC/USDT", Side.SELL, D("0.0998"))
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    assert chain.flows[("a", "USDT")] + chain.flows[("b", "USDT")] == D("87.8")


def test_a_route_that_no_carrier_serves_cannot_be_opened_nor_one_that_is_hedged() -> None:
    bench = Bench(carries=False)
    chain = bench.open(SENT)
    assert (chain.state, chain.close_reason, bench.inbox) == (PairState.MISSED, "transfers", [])
    perp = BTC.model_copy(update={"symbol": "BTC/USDT:USDT", "segment": Segment.LINEAR, "settle": "USDT"})
    short = TradeLeg(instrument=perp, side=Side.SELL)
    hedged = Route(kind="transfer", legs=(SENT.legs[0], short, *SENT.legs[1:]))
    assert Bench().open(hedged, SENT_LINKS).close_reason == "hedges"


def test_what_is_bought_late_travels_under_an_id_of_its_own_and_is_counted_beside_the_first() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bought = bench.last
    bench.done(bought, "0.05")
    bench.fill(bought, "0.04")
    for arrived in ("0.0498", "0.0398"):
        bench.carry(CarryState.ARRIVED, arrived)
        bench.wait(1000)
        assert (bench.last.instrument.id, bench.last.quantity) == ("b:BTC/USDT", D(arrived))
        bench.done(bench.last)
    first, second = bench.carriages
    assert (first.amount, second.amount) == (D("0.05"), D("0.04"))
    assert first.id != second.id
    assert len(second.id) <= 32
    assert second.id.isalnum()
    assert chain.state is PairState.CLOSED
    assert sum(travel.fee for travel in chain.travels.values()) == D("0.0004")
    assert len(chain.record()["travels"]) == 2, "a later run knows of both"


@pytest.mark.parametrize("state", [CarryState.REFUSED, CarryState.FAILED])
def test_what_could_not_be_sent_is_sold_where_it_lies(state: CarryState) -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.carry(CarryState.IN_TRANSIT)
    bench.carry(state, "0.1", "the network is suspended")
    assert "suspended" in bench.alarms[-1]
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.1"))
    bench.done(bench.last)
    assert (chain.state, chain.close_reason, chain.flows[("a", "USDT")]) == (PairState.FAILED, NOT_SENT, -1)


def test_a_late_transfer_is_an_alarm_and_no_halt_and_is_sold_when_it_comes() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.wait(700_000)
    bench.carry(CarryState.LATE)
    assert len(bench.alarms) == 1
    assert chain.is_late
    assert [one.carriage.asset for one in bench.executor.underway("a", "b")] == ["BTC"]
    bench.wait(7_000_000)
    assert bench.halts == []
    bench.carry(CarryState.ARRIVED, "0.0998")
    bench.carry(CarryState.ARRIVED, "0.0998")
    assert bench.executor.underway("a", "b") == []
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED


def test_one_that_its_venue_tells_of_only_after_the_deadline_stays_late_and_is_told_of_once() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.done(bench.last)
    bench.carry(CarryState.UNKNOWN)
    bench.wait(700_000)
    for state in (CarryState.LATE, CarryState.IN_TRANSIT, CarryState.LATE):
        bench.carry(state)
        assert chain.is_late
    assert len(bench.alarms) == 1
    bench.carry(CarryState.ARRIVED, "0.0998")
    assert not chain.is_late


def test_an_arrival_that_nobody_buys_is_sold_at_any_price_within_the_budget() -> None:
    bench = Bench()
    bench.open(SENT)
    bench.done(bench.last)
    bench.quote(BTC_B, 50000.0, 50001.0)
    bench.carry(CarryState.ARRIVED, "0.0998")
    arrived_s = bench.clock.monotonic_ns() / 1e9
    while bench.last.price is not None:
        bench.end(bench.last)
        bench.wait(100)
    assert bench.clock.monotonic_ns() / 1e9 - arrived_s <= 3.3
    assert (bench.last.instrument.id, bench.last.side) == ("b:BTC/USDT", Side.SELL)


def test_halted_while_the_intent_of_a_transfer_is_written_it_never_leaves() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.journal.is_slow = True
    bench.done(bench.last)
    assert (chain.state, bench.carriages) == (PairState.IN_FLIGHT, [])
    bench.may_open = False
    bench.journal.sync()
    assert bench.carriages == []
    bench.journal.sync()
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)


def test_a_transfer_whose_intent_is_durable_only_after_the_run_has_ended_never_leaves() -> None:
    bench = Bench()
    chain = bench.open(SENT)
    bench.journal.is_slow = True
    bench.done(bench.last)
    bench.executor.stop()
    bench.journal.sync()
    assert bench.carriages == [], "nobody of this run would follow it"
    assert chain.underway is not None, "the next run asks about it, and is told that it never left"
    assert bench.executor.unsettled == 0


def test_flatten_brings_home_what_is_under_way_and_what_travels_after_it_arrived() -> None:
    bench = Bench()
    ring, sent = bench.open(), bench.open(SENT)
    first, other = bench.inbox
    bench.done(other)
    assert bench.executor.flatten() == 2
    bench.done(first)
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)
    bench.done(bench.last)
    assert (ring.state, ring.close_reason) == (PairState.FAILED, FLATTEN)
    assert sent.state is PairState.IN_FLIGHT
    bench.carry(CarryState.ARRIVED, "0.0998")
    bench.done(bench.last)
    assert (sent.state, sent.close_reason) == (PairState.CLOSED, FLATTEN)


def test_news_of_nobodys_transfer_or_order_is_a_mistake_of_ours() -> None:
    bench = Bench()
    with pytest.raises(InvariantError, match="never wrote down"):
        bench.executor.on_carry(CarryNews("x", CarryState.ARRIVED, D(1), "", 0))
    other = Bench()
    other.open()
    with pytest.raises(InvariantError, match="never wrote down"):
        bench.end(other.last)


def test_a_chain_that_is_found_between_venues_without_a_carrier_halts_and_says_so() -> None:
    left = Bench()
    chain = left.open(SENT)
    left.done(left.last)
    there = Bench(carries=False)
    there.executor.adopt(chain)
    assert "0.1 BTC from a to b" in there.halts[0]
    again = Bench()
    chain.has_given_up = False
    again.executor.adopt(chain)
    assert [one.id for one in again.resumed] == [one.id for one in left.carriages]
    again.carry(CarryState.ARRIVED, "0.0998")
    again.done(again.last)
    assert (chain.state, chain.flows[("b", "USDT")]) == (PairState.CLOSED, D("6087.8"))
