"""Random orders, cancels, transfers and funding on two simulated venues: nothing is made, nothing is lost."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from bot.domain.order import Side
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import binance_rules, bybit_rules
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountFill,
    Cause,
    Kind,
    Lifetime,
    NewOrder,
    OrderState,
    OrderUpdated,
    OrderView,
    TransferState,
)
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import Fault
from exchanges.simulator.faults.venue import VenueFaults
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket
from tests.unit.sim_account_market import LISTINGS, FixedMarket

D = Decimal
SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
FINAL = {OrderState.FILLED, OrderState.EXPIRED, OrderState.CANCELLED}
EMPTY: dict[str, Decimal] = {}
FUNDS = {"USDT": D(3_000), "BTC": D(20), "BNB": D("0.002")}

listings = st.sampled_from(range(len(LISTINGS)))
sides = st.sampled_from(Side)
ticks = st.integers(94, 106)
lots = st.integers(1, 6_000)
ORDER_FAULTS = (FaultKind.LATE_FILL, FaultKind.FILL_ON_CANCEL, FaultKind.PARTIAL_THEN_REJECT)
VENUE_FAULTS = (FaultKind.CLOCK_DRIFT, FaultKind.WRONG_NETWORK, FaultKind.WITHDRAWAL_HALT)

rates = st.integers(-300, 300).map(lambda n: D(n).scaleb(-4))


class Watch:
    """Everything that one account was told, and the rules that each of it must keep."""

    def __init__(self, account: SimulatedAccount) -> None:
        self.account = account
        self.fills: list[AccountFill] = []
        self.last: dict[int, OrderView] = {}
        self.told_ns = 0
        account.listen(self.hear)

    def hear(self, event: OrderUpdated | AccountChanged) -> None:
        assert event.ts_ns >= self.told_ns, "time does not go back"
        self.told_ns = event.ts_ns
        if isinstance(event, AccountChanged):
            return
        before = self.last.get(event.order.number)
        assert before is None or not before.state.is_final, "nothing follows the final state"
        self.last[event.order.number] = event.order
        if event.fill is not None:
            self.fills.append(event.fill)
            self.check_fill(event.order, event.fill)

    def check_fill(self, order: OrderView, fill: AccountFill) -> None:
        request = order.request
        if request.price is not None:
            assert request.side.sign * (fill.price - request.price) <= 0, "no fill is worse than its limit"
            assert not fill.is_maker or fill.price == request.price, "a resting order is filled at its price"
        assert not (request.lifetime is Lifetime.POST_ONLY and not fill.is_maker), "post-only never takes"
        if request.reduce_only:
            held = sum((one.side.sign * one.quantity for one in self.fills[:-1] if one.listing == fill.listing), D(0))
            assert held * fill.side.sign < 0, "reduce-only goes against the position"
            assert abs(held) >= fill.quantity, "and not beyond it"


class Trading(RuleBasedStateMachine):
    """Two customers of each venue; what they have together is added up a second time, in fractions."""

    @initialize(seed=st.integers(0, 3))
    def open_the_venues(self, seed: int) -> None:
        self.market = FixedMarket()
        self.chain = Chain(seed, time_scale=1000.0)
        self.faults = FaultDesk(VirtualClock())
        own = [
            replace(
                binance_rules(fees_in_bnb=True), balances={"spot": FUNDS, "linear": {"USDT": D(500)}}, max_open_orders=6
            ),
            replace(bybit_rules(), balances={"unified": FUNDS, "fund": EMPTY}, max_open_orders=6),
        ]
        self.venues = [
            SimulatedExchange(name, self.market, rules=rules, chain=self.chain, faults=self.faults)
            for name, rules in zip(("binance", "bybit"), own, strict=True)
        ]
        for venue in self.venues:
            VenueFaults(self.faults, venue)
        self.pump = Pump(self.venues, self.market)
        for venue in self.venues:
            venue.open_account()
        self.watches = [[Watch(account) for account in venue.accounts] for venue in self.venues]
        self.late: set[tuple[int, int]] = set()
        self.began = self.held()
        for listing in range(len(LISTINGS)):
            self.quote(listing, 99, 101, [900, 900])

    def watch(self, listing: int, who: int) -> Watch:
        return self.watches[0 if listing < 2 else 1][who]

    def now_ns(self, listing: int) -> int:
        return self.venues[0 if listing < 2 else 1].now_ns()

    def quote(self, listing: int, bid: int, ask: int, sizes: list[int]) -> None:
        """The street moves: resting orders that its prices reach are filled first, as by a trade through them."""
        reached = [
            (number, left)
            for (where, number), (buys, price, left) in self.market.resting.items()
            if where == listing and (ask <= price if buys else bid >= price)
        ]
        events = [self.market.reach(listing, number, left, self.pump.now_ns()) for number, left in reached]
        depth = list(enumerate(sizes))
        mark = D(bid + ask) / 2
        self.market.quote(listing, {bid - i: size for i, size in depth}, {ask + i: size for i, size in depth}, mark)
        self.market.events += [*events, self.market.mark_event(listing, mark, self.pump.now_ns())]
        self.step()

    def step(self) -> None:
        self.pump.advance_to(self.pump.now_ns() + 1_000_000)

    @rule(
        listing=listings,
        bid=st.integers(95, 104),
        gap=st.integers(1, 3),
        sizes=st.lists(st.integers(1, 3000), max_size=3),
    )
    def requote(self, listing, bid, gap, sizes):
        self.quote(listing, bid, bid + gap, sizes)

    @rule(
        listing=listings, who=st.integers(0, 1), side=sides, price=ticks, quantity=lots, reduce_only=st.booleans(),
        lifetime=st.sampled_from(Lifetime), client_id=st.sampled_from(["", "", "a", "b"]),
    )  # fmt: skip
    def place_limit(self, listing, who, side, price, quantity, reduce_only, lifetime, client_id):
        amount = D(quantity).scaleb(-3)
        self.place(who, NewOrder(listing, side, Kind.LIMIT, lifetime, amount, D(price), client_id, reduce_only))

    @rule(listing=listings, who=st.integers(0, 1), side=sides, quantity=lots, reduce_only=st.booleans())
    def place_market(self, listing, who, side, quantity, reduce_only):
        amount = D(quantity).scaleb(-3)
        self.place(who, NewOrder(listing, side, Kind.MARKET, Lifetime.IOC, amount, None, "", reduce_only))

    @rule(listing=st.sampled_from([0, 2]), who=st.integers(0, 1), side=sides, quote=st.integers(1, 90_000))
    def place_quote(self, listing, who, side, quote):
        amount = D(quote).scaleb(-2)
        order = NewOrder(listing, side, Kind.MARKET, Lifetime.IOC, None, None, "", quote_quantity=amount)
        done = self.place(who, order)
        if done is not None:
            assert done.filled_notional <= amount

    def place(self, who: int, request: NewOrder) -> OrderView | None:
        where = LISTINGS[request.listing].instrument
        may_be_late = self.faults.peek(FaultKind.LATE_FILL, where.venue, where.segment, where.symbol) is not None
        done = self.watch(request.listing, who).account.place(request, self.now_ns(request.listing))
        if not isinstance(done, OrderView):
            return None
        if may_be_late:
            self.late.add((request.listing, done.number))
            return done
        if request.lifetime is Lifetime.FOK:
            assert done.filled in (0, done.quantity), "all or nothing"
        if request.kind is Kind.MARKET or request.lifetime in (Lifetime.IOC, Lifetime.FOK):
            assert done.state.is_final
        return done

    @precondition(lambda self: self.market.resting)
    @rule(data=st.data(), part=st.integers(1, 3000), and_cancel=st.booleans())
    def be_reached(self, data, part, and_cancel):
        """A resting order is filled, and its owner may cancel it before he hears of that."""
        listing, number = data.draw(st.sampled_from(sorted(self.market.resting)))
        fill = self.market.reach(listing, number, part, self.pump.now_ns())
        if and_cancel:
            for watch in self.watches[0 if listing < 2 else 1]:
                watch.account.cancel(listing=listing, number=number, client_id=None, ts_ns=self.now_ns(listing))
        self.market.events.append(fill)
        self.step()

    @rule(listing=listings, who=st.integers(0, 1))
    def cancel_all(self, listing, who):
        self.watch(listing, who).account.cancel_all(listing, self.now_ns(listing))

    @rule(listing=st.sampled_from([1, 3]), rate=rates)
    def fund(self, listing, rate):
        self.market.events.append(self.market.funding_event(listing, rate, self.pump.now_ns()))
        self.step()

    @rule(who=st.integers(0, 1), amount=st.integers(1, 200_000), back=st.booleans())
    def move(self, who, amount, back):
        wallets = ("linear", "spot") if back else ("spot", "linear")
        account = self.watches[0][who].account
        account.move("USDT", D(amount).scaleb(-2), source=wallets[0], target=wallets[1], ts_ns=self.now_ns(0))

    @rule(
        venue=st.integers(0, 1),
        who=st.integers(0, 1),
        asset=st.sampled_from(["BTC", "USDT"]),
        amount=st.integers(1, 3000),
    )
    def send(self, venue, who, asset, amount):
        network = {"BTC": "bitcoin", "USDT": "tron"}[asset]
        target = self.watches[1 - venue][who].account.deposit_address(asset, network)
        wallet = ("spot", "unified")[venue]
        self.watches[venue][who].account.withdraw(
            asset, network, D(amount).scaleb(-1), target[0], "", "", self.venues[venue].now_ns(), wallet
        )

    @rule(venue=st.integers(0, 1), is_open=st.booleans())
    def suspend(self, venue, is_open):
        (self.venues[venue].resume if is_open else self.venues[venue].suspend)("tron")

    @rule(minutes=st.integers(1, 60))
    def pass_time(self, minutes):
        self.pump.advance_to(self.pump.now_ns() + minutes * 60 * SECOND // 1000)

    @rule(listing=st.sampled_from([1, 3]), liquidate=st.booleans())
    def force(self, listing, liquidate):
        venue = self.venues[0 if listing < 2 else 1]
        (venue.force_liquidation if liquidate else venue.force_adl)(listing)

    @rule(
        kind=st.sampled_from(ORDER_FAULTS), venue=st.sampled_from(["binance", "bybit"]),
        segment=st.sampled_from([None, Segment.SPOT, Segment.LINEAR]), count=st.integers(1, 3),
        amount=st.floats(0.01, 2),
    )  # fmt: skip
    def bend_orders(self, kind, venue, segment, count, amount):
        size = None if kind is FaultKind.FILL_ON_CANCEL else amount
        self.faults.order(Fault(fault=kind, venue=venue, segment=segment, for_s=0, count=count, amount=size))

    @rule(kind=st.sampled_from(VENUE_FAULTS), venue=st.sampled_from(["binance", "bybit"]), ms=st.integers(-900, 900))
    def bend_the_venue(self, kind, venue, ms):
        self.faults.order(Fault(fault=kind, venue=venue, amount=ms if kind is FaultKind.CLOCK_DRIFT else None))

    @precondition(lambda self: not self.faults.is_quiet)
    @rule()
    def end_the_oldest_fault(self):
        self.faults.end(next(one.number for one in self.faults.orders if one.state == "active"))

    def held(self) -> dict[str, Fraction]:
        sums: defaultdict[str, Fraction] = defaultdict(Fraction)
        for watches in self.watches:
            for watch in watches:
                for balance in watch.account.balances():
                    sums[balance.asset] += Fraction(balance.total)
        return sums

    @invariant()
    def cash_is_conserved(self):
        owed = defaultdict(Fraction, self.began)
        for watches in self.watches:
            for watch in watches:
                for one in watch.fills:
                    owed[one.fee_asset] -= Fraction(one.fee)
                    owed["USDT"] += Fraction(one.realised)
                    if LISTINGS[one.listing].instrument.segment is Segment.SPOT:
                        owed["BTC"] += one.side.sign * Fraction(one.quantity)
                        owed["USDT"] -= one.side.sign * Fraction(one.quantity) * Fraction(one.price)
                for income in watch.account.income():
                    if income.cause is Cause.FUNDING:
                        owed["USDT"] += Fraction(income.amount)
        for asset in owed:
            owed[asset] -= Fraction(self.chain.on_its_way(asset)) + Fraction(self.chain.outside[asset])
            owed[asset] += sum(Fraction(venue.insurance[asset]) for venue in self.venues)
        for one in (one for watches in self.watches for watch in watches for one in watch.account.withdrawals()):
            owed[one.asset] -= Fraction(one.fee)
        assert self.held() == owed

    @invariant()
    def fees_are_what_the_venues_took(self):
        for venue, watches in zip(self.venues, self.watches, strict=True):
            paid: defaultdict[str, Fraction] = defaultdict(Fraction)
            for watch in watches:
                for fill in watch.fills:
                    paid[fill.fee_asset] += Fraction(fill.fee)
                for one in watch.account.withdrawals():
                    paid[one.asset] += Fraction(one.fee)
            assert {asset: Fraction(fee) for asset, fee in venue.fees.items() if fee} == {
                k: v for k, v in paid.items() if v
            }

    @invariant()
    def positions_are_the_sum_of_their_fills(self):
        for watches in self.watches:
            for watch in watches:
                for view in watch.account.positions():
                    fills = [one for one in watch.fills if one.listing == view.listing]
                    assert view.quantity == sum(one.side.sign * one.quantity for one in fills)
                    flow = sum(-one.side.sign * Fraction(one.price) * Fraction(one.quantity) for one in fills)
                    # What was realised is the cash flow of the fills but for what the open position cost.
                    cost = Fraction(view.quantity) * Fraction(view.entry_price)
                    assert abs(Fraction(view.realised) - flow - cost) < Fraction(1, 10**15)

    @invariant()
    def locks_belong_to_something_open(self):
        for watches in self.watches:
            for watch in watches:
                account = watch.account
                is_flat = not account.open_orders(None) and not any(one.quantity for one in account.positions())
                for balance in account.balances():
                    assert balance.locked >= 0
                    assert not (is_flat and balance.locked)
                    assert balance.total >= 0

    @invariant()
    def what_is_told_is_what_is_asked(self):
        for watches in self.watches:
            for watch in watches:
                assert {one.number: one for one in watch.account.orders(None)} == watch.last
                assert list(watch.account.fills(None)) == watch.fills
                for order in watch.last.values():
                    mine = [one for one in watch.fills if one.order_number == order.number]
                    assert order.filled == sum(one.quantity for one in mine) <= order.quantity
                    assert order.state in FINAL | {OrderState.NEW, OrderState.PARTIALLY_FILLED}
                    assert (order.filled == order.quantity and order.quantity > 0) is (order.state is OrderState.FILLED)
                    assert order.request.lifetime is not Lifetime.FOK or order.filled in (0, order.quantity)
                    spent = order.request.quote_quantity
                    assert spent is None or order.filled_notional <= spent

    @invariant()
    def open_orders_are_in_the_book(self):
        open_now = {
            (one.request.listing, one.number): int((one.quantity - one.filled) * 1000)
            for watches in self.watches
            for watch in watches
            for one in watch.account.open_orders(None)
        }
        resting = {key: left for key, (_, _, left) in self.market.resting.items()}
        assert {key: left for key, left in open_now.items() if key in resting} == resting
        assert open_now.keys() - resting.keys() <= self.late, "only late orders are open and not in the book"

    def teardown(self) -> None:
        if not hasattr(self, "venues"):
            return
        self.faults.end_all()
        for venue in self.venues:
            venue.resume("tron")
        self.pump.advance_to(self.pump.now_ns() + 3600 * SECOND)
        for venue, watches in zip(self.venues, self.watches, strict=True):
            assert (venue.drift_ns, venue.now_ns()) == (0, self.pump.now_ns()), "the clock is right again"
            for watch in watches:
                watch.account.cancel_all(None, venue.now_ns())
                assert all(order.state in FINAL for order in watch.last.values())
                assert all(one.state is TransferState.DONE for one in watch.account.withdrawals())


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@settings(max_examples=10, deadline=None)
@given(
    bent=st.sets(st.sampled_from((*ORDER_FAULTS, FaultKind.CLOCK_DRIFT, FaultKind.DELISTING))),
    seed=st.integers(0, 1000),
    scenario=st.sampled_from(["calm", "lively", "crash"]),
    orders=st.lists(
        st.tuples(
            st.integers(0, 7), sides, st.integers(-12, 12), st.integers(1, 40), st.sampled_from(Lifetime),
            st.booleans(), st.integers(0, 400),
        ),
        max_size=25,
    ),
)  # fmt: skip
def test_on_the_simulated_market_every_order_ends_and_every_fill_keeps_its_limit(bent, seed, scenario, orders):
    market = SimulatedMarket(
        [*default_listings("binance"), *default_listings("bybit")], seed=seed, start_ns=START, scenario=scenario
    )
    clock = VirtualClock(START)
    faults = FaultDesk(clock)
    venues = [SimulatedExchange(name, market, faults=faults) for name in ("binance", "bybit")]
    pump = Pump(venues, market, start_ns=START)
    for venue in venues:
        VenueFaults(faults, venue)
        for kind in sorted(bent):
            size = 0.3 if kind in (FaultKind.LATE_FILL, FaultKind.PARTIAL_THEN_REJECT) else None
            faults.order(Fault(fault=kind, venue=venue.venue, at_s=0.5, for_s=1.0, amount=size))
    watches = {id(venue): Watch(venue.accounts[0]) for venue in venues}
    for listing, side, off, size, lifetime, cancels, wait_ms in orders:
        venue = next(one for one in venues if listing in one.listings)
        instrument = market.listings[listing].instrument
        price = instrument.floor_price(market.mark(listing)) + off * 10 * instrument.tick_size
        quantity = instrument.floor_quantity(D(size) / 100)
        account = watches[id(venue)].account
        account.place(NewOrder(listing, side, Kind.LIMIT, lifetime, quantity, price, ""), venue.now_ns())
        pump.advance_to(pump.now_ns() + wait_ms * 1_000_000)
        clock.advance_to(pump.now_ns())
        if cancels:
            account.cancel_all(listing, venue.now_ns())
    faults.end_all()
    for venue, watch in ((one, watches[id(one)]) for one in venues):
        watch.account.cancel_all(None, venue.now_ns())
        assert all(order.state in FINAL for order in watch.last.values())
        for order in watch.last.values():
            if order.request.lifetime is Lifetime.FOK:
                assert order.filled in (0, order.quantity)
        locked = [one.locked for one in watch.account.balances() if one.asset != "USDT"]
        assert not any(locked)
        for asset in ("BTC", "ETH"):
            fills = [one for one in watch.fills if market.listings[one.listing].instrument.base == asset]
            spot = [one for one in fills if not market.listings[one.listing].instrument.is_perpetual]
            moved = sum((one.side.sign * one.quantity for one in spot), D(0))
            fees = sum((one.fee for one in fills if one.fee_asset == asset), D(0))
            have = sum(one.total for one in watch.account.balances() if one.asset == asset)
            assert have == venue.rules.balances[venue.rules.wallets[Segment.SPOT]][asset] + moved - fees
