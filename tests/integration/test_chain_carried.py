"""Buy at one simulated exchange, carry it over, sell at the other: executor, carrier and venues over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.clock import SystemClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.market import TopOfBook
from bot.domain.order import Order, Side
from bot.domain.route import Link, Opportunity, Route
from bot.engine.terms.past_transfers import joined
from bot.execution.chain import Chain
from bot.execution.chain_executor import ChainExecutor
from bot.execution.context import ExecutionContext
from bot.execution.pair import PairState
from bot.settings import ExecutionSettings
from exchanges.routed.venue import ConnectedVenue
from exchanges.terms import terms_sources
from tests.integration.actions_rig import BY_FEED, VENUES, of, until
from tests.integration.carrier_rig import Process, World, world

D = Decimal
SPOT = {venue: of(venue, Segment.SPOT) for venue in VENUES}
PRICES = {"binance": (50000.0, 50000.1), "bybit": (50500.0, 50500.1)}
ROUTE = Route(
    kind="transfer",
    legs=(
        TradeLeg(instrument=SPOT["binance"], side=Side.BUY),
        TransferLeg(asset="BTC", from_venue="binance", to_venue="bybit", network="bitcoin"),
        TradeLeg(instrument=SPOT["bybit"], side=Side.SELL),
    ),
)
LINKS = (
    Link(quantity=D("0.5"), price=50000.1, spends=D("25000.05"), brings=D("0.4995")),
    Link(quantity=D("0.4995"), price=1.0, spends=D("0.4995"), brings=D("0.4993")),
    Link(quantity=D("0.499"), price=50500.0, spends=D("0.499"), brings=D("25174.3")),
)
OPPORTUNITY = Opportunity(
    route=ROUTE, ts_ns=1, quantity=D("0.5"), buy_price=50000.1, sell_price=50500.0, gross_edge_bps=99.9, costs=(),
    net_edge_bps=60.0, links=LINKS,
)  # fmt: skip
LIMITS = {"daily_cap": {"BTC": 1}, "max_per_transfer": {"BTC": 1}}


def quote(instrument: Instrument) -> TopOfBook:
    bid, ask = PRICES[instrument.venue]
    return TopOfBook(bid_price=bid, bid_qty=1.0, ask_price=ask, ask_qty=1.0, sequence=1)


class Bot(Process):
    """A process with an executor in it."""

    def __init__(self, there: World, venue: Any, earlier: Process | None = None) -> None:
        super().__init__(there, earlier, **LIMITS)
        self.states: list[PairState] = []  # type: ignore[assignment]
        self.alarms: list[str] = []
        settings = ExecutionSettings(price_cap_bps=5.0, complete_tries=2, retry_wait_ms=20.0)
        self.executor = ChainExecutor(
            ExecutionContext(
                actions=venue,
                journal=self.journal,
                clock=SystemClock(),
                settings=settings,
                quotes=quote,
                id_prefix="run",
                may_open=lambda: True,
                on_halt=self.alarms.append,
            ),
            on_chain=lambda chain: self.states.append(chain.state),
            on_chain_fill=lambda chain, name, fill: None,
            on_sent=self._sent,
            carrier=self.carrier,
        )
        self.executor.on_alarm = lambda chain, text: self.alarms.append(text)
        venue.listener = self.executor

    def _sent(self, order: Order) -> None:
        pass


@asynccontextmanager
async def venues(there: World) -> AsyncIterator[ConnectedVenue]:
    venue = ConnectedVenue({one: there.here.actions(one) for one in VENUES})
    await venue.start()
    try:
        yield venue
    finally:
        await venue.stop()


def btc(there: World) -> Decimal:
    return sum(
        (one.total for exchange in there.here.exchanges.values() for account in exchange.accounts
         for one in account.balances() if one.asset == "BTC"), D(0),
    )  # fmt: skip


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, time_scale=1e7) as one:
        for venue, (bid, ask) in PRICES.items():
            one.here.market.show(SPOT[venue], f"{bid}", f"{ask}")
        network = next(each for each in await one.operations["bybit"].networks("BTC") if each.chain == "bitcoin")
        address, _ = await one.operations["bybit"].deposit_address(network)
        entry = {"name": "bybit", "asset": "BTC", "network": "bitcoin", "address": address, "venue": "bybit"}
        (tmp_path / "allowed.yaml").write_text(yaml.safe_dump([entry]))
        yield one


async def test_a_chain_buys_carries_and_sells_and_its_profit_is_what_the_venues_hold(there: World) -> None:
    usdt, coins = sum(there.held(venue) for venue in VENUES), btc(there)
    async with venues(there) as venue:
        run = Bot(there, venue)
        chain = run.executor.open(OPPORTUNITY)
        await until(lambda: chain.state.is_over)
        assert run.states[-1] is PairState.CLOSED, run.alarms
        assert PairState.IN_FLIGHT in run.states
        assert run.alarms == []
        earned = sum(there.held(venue) for venue in VENUES) - usdt
        assert earned == -chain.away > 0
        assert btc(there) - coins == sum((-one for one in chain.dust.values()), D(0)), "what is left is named dust"
        # What it took is learned for the routes that follow.
        sources = terms_sources(BY_FEED, there.here.settings(), SystemClock(), {v: there.here.keys(v) for v in VENUES})
        (past,) = joined([move for source in sources for move in await source.moves()])
        assert (past.asset, past.chain, past.source, past.target) == ("BTC", "bitcoin", "binance", "bybit")
        assert past.seconds > 0


async def test_a_chain_that_is_killed_while_its_amount_travels_goes_home_where_it_arrives(there: World) -> None:
    async with venues(there) as venue:
        first = Bot(there, venue)
        there.chain.is_held = True
        chain = first.executor.open(OPPORTUNITY)
        await until(
            lambda: (
                PairState.IN_FLIGHT in first.states
                and len(there.here.exchanges["binance"].accounts[0].withdrawals()) == 1
            )
        )
        await until(lambda: first.journal.bodies()[-1]["state"] == "in_transit")
        await first.die()
        left = Chain("run-c1", OPPORTUNITY, opened_ns=1, state=PairState.IN_FLIGHT)
        left.flows, left.travels = dict(chain.flows), dict(chain.travels)
        left.orders, left.filled, left.fill_ids = dict(chain.orders), dict(chain.filled), set(chain.fill_ids)
        second = Bot(there, venue, first)
        second.executor.adopt(left)
        await asyncio.sleep(0)
        assert not left.state.is_over
        there.release()
        await until(lambda: left.state.is_over)
        assert there.withdrawals("binance") == 1
        assert there.held("bybit", "fund") == 0
