"""Faults 26 to 31 and 34: venues that refuse requests, at the simulated exchanges, and what the gate makes of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderStatus, TimeInForce
from bot.engine.watches.venue_watch import VenueWatch
from bot.risk.gate import RiskGate, TradingState
from tests.integration.actions_rig import INSTRUMENTS, VENUES, an_order, until
from tests.integration.test_sim_fault_requests_actions import Trader, trader
from tests.unit.risk_rig import Held

LINEAR = [one for one in INSTRUMENTS if one.is_perpetual]
EVERY_VENUE = pytest.mark.parametrize("what", LINEAR, ids=VENUES)
PLACING = {"binance": "order.place", "bybit": "order.create"}


class Watched:
    """A trader's venue as an engine watches it."""

    def __init__(self, one: Trader) -> None:
        self.one = one
        self.events: list[tuple[str, str]] = []
        self.states: list[TradingState] = []
        gate = RiskGate(
            (), Held(), max_daily_loss=1e9, max_cumulative_loss=1e9, max_throttled_per_second=100,
            on_state=lambda state, why: self.events.append((state.value, why)),
        )  # fmt: skip
        self.gate = gate
        self.watch = VenueWatch(one.actions, gate, list, lambda *told: self.events.append(told), SystemClock())

    def told(self, words: str) -> int:
        return sum(words in text for _, text in self.events)


@contextlib.asynccontextmanager
async def watched(venue: str) -> AsyncIterator[Watched]:
    async with trader(venue) as one:
        here = Watched(one)
        here.watch.start()
        try:
            yield here
        finally:
            here.watch.stop()


async def resting(one: Trader, what: Instrument, client_order_id: str = "rests") -> Order:
    """An order that the venue has, far below the market."""
    order = an_order(client_order_id, what, quantity="0.01", price="30000", time_in_force=TimeInForce.GTC)
    one.actions.submit(order)
    await until(lambda: client_order_id in one.sim.placed(what.venue, what.segment))
    return order


async def traded(one: Trader, what: Instrument, client_order_id: str) -> Order:
    """How a small market order ends, whatever else is on its way."""
    one.actions.submit(an_order(client_order_id, what, quantity="0.01", price=None))
    await until(lambda: one.heard.finals(client_order_id) != [])
    return one.ended(client_order_id)


async def filled_at_last(one: Trader, what: Instrument) -> None:
    """New orders, one after the other, until one is filled."""
    async with asyncio.timeout(60):
        number = 0
        while (await traded(one, what, f"again{number}")).status is not OrderStatus.FILLED:
            number += 1
            await asyncio.sleep(0.05)


@EVERY_VENUE
async def test_fault_26_after_a_429_nothing_of_it_is_sent_before_retry_after(what: Instrument) -> None:
    async with trader(what.venue) as one:
        number = one.sim.order(f"http-429,venue={what.venue},match={PLACING[what.venue]},amount=3,for_s=2")
        assert (await traded(one, what, "a")).status is OrderStatus.REJECTED
        for name in "bcdef":
            final = await traded(one, what, name)
            assert final.status is OrderStatus.REJECTED
            assert "is held" in str(final.reason)
        assert one.sim.struck(number) == 1
        assert "request budget" in one.actions.blocked(what.venue)
        await filled_at_last(one, what)
        assert one.sim.struck(number) == 1
        assert one.actions.blocked(what.venue) is None


async def test_fault_26_cancels_have_a_lane_of_their_own() -> None:
    what = LINEAR[VENUES.index("bybit")]
    async with trader("bybit") as one:
        order = await resting(one, what)
        one.sim.order("http-429,venue=bybit,match=order.create,amount=50,for_s=50")
        assert (await traded(one, what, "b")).status is OrderStatus.REJECTED
        one.actions.cancel(order)
        await until(lambda: one.heard.finals("rests") != [])
        assert one.ended("rests").status is OrderStatus.CANCELLED
        assert "is held" in str((await traded(one, what, "c")).reason)


@EVERY_VENUE
async def test_fault_27_a_ban_is_sat_out_and_an_alarm(what: Instrument) -> None:
    async with watched(what.venue) as here:
        one = here.one
        number = one.sim.order(f"http-418,venue={what.venue},amount=2,for_s=1.5")
        assert (await traded(one, what, "a")).status is OrderStatus.REJECTED
        assert "refuses this address" in one.actions.blocked(what.venue)
        await until(lambda: here.told("nothing new is opened there: it refuses this address") == 1)
        (standing,) = here.watch.standings()
        assert standing.blocked_s
        assert all(line.held_s for line in standing.budgets)
        for name in "bcd":
            assert "another" in str((await traded(one, what, name)).reason)
        assert one.sim.struck(number) == 1
        if what.venue == "binance":  # Bybit's take ten minutes
            await filled_at_last(one, what)
            await until(lambda: here.told("new pairs may be opened there again") == 1)
            assert one.sim.struck(number) == 1


