"""Faults of orders and legs over real sockets: a pair on both simulated exchanges ends even, nothing leaves twice."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import HoldLeg, Liquidity, Opportunity, Route, TradeLeg
from bot.execution.context import ExecutionContext
from bot.execution.maker_executor import MakerExecutor
from bot.execution.pair import Pair, PairState
from bot.settings import EndpointSettings, ExecutionSettings, Settings
from exchanges.binance.actions import BinanceActions
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.routed.actions import RoutedActions
from tests.integration.actions_rig import BY_FEED, FEES, VENUES, of, until
from tests.integration.sim_fault_requests_rig import Sim, simulated
from tests.unit.executor_bench import MemoryJournal

D = Decimal
QUANTITY = D("0.01")
KINDS: dict[str, Any] = {"binance": BinanceActions, "bybit": BybitActions}
EVERY_VENUE = pytest.mark.parametrize("victim", VENUES)


class Trader:
    """Pairs on the perpetuals of both exchanges, with an executor of the bot's own."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        endpoint = EndpointSettings(rest_url=sim.http, stream_url=sim.ws)
        settings = Settings.model_validate({
            "venues": {venue: {"spot": endpoint, "linear": endpoint} for venue in VENUES},
            "connection": {"backoff_first_s": 0.05, "backoff_cap_s": 0.1},
        })  # fmt: skip
        keys = ApiKeys(key=SecretStr(sim.key), secret=SecretStr(sim.secret))
        clock = SystemClock()
        self.log: list[str] = []
        self.actions = RoutedActions({
            venue: kind(AccountSetup(
                BY_FEED, keys, settings, clock, random.Random(1), FEES, lambda level, text: self.log.append(text), self
            ))
            for venue, kind in KINDS.items()
        })  # fmt: skip
        self.halts: list[str] = []
        self.sent: list[Order] = []
        self.executor = MakerExecutor(
            ExecutionContext(
                actions=self.actions,
                journal=MemoryJournal(),
                clock=clock,
                settings=ExecutionSettings(price_cap_bps=100.0),
                quotes=self.quote,
                id_prefix="run",
                may_open=lambda: True,
                on_halt=self.halts.append,
                taker_bps=lambda instrument: 10.0,
            ),
            on_pair=lambda pair: None,
            on_pair_fill=lambda pair, leg, fill: None,
            on_sent=self.sent.append,
        )

    def quote(self, what: Instrument) -> TopOfBook:
        exchange = self.sim.exchange(what.venue)
        index = next(i for i, listed in exchange.listings.items() if listed.instrument.id == what.id)
        mark = float(exchange.market.mark(index))
        return TopOfBook(bid_price=mark, bid_qty=1.0, ask_price=mark + 0.1, ask_qty=1.0, sequence=1)

    def open(self, buy: Liquidity = Liquidity.TAKER) -> Pair:
        bought, sold = (of(venue, Segment.LINEAR) for venue in VENUES)
        there = (
            TradeLeg(instrument=bought, side=Side.BUY, liquidity=buy),
            TradeLeg(instrument=sold, side=Side.SELL),
        )
        back = [leg.model_copy(update={"side": leg.side.opposite}) for leg in there]
        at = self.quote(bought)
        price = at.ask_price if buy is Liquidity.TAKER else round(at.bid_price * 0.995, 1)
        return self.executor.open(
            Opportunity(
                route=Route(kind="test", legs=(*there, HoldLeg(expected_s=60.0), *back)), ts_ns=1, quantity=QUANTITY,
                buy_price=price, sell_price=self.quote(sold).bid_price, gross_edge_bps=50.0, costs=(),
                net_edge_bps=50.0,
            )
        )  # fmt: skip

    # bot.ports.OrderListener

    def on_order(self, order: Order) -> None:
        self.executor.on_order(order)

    def on_fill(self, fill: Fill) -> None:
        if fill.forced:
            self.executor.on_forced(fill)
        else:
            self.executor.on_fill(fill)

    # What must hold in the end

    async def settled(self, pair: Pair) -> None:
        """Even, nothing on its way, and the venues have what the pair says."""
        await until(lambda: pair.state is not PairState.OPENING and not pair.pending and pair.uneven is None)
        assert pair.imbalance == 0
        await until(lambda: self.positions() == {leg.instrument.venue: leg.held for leg in pair.legs if leg.held})
        for venue in VENUES:
            placed = self.sim.placed(venue, Segment.LINEAR)
            assert max(Counter(placed).values(), default=0) <= 1, "nothing leaves twice"
            assert len(placed) <= len([order for order in self.sent if order.instrument.venue == venue])

    def positions(self) -> dict[str, Decimal]:
        """What the venues themselves have, whatever their streams have told."""
        accounts = {venue: self.sim.exchange(venue).account(self.sim.key) for venue in VENUES}
        return {
            venue: position.quantity
            for venue, account in accounts.items()
            if account is not None
            for position in account.positions()
            if position.quantity
        }

    def statuses(self, pair: Pair) -> list[OrderStatus]:
        return [order.status for order, _, _ in pair.orders.values()]


