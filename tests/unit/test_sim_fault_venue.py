"""Faults of a venue itself: its clock, its books, its keys, its networks, its customers' positions."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.order import Side
from exchanges.simulator.accounts.agenda import Agenda
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.drift import DriftingClock
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountEvent,
    BookChanged,
    Cause,
    Kind,
    Lifetime,
    MarketEvent,
    NewOrder,
    OrderState,
    OrderView,
    Refusal,
    StatusChanged,
    TradePrinted,
    TradingStatus,
    TransferState,
    TransferView,
)
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import fault_from_text
from exchanges.simulator.faults.venue import VenueFaults
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

D = Decimal
MS, SECOND = 1_000_000, 1_000_000_000
START = 1_790_000_000 * SECOND


class Seen:
    """What one venue showed, and the books that one can build from it."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.events: list[MarketEvent] = []
        market = exchange.market
        self.books = {one: tuple(dict(side) for side in market.levels(one, 1000)) for one in exchange.listings}
        self.ids = {one: market.book_id(one) for one in exchange.listings}
        exchange.subscribe(self.hear)

    def hear(self, events) -> None:
        for event in events:
            assert not self.events or event.ts_ns >= self.events[-1].ts_ns, "time does not go back"
            self.events.append(event)
            if isinstance(event, BookChanged):
                self.apply(event)

    def apply(self, change: BookChanged) -> None:
        assert change.previous_id == self.ids[change.listing], "the chain of ids holds"
        assert change.last_id >= change.first_id > change.previous_id
        self.ids[change.listing] = change.last_id
        for side, levels in zip(self.books[change.listing], (change.bids, change.asks), strict=True):
            side.update(levels)
            for ticks in [ticks for ticks, lots in side.items() if not lots]:
                del side[ticks]