@EVERY_VENUE
async def test_fault_28_a_firewalls_page_stops_everything_at_that_venue(what: Instrument) -> None:
    async with trader(what.venue) as one:
        number = one.sim.order(f"http-403,venue={what.venue},for_s=5")
        assert (await traded(one, what, "a")).status is OrderStatus.REJECTED
        assert "refuses this address" in one.actions.blocked(what.venue)
        for name in "bcd":
            assert "another" in str((await traded(one, what, name)).reason)
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == []


@EVERY_VENUE
async def test_fault_29_maintenance_pauses_the_venue_until_all_of_it_is_known_again(what: Instrument) -> None:
    async with watched(what.venue) as here:
        one = here.one
        one.sim.order(f"maintenance,venue={what.venue},for_s=4")
        await until(lambda: one.actions.blocked(what.venue) is not None)
        assert "private stream" in one.actions.blocked(what.venue)
        await until(lambda: here.told("nothing new is opened there") == 1)
        final = await traded(one, what, "a")
        assert final.status is OrderStatus.REJECTED
        assert one.sim.placed(what.venue, what.segment) == []
        await until(lambda: one.actions.blocked(what.venue) is None)
        await until(lambda: here.told("new pairs may be opened there again") == 1)
        assert one.said("connected again")
        await filled_at_last(one, what)


async def test_fault_29_service_unavailable_is_a_definite_refusal() -> None:
    what = LINEAR[VENUES.index("binance")]
    async with trader("binance") as one:
        one.sim.order("maintenance,venue=binance,for_s=20")
        await until(lambda: one.said("binance.linear order socket: "))  # what it had in flight would be unknown
        final = await traded(one, what, "a")
        assert final.status is OrderStatus.REJECTED
        assert not one.said("what became of it")
        assert "never arrived" not in str(final.reason)


@EVERY_VENUE
async def test_fault_30_an_overloaded_venue_rejects_for_certain_gets_no_more_and_takes_cancels(
    what: Instrument,
) -> None:
    async with trader(what.venue) as one:
        order = await resting(one, what)
        number = one.sim.order(f"http-503,venue={what.venue},match={PLACING[what.venue]},for_s=60")
        final = await traded(one, what, "a")
        assert final.status is OrderStatus.REJECTED
        assert "never arrived" not in str(final.reason)
        assert one.sim.struck(number) == 1
        one.sim.faults.end(number)
        assert "a" not in one.sim.placed(what.venue, what.segment)
        assert "overloaded" in one.actions.blocked(what.venue)
        one.actions.cancel(order)
        await until(lambda: one.heard.finals("rests") != [])
        assert one.ended("rests").status is OrderStatus.CANCELLED
        await until(lambda: one.actions.blocked(what.venue) is None)
        await filled_at_last(one, what)


async def test_fault_31_an_expired_listen_key_is_replaced_and_trading_waits_for_what_was_missed() -> None:
    what = LINEAR[VENUES.index("binance")]
    async with watched("binance") as here:
        one = here.one
        order = await resting(one, what)
        # The new stream comes at once, the repair takes its time.
        number = one.sim.order("latency,venue=binance,match=v3/balance,amount=1500,for_s=60,count=1")
        one.sim.order("listen-key-expiry,venue=binance")
        await until(lambda: one.actions.blocked("binance") is not None)
        account = one.sim.exchange("binance").account(one.sim.key)
        assert account is not None
        await until(lambda: "has missed" in str(one.actions.blocked("binance")))
        assert one.said("connected again")
        # Somebody cancels it elsewhere before the repair: found, whichever way.
        exchange = one.sim.exchange("binance")
        index = next(i for i, listed in exchange.listings.items() if listed.instrument.id == what.id)
        account.cancel_all(index, exchange.now_ns())
        await until(lambda: one.actions.blocked("binance") is None)
        assert one.sim.struck(number) == 1
        await until(lambda: one.heard.finals(order.client_order_id) != [])
        assert one.ended("rests").status is OrderStatus.CANCELLED
        await until(lambda: here.told("new pairs may be opened there again") == 1)
        await filled_at_last(one, what)


@EVERY_VENUE
async def test_fault_34_a_revoked_key_halts_and_is_not_asked_with_again_and_again(what: Instrument) -> None:
    async with watched(what.venue) as here:
        one = here.one
        one.sim.order(f"key-revoked,venue={what.venue}")
        assert (await traded(one, what, "a")).status is OrderStatus.REJECTED
        assert one.actions.blocked(what.venue) == "it does not take our key"
        await until(lambda: here.gate.state is TradingState.HALTED)
        assert here.told("look at the key") == 1
        for name in "bcd":
            await traded(one, what, name)
        assert sum("nothing more is asked" in text for _, text in one.log) == 1
        # The reconciler looks at the whole account as often as this lets it, and shares the address with the kill.
        assert one.actions.questions.between_s == 60.0
        assert len([text for level, text in one.log if level == "error"]) <= 4