@contextlib.asynccontextmanager
async def trader() -> AsyncIterator[Trader]:
    async with simulated() as sim:
        one = Trader(sim)
        await one.actions.start()
        try:
            yield one
        finally:
            await one.actions.stop()


async def test_a_pair_without_faults_is_opened_and_closed_flat() -> None:
    async with trader() as one:
        pair = one.open()
        await one.settled(pair)
        assert pair.state is PairState.OPEN
        one.executor.flatten()
        await until(lambda: pair.state is PairState.CLOSED)
        await until(lambda: one.positions() == {})
        assert one.halts == []


@EVERY_VENUE
async def test_fault_36_an_answer_that_is_lost_leaves_a_pair_with_both_legs(victim: str) -> None:
    async with trader() as one:
        one.sim.order(f"silence,venue={victim},segment=linear,for_s=4")
        number = one.sim.order(f"lost-answer,venue={victim},segment=linear,count=1")
        pair = one.open()
        await one.settled(pair)
        assert one.sim.struck(number) == 1
        assert pair.state in (PairState.OPEN, PairState.FAILED)
        assert len(one.sent) == len({order.client_order_id for order in one.sent})


@EVERY_VENUE
async def test_fault_37_an_order_that_never_arrived_is_a_leg_that_is_completed_or_unwound(victim: str) -> None:
    async with trader() as one:
        number = one.sim.order(f"lost-order,venue={victim},segment=linear,count=1")
        pair = one.open()
        await one.settled(pair)
        assert one.sim.struck(number) == 1
        assert one.statuses(pair).count(OrderStatus.REJECTED) == 1
        assert len(one.sent) == 3
        assert any("never arrived" in str(order.reason) for order, _, _ in pair.orders.values())
        assert pair.episodes[0].seconds(0) > 2.0
        assert one.halts == [] or "uneven" in one.halts[0]


@EVERY_VENUE
async def test_fault_40_a_venue_that_refuses_leaves_the_other_leg_unwound(victim: str) -> None:
    async with trader() as one:
        one.sim.order(f"delisting,venue={victim},segment=linear,match=BTC/USDT:USDT,for_s=60")
        pair = one.open()
        await one.settled(pair)
        assert (pair.state, pair.buy.held, pair.sell.held) == (PairState.FAILED, 0, 0)
        assert one.statuses(pair).count(OrderStatus.REJECTED) == 2
        assert one.positions() == {}


@EVERY_VENUE
async def test_fault_41_a_leg_that_is_filled_in_part_is_made_whole_or_both_are_made_smaller(victim: str) -> None:
    async with trader() as one:
        number = one.sim.order(f"partial-then-reject,venue={victim},amount=0.3,count=1")
        pair = one.open()
        await one.settled(pair)
        assert one.sim.struck(number) == 1
        assert pair.state is PairState.OPEN
        assert pair.buy.held in (D("0.003"), QUANTITY)


@EVERY_VENUE
async def test_fault_42_a_fill_that_is_told_late_is_netted_by_position(victim: str) -> None:
    async with trader() as one:
        number = one.sim.order(f"late-fill,venue={victim},amount=4,count=1")
        pair = one.open()
        await until(lambda: len(one.sent) > 2 or pair.state is not PairState.OPENING)
        await one.settled(pair)
        assert one.sim.struck(number) == 1
        assert pair.state in (PairState.FAILED, PairState.OPEN)


async def test_fault_43_a_maker_that_is_filled_while_it_is_cancelled_is_hedged() -> None:
    async with trader() as one:
        number = one.sim.order("fill-on-cancel,venue=binance")
        pair = one.open(Liquidity.MAKER)
        await until(lambda: one.sim.placed("binance", Segment.LINEAR) != [])
        await asyncio.sleep(0)
        one.executor.take_back(pair)
        await one.settled(pair)
        assert one.sim.struck(number) == 1
        assert (pair.state, pair.buy.held, pair.sell.held) == (PairState.OPEN, QUANTITY, -QUANTITY)
        assert [order.instrument.venue for order in one.sent] == ["binance", "bybit"]


async def closed_after(one: Trader, pair: Pair, fault: str, why: str) -> None:
    one.sim.order(fault)
    await until(lambda: pair.state is PairState.CLOSED)
    await until(lambda: one.positions() == {})
    assert (pair.close_reason, one.halts) == (why, [])


@EVERY_VENUE
async def test_fault_50_a_leg_that_is_liquidated_has_the_other_closed(victim: str) -> None:
    async with trader() as one:
        pair = one.open()
        await one.settled(pair)
        await closed_after(one, pair, f"liquidation,venue={victim},match=BTC", "liquidation")


async def test_fault_51_a_winning_leg_that_is_deleveraged_has_the_other_closed() -> None:
    async with trader() as one:
        number = one.sim.order("fill-on-cancel,venue=binance")
        pair = one.open(Liquidity.MAKER)  # bought below the mark, so that there is a profit to take away
        await until(lambda: one.sim.placed("binance", Segment.LINEAR) != [])
        one.executor.take_back(pair)
        await one.settled(pair)
        one.sim.faults.end(number)
        await closed_after(one, pair, "deleveraging,venue=binance,match=BTC", "adl")