class World:
    """Both venues on the simulated market, on virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        listings = [*default_listings("binance"), *default_listings("bybit")]
        market = SimulatedMarket(listings, seed=5, start_ns=START, scenario="calm", rate=0.3)
        self.chain = Chain(5, time_scale=1e6)
        self.faults = FaultDesk(self.clock)
        self.binance, self.bybit = (
            SimulatedExchange(name, market, chain=self.chain, faults=self.faults) for name in ("binance", "bybit")
        )
        for exchange in (self.binance, self.bybit):
            VenueFaults(self.faults, exchange)
        self.pump = Pump([self.binance, self.bybit], market, start_ns=START)
        self.seen = {exchange.venue: Seen(exchange) for exchange in (self.binance, self.bybit)}

    def to(self, seconds: float, step_s: float = 0.02) -> None:
        end_ns = START + round(seconds * SECOND)
        while self.pump.now_ns() < end_ns:
            self.pump.advance_to(min(end_ns, self.pump.now_ns() + round(step_s * SECOND)))
            self.clock.advance_to(self.pump.now_ns())

    def order(self, line: str) -> int:
        return self.faults.order(fault_from_text(line))

    def place(self, exchange: SimulatedExchange, listing: int, side: Side, **more) -> OrderView | Refusal:
        what = exchange.listings[listing].instrument
        quantity, life = what.floor_quantity(D("0.05")), Lifetime.IOC
        price = what.floor_price(exchange.market.mark(listing) * D(more.pop("at", 1)))
        kind = more.pop("kind", Kind.MARKET)
        if kind is Kind.LIMIT:
            life = Lifetime.GTC
        request = NewOrder(listing, side, kind, life, quantity, price if kind is Kind.LIMIT else None, "", **more)
        return exchange.accounts[0].place(request, exchange.now_ns())


def listing_of(exchange: SimulatedExchange, symbol: str) -> int:
    return next(index for index, one in exchange.listings.items() if one.instrument.symbol == symbol)


@pytest.fixture
def world() -> World:
    return World()


# The clock


@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(0, 3 * SECOND)), max_size=6), st.data())
def test_a_drifting_clock_never_goes_back_and_can_be_turned_round(puts, data) -> None:
    clock, now_ns, shown_ns = DriftingClock(), START, START
    for ahead_ms, pause_ns in [*puts, (0, 10 * SECOND)]:
        clock.put(ahead_ms * MS, now_ns)
        for at_ns in sorted(data.draw(st.lists(st.integers(now_ns, now_ns + pause_ns), max_size=5))):
            own_ns = clock.own_ns(at_ns)
            assert own_ns >= shown_ns
            assert at_ns <= clock.market_ns(own_ns) <= at_ns + 1
            shown_ns = own_ns
        now_ns += pause_ns
    assert clock.own_ns(now_ns) == now_ns
    assert clock.is_right


def test_a_clock_is_put_forward_at_once_and_back_at_half_its_speed() -> None:
    clock = DriftingClock()
    clock.put(1_500, 10_000)
    assert clock.own_ns(10_000) == 11_500
    clock.put(0, 20_000)
    assert [clock.own_ns(20_000 + n) for n in (0, 1_000, 3_000, 3_001)] == [21_500, 22_000, 23_000, 23_001]


def test_all_that_is_seen_of_a_venue_moves_with_its_clock(world: World) -> None:
    world.to(1)
    world.order("clock-drift,venue=binance,amount=1500,for_s=2")
    before = len(world.seen["binance"].events), len(world.seen["bybit"].events)
    assert world.binance.now_ns() - world.bybit.now_ns() == 1_500 * MS
    told: list[AccountEvent] = []
    world.binance.accounts[0].listen(told.append)
    done = world.place(world.binance, 0, Side.BUY)
    assert isinstance(done, OrderView)
    assert {one.ts_ns for one in told} == {world.binance.now_ns()} == {done.created_ns, done.updated_ns}
    world.to(2)
    for event in world.seen["binance"].events[before[0] :]:
        assert START + 2.5 * SECOND <= event.ts_ns <= START + 3.5 * SECOND
    for event in world.seen["bybit"].events[before[1] :]:
        assert START + SECOND <= event.ts_ns <= START + 2 * SECOND, "the market's time did not follow"
    world.to(6.1)
    assert world.binance.now_ns() == world.bybit.now_ns() == START + 6.1 * SECOND


def test_drifts_add_up_and_end_one_by_one(world: World) -> None:
    first, second = (world.order(f"clock-drift,venue=bybit,amount={ms}") for ms in (400, -100))
    world.to(1)
    assert world.bybit.drift_ns == 300 * MS
    world.faults.end(second)
    assert world.bybit.drift_ns == 400 * MS
    world.faults.end(first)
    world.to(2)
    assert (world.bybit.drift_ns, world.binance.drift_ns) == (0, 0)


# Keys


def test_a_revoked_key_comes_back_with_the_end_of_the_last_fault(world: World) -> None:
    key = world.bybit.credentials.api_key
    first, second = (world.order("key-revoked,venue=bybit") for _ in range(2))
    world.faults.end(first)
    assert (world.bybit.account(key), world.bybit.secret(key)) == (None, None)
    assert world.binance.account(key) is None, "keys of two venues are two keys here"
    assert world.binance.account(world.binance.credentials.api_key) is not None
    world.faults.end(second)
    assert world.bybit.account(key) is world.bybit.accounts[0]


# Listings


def test_a_delisted_listing_settles_then_has_no_book_then_comes_back_whole(world: World) -> None:
    listing = listing_of(world.bybit, "BTC/USDT:USDT")
    others = [one for one in world.bybit.listings if one != listing]
    resting = world.place(world.bybit, listing, Side.BUY, kind=Kind.LIMIT, at="0.97")
    held = world.place(world.bybit, listing, Side.BUY)
    assert isinstance(resting, OrderView)
    assert isinstance(held, OrderView)
    world.order("delisting,venue=bybit,for_s=4,match=BTC/USDT:USDT")
    world.to(1)
    assert world.place(world.bybit, listing, Side.BUY) is Refusal.NOT_TRADING
    reduced = world.place(world.bybit, listing, Side.SELL, reduce_only=True)
    assert isinstance(reduced, OrderView)
    assert reduced.state is OrderState.FILLED
    assert all(isinstance(world.place(world.bybit, one, Side.BUY), OrderView) for one in others)
    assert any(world.bybit.market.levels(listing, 1))

    world.to(2)
    seen = world.seen["bybit"]
    assert world.bybit.market.levels(listing, 1) == ((), ())
    assert seen.books[listing] == ({}, {})
    assert seen.ids[listing] == world.bybit.market.book_id(listing)
    assert not world.bybit.accounts[0].open_orders(listing)
    ended = world.bybit.accounts[0].order(listing=listing, number=resting.number, client_id=None)
    assert isinstance(ended, OrderView)
    assert (ended.state, ended.reason) == (OrderState.CANCELLED, "the listing is closed")
    assert world.bybit.market.status(listing) is TradingStatus.SETTLING
    assert world.place(world.bybit, listing, Side.SELL, reduce_only=True) is Refusal.NOT_TRADING
    silent_from = len(seen.events)
    world.to(3.9)
    hidden = [one for one in seen.events[silent_from:] if isinstance(one, BookChanged | TradePrinted)]
    assert hidden
    assert listing not in {one.listing for one in hidden}

    world.to(6)
    statuses = [one.status for one in seen.events if isinstance(one, StatusChanged)]
    assert statuses == [TradingStatus.SETTLING, TradingStatus.TRADING]
    for one in world.bybit.listings:
        assert seen.books[one] == tuple(dict(side) for side in world.bybit.market.levels(one, 1000))
        assert isinstance(world.place(world.bybit, one, Side.BUY), OrderView)


def test_a_listing_that_two_faults_delist_stays_away_until_the_second_ends(world: World) -> None:
    listing = listing_of(world.binance, "ETH/USDT")
    world.order("delisting,venue=binance,for_s=1,match=ETH/USDT,segment=spot")
    world.order("delisting,venue=binance,for_s=3,match=ETH/USDT,segment=spot")
    world.to(2)
    assert world.binance.market.status(listing) is TradingStatus.SETTLING
    world.to(3.5)
    assert world.binance.market.status(listing) is TradingStatus.TRADING
    assert any(world.binance.market.levels(listing, 1))


def test_a_delisting_that_ends_early_takes_no_book_away(world: World) -> None:
    number = world.order("delisting,venue=binance,for_s=4")
    world.to(1)
    world.faults.end(number)
    world.to(3)
    assert all(any(world.binance.market.levels(one, 1)) for one in world.binance.listings)


def test_positions_of_a_closed_book_are_liquidated_at_the_mark(world: World) -> None:
    listing = listing_of(world.binance, "BTC/USDT:USDT")
    world.place(world.binance, listing, Side.BUY)
    world.order("delisting,venue=binance,for_s=8,match=BTC/USDT:USDT")
    world.to(4.1)
    world.order("liquidation,venue=binance")
    assert world.binance.accounts[0].fills(listing)[-1].price == world.binance.market.mark(listing)
    assert world.binance.accounts[0].positions()[0].quantity == 0


# Networks


def sent(world: World, network: str, address: str = "") -> TransferView | Refusal:
    target = world.bybit.accounts[0].deposit_address("USDT", network)
    assert not isinstance(target, Refusal)
    return world.binance.accounts[0].withdraw(
        "USDT", network, D(100), address or target[0], "", "", world.binance.now_ns()
    )


def contracts(exchange: SimulatedExchange) -> dict[tuple[str, str], str]:
    return {(one.asset, one.id): one.contract for one in exchange.accounts[0].networks()}


def test_what_is_sent_on_a_wrong_network_is_confirmed_and_never_arrives(world: World) -> None:
    right = contracts(world.binance)
    assert right == contracts(world.bybit)
    assert right["USDT", "tron"].startswith("T")
    number = world.order("wrong-network,venue=binance,match=tron")
    shown = contracts(world.binance)
    assert shown["USDT", "tron"] != right["USDT", "tron"]
    assert {key: one for key, one in shown.items() if key[1] != "tron"} == {
        key: one for key, one in right.items() if key[1] != "tron"
    }
    assert contracts(world.bybit) == right
    lost, kept = sent(world, "tron"), sent(world, "ethereum")
    world.faults.end(number)
    assert contracts(world.binance) == right
    again = sent(world, "tron")
    assert not any(isinstance(one, Refusal) for one in (lost, kept, again))
    world.to(5)
    assert [one.state for one in world.binance.accounts[0].withdrawals()] == [TransferState.DONE] * 3
    assert all(one.tx_id for one in world.binance.accounts[0].withdrawals())
    assert sorted(one.network for one in world.bybit.accounts[0].deposits()) == ["ethereum", "tron"]
    assert world.chain.outside["USDT"] == 100


def test_a_halted_network_takes_no_withdrawals_until_the_halt_ends(world: World) -> None:
    world.order("withdrawal-halt,venue=binance,match=tron,for_s=2")
    assert sent(world, "tron") is Refusal.WITHDRAWAL_SUSPENDED
    assert isinstance(sent(world, "bsc"), TransferView)
    open_ = {one.id: (one.can_withdraw, one.can_deposit) for one in world.binance.accounts[0].networks()}
    assert (open_["tron"], open_["bsc"]) == ((False, False), (True, True))
    world.to(2.5)
    assert isinstance(sent(world, "tron"), TransferView)


def test_a_halt_without_a_network_halts_them_all(world: World) -> None:
    world.order("withdrawal-halt,venue=bybit")
    assert not any(one.can_withdraw for one in world.bybit.accounts[0].networks())
    assert all(one.can_withdraw for one in world.binance.accounts[0].networks())


# Positions


def test_a_liquidation_closes_the_positions_that_it_names_and_counts_them(world: World) -> None:
    btc, eth = (listing_of(world.binance, f"{base}/USDT:USDT") for base in ("BTC", "ETH"))
    for one in (btc, eth):
        world.place(world.binance, one, Side.BUY)
    number = world.order("liquidation,venue=binance,match=BTC")
    held = {one.listing: one.quantity for one in world.binance.accounts[0].positions()}
    assert held == {btc: 0, eth: D("0.05")}
    ordered = next(one for one in world.faults.orders if one.number == number)
    assert (ordered.state, ordered.struck) == ("ended", 1)
    newest = world.binance.accounts[0].orders(btc)[-1]
    assert newest.client_id == f"autoclose-{newest.number}"


def test_a_liquidation_strikes_as_often_as_it_was_to(world: World) -> None:
    for base in ("BTC", "ETH"):
        world.place(world.bybit, listing_of(world.bybit, f"{base}/USDT:USDT"), Side.BUY)
    world.order("liquidation,venue=bybit,count=1")
    assert len([one for one in world.bybit.accounts[0].positions() if one.quantity]) == 1


def test_a_deleveraging_takes_only_winners(world: World) -> None:
    listing = listing_of(world.bybit, "BTC/USDT:USDT")
    told: list[AccountEvent] = []
    world.place(world.bybit, listing, Side.BUY)
    world.bybit.accounts[0].listen(told.append)
    account = world.bybit.accounts[0]
    for second in range(1, 200):
        world.to(second)
        is_winner = account.positions()[0].unrealised > 0
        number = world.order("deleveraging,venue=bybit,segment=linear")
        struck = next(one.struck for one in world.faults.orders if one.number == number)
        assert struck == is_winner
        if is_winner:
            break
    assert (is_winner, account.positions()[0].quantity) == (True, 0)
    assert [one.cause for one in told if isinstance(one, AccountChanged) and one.cause is not Cause.ORDER] == [
        Cause.ADL
    ]
    assert account.orders(listing)[-1].client_id == "adl_autoclose"


def test_an_agenda_runs_what_was_not_dropped_once_and_in_order() -> None:
    agenda, ran = Agenda(), []
    agenda.at(5, lambda now: ran.append(("b", now)))
    drop = agenda.at(4, lambda now: ran.append(("dropped", now)))
    agenda.at(5, lambda now: ran.append(("c", now)))
    stay = agenda.at(3, lambda now: ran.append(("a", now)))
    drop()
    assert agenda.next_event_ns() == 3
    agenda.advance_to(4)
    stay()
    agenda.advance_to(9)
    assert (ran, agenda.next_event_ns()) == ([("a", 3), ("b", 5), ("c", 5)], None)
