"""What moves simulated exchanges: in order of time, by hand or by a clock."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.clock import SystemClock
from bot.domain.order import Side
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import binance_rules
from exchanges.simulator.core.values import Kind, Lifetime, MarketEvent, NewOrder, TransferState
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket
from tests.unit.sim_account_market import BYBIT_PERP, PERP, FixedMarket

D = Decimal
SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND


def venues(chain: Chain | None = None) -> tuple[FixedMarket, list[SimulatedExchange]]:
    market = FixedMarket()
    return market, [SimulatedExchange(name, market, chain=chain) for name in ("binance", "bybit")]


def test_each_venue_hears_of_its_own_listings_once():
    market, exchanges = venues()
    pump = Pump(exchanges, market)
    heard: list[list[MarketEvent]] = [[], []]
    for exchange, events in zip(exchanges, heard, strict=True):
        exchange.subscribe(events.extend)
    ours, theirs = market.mark_event(PERP, D(100), 5), market.mark_event(BYBIT_PERP, D(100), 6)
    market.events = [ours, theirs]
    pump.advance_to(10)
    pump.advance_to(10)
    assert heard == [[ours], [theirs]]
    assert [one.now_ns() for one in exchanges] == [10, 10]


def test_time_does_not_go_back():
    market, exchanges = venues()
    pump = Pump(exchanges, market)
    pump.advance_to(10)
    market.events = [market.mark_event(PERP, D(100), 5)]
    pump.advance_to(9)
    assert (pump.now_ns(), len(market.events)) == (10, 1)


def test_an_order_meets_the_book_of_its_moment():
    market, exchanges = venues()
    Pump(exchanges, market)
    account = exchanges[0].accounts[0]
    market.quote(PERP, {99: 10}, {101: 10})
    market.events = [market.mark_event(PERP, D(100), 40)]
    seen: list[MarketEvent] = []
    exchanges[0].subscribe(seen.extend)
    exchanges[0].drift_ns = 1000
    account.place(NewOrder(PERP, Side.BUY, Kind.LIMIT, Lifetime.GTC, D(1), D(99), ""), exchanges[0].now_ns() + 50)
    # The exchange's clock is ahead; the market's was moved by 50 all the same.
    assert (len(seen), exchanges[0].now_ns(), exchanges[1].now_ns()) == (1, 1050, 50)


def test_an_order_placed_while_a_batch_is_handed_out_does_not_move_time():
    market, exchanges = venues()
    pump = Pump(exchanges, market)
    account = exchanges[0].accounts[0]
    market.quote(PERP, {99: 10}, {101: 10})
    order = NewOrder(PERP, Side.BUY, Kind.LIMIT, Lifetime.GTC, D(1), D(99), "")
    exchanges[0].subscribe(lambda _: account.place(order, 5 * SECOND))
    market.events = [market.mark_event(PERP, D(100), 40)]
    pump.advance_to(100)
    assert (pump.now_ns(), len(account.open_orders(None))) == (100, 1)


def test_one_long_step_is_many_short_ones():
    def ends(steps: int) -> tuple[int, list[MarketEvent]]:
        listings = [*default_listings("binance"), *default_listings("bybit")]
        market = SimulatedMarket(listings, seed=4, start_ns=START)
        chain = Chain(4, time_scale=60)
        rules = replace(binance_rules(), processing_s=5.0)
        sender = SimulatedExchange("binance", market, chain=chain, rules=rules)
        receiver = SimulatedExchange("bybit", market, chain=chain)
        pump = Pump([sender, receiver], market, start_ns=START)
        seen: list[MarketEvent] = []
        sender.subscribe(seen.extend)
        address = receiver.accounts[0].deposit_address("USDT", "tron")
        assert isinstance(address, tuple)
        sender.accounts[0].withdraw("USDT", "tron", D(50), address[0], "", "", START)
        for step in range(1, steps + 1):
            pump.advance_to(START + 4 * SECOND * step // steps)
        (deposit,) = receiver.accounts[0].deposits()
        assert deposit.state is TransferState.DONE
        return deposit.updated_ns, seen

    assert ends(1) == ends(37)


async def test_follows_the_clock_of_the_machine():
    listings = [*default_listings("binance"), *default_listings("bybit")]
    clock = SystemClock()
    began = clock.now_ns()
    market = SimulatedMarket(listings, seed=1, start_ns=began)
    exchange = SimulatedExchange("binance", market)
    pump = Pump([exchange], market, clock, start_ns=began)
    times: list[int] = []
    enough = asyncio.Event()

    def hear(batch) -> None:
        times.extend(event.ts_ns for event in batch)
        if len(times) > 50:
            enough.set()

    exchange.subscribe(hear)
    running = asyncio.create_task(pump.run())
    async with asyncio.timeout(60):
        await enough.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert times == sorted(times)
    assert began < times[0] <= times[-1] <= exchange.now_ns()
    # The exchange's clock is the wall clock, to what a slow machine takes between two readings.
    assert abs(exchange.now_ns() - clock.now_ns()) < 5 * SECOND


async def test_a_mistake_of_ours_ends_the_run():
    market, exchanges = venues()
    clock = SystemClock()
    pump = Pump(exchanges, market, clock)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    exchanges[0].subscribe(fail)
    market.events = [market.mark_event(PERP, D(100), 40)]
    with pytest.raises(ZeroDivisionError):
        await pump.run()
