"""Random orders, quotes and funding: cash and positions are conserved to the last digit, depth is never invented."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.domain.fees import FeeSchedule, fee_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import InsufficientBalance
from bot.matching.accounts import Accounts
from bot.matching.book import VisibleBook
from bot.matching.cash import cash_flow, cash_value, exact, from_float
from bot.matching.matching_engine import MatchingEngine
from bot.matching.position import OpenPosition

D = Decimal
SPOT = Instrument(
    venue="a", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT",
    tick_size=D("0.01"), lot_size=D("0.001"), min_quantity=D("0.002"), min_notional=D(1),
)  # fmt: skip
LINEAR = Instrument(
    venue="a", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.03"), contract_multiplier=D("0.1"), min_notional=D(1),
)  # fmt: skip
INVERSE = Instrument(
    venue="a", symbol="ETH/USD:ETH", segment=Segment.INVERSE, base="ETH", quote="USD", settle="ETH",
    tick_size=D("0.05"), lot_size=D(1), contract_multiplier=D(10),
)  # fmt: skip
TRADED = (SPOT, LINEAR, INVERSE)
TAKER = {SPOT.id: D("7.5"), LINEAR.id: D("4.321"), INVERSE.id: D("-0.5")}
START = {"USDT": D(20_000), "ETH": D(15)}
WALLET = "a.unified"

prices = st.floats(90, 110, allow_nan=False) | st.sampled_from([99.9, 100.0, 100.1])
sizes = st.floats(0, 60, allow_nan=False) | st.sampled_from([0.0, 5.0, 100.0, 300.0])
quantities = st.integers(1, 60_000).map(lambda n: D(n) / 1000)
lots = st.integers(1, 400) | st.just(40)
rates = st.integers(-200, 200).map(lambda n: D(n).scaleb(-5))
instruments = st.sampled_from(TRADED)
sides = st.sampled_from(Side)


class Trading(RuleBasedStateMachine):
    """One unified wallet for all three segments; everything is added up a second time, in fractions."""

    @initialize()
    def open_the_desk(self) -> None:
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(0), taker_bps=TAKER[i.id], source="settings") for i in TRADED
        }
        self.accounts = Accounts({WALLET: START}, D("0.2"), lambda _: WALLET)
        self.engine = MatchingEngine(self.accounts, fees)
        self.books = {i.id: VisibleBook(i) for i in TRADED}
        self.shown: dict[tuple[str, Side], tuple[float, float]] = {}
        self.taken: defaultdict[tuple[str, Side], Fraction] = defaultdict(Fraction)
        self.fills: list[Fill] = []
        self.funding: defaultdict[str, Fraction] = defaultdict(Fraction)
        self.count = 0
        for instrument in TRADED:
            self.quote(instrument, 99.9, 200.0, 100.1, 200.0)

    @rule(instrument=instruments, bid=prices, bid_qty=sizes, ask=prices, ask_qty=sizes)
    def quote(self, instrument: Instrument, bid: float, bid_qty: float, ask: float, ask_qty: float) -> None:
        self.books[instrument.id].on_quote(
            TopOfBook(bid_price=bid, bid_qty=bid_qty, ask_price=ask, ask_qty=ask_qty, sequence=1)
        )
        for side, price, size in ((Side.BUY, ask, ask_qty), (Side.SELL, bid, bid_qty)):
            if self.shown.get((instrument.id, side), (0.0, 0.0))[0] != price:
                self.taken[instrument.id, side] = Fraction(0)
            self.shown[instrument.id, side] = (price, size)

    @rule(
        instrument=instruments, side=sides, size=lots, off_grid=st.sampled_from([0, 0, 0, 0, D("0.0001")]),
        reduce_only=st.sampled_from([False, False, True]),
        limit=st.none() | st.sampled_from([D(90), D(110)]) | prices.map(lambda p: D(str(round(p, 1)))),
    )  # fmt: skip
    def order(
        self, instrument: Instrument, side: Side, size: int, off_grid: Decimal, reduce_only: bool, limit: Decimal | None
    ) -> None:
        self.send(instrument, side, size * instrument.lot_size + off_grid, reduce_only, limit)

    def send(
        self, instrument: Instrument, side: Side, quantity: Decimal, reduce_only: bool, limit: Decimal | None
    ) -> None:
        self.count += 1
        order = Order(
            client_order_id=f"o{self.count}", instrument=instrument, side=side, quantity=quantity,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT, time_in_force=TimeInForce.IOC,
            price=limit, reduce_only=reduce_only, ts_decision_ns=0,
        )  # fmt: skip
        before, held = self.accounts.balances(), self.accounts.position(instrument).quantity
        result = self.engine.match(order, self.books[instrument.id], self.count)
        assert result.order.status.is_terminal
        if result.order.status is OrderStatus.REJECTED:
            assert (self.accounts.balances(), result.fills) == (before, ())
        assert (result.rejection is None) is (result.order.status is not OrderStatus.REJECTED)
        self._check_fills(result.order, result.fills, held)
        self.fills += result.fills

    def _check_fills(self, order: Order, fills: tuple[Fill, ...], held: Decimal) -> None:
        assert order.filled_quantity == sum(f.quantity for f in fills) <= order.quantity
        assert (order.status is OrderStatus.FILLED) is (order.filled_quantity == order.quantity)
        for fill in fills:
            key = (order.instrument.id, order.side)
            price, size = self.shown[key]
            self.taken[key] += Fraction(fill.quantity)
            assert self.taken[key] <= Fraction(from_float(size))  # never more than shown
            assert fill.price == from_float(price)
            assert fill.quantity % order.instrument.lot_size == 0
            assert order.price is None or order.side.sign * (fill.price - order.price) <= 0
            rate = Fraction(TAKER[order.instrument.id]) / 10_000
            charged = fill.quantity if fill.fee_asset == "ETH" and order.instrument is SPOT else _value(fill)
            assert Fraction(fill.fee) == Fraction(charged) * rate
            assert fill.fee_asset == fee_asset(order.instrument, order.side)
        if order.reduce_only and fills:
            assert order.filled_quantity <= abs(held)
            assert held * order.side.sign < 0

    @rule(instrument=st.sampled_from([LINEAR, INVERSE]), mark=prices, rate=rates)
    def settle_funding(self, instrument: Instrument, mark: float, rate: Decimal) -> None:
        held = self.accounts.position(instrument).quantity
        payment = self.accounts.settle_funding(instrument, rate, from_float(mark), self.count)
        assert (payment is None) is (held == 0)
        if payment is not None:
            worth = Fraction(cash_value(instrument, from_float(mark), abs(held)))
            sign = 1 if held > 0 else -1
            assert Fraction(payment.amount) == -sign * worth * Fraction(rate)
            self.funding[payment.asset] += Fraction(payment.amount)

    @rule()
    @precondition(lambda self: any(p.quantity for p in self.accounts.positions()))
    def go_flat(self) -> None:
        for position in self.accounts.positions():
            side = Side.SELL if position.quantity > 0 else Side.BUY
            self.quote(position.instrument, 99.9, 1e6, 100.1, 1e6)
            self.send(position.instrument, side, abs(position.quantity), True, None)
        assert self.accounts.positions() == []

    @invariant()
    def positions_are_the_sums_of_their_fills(self) -> None:
        for instrument in (LINEAR, INVERSE):
            expected = sum(f.side.sign * f.quantity for f in self.fills if f.instrument == instrument)
            assert self.accounts.position(instrument).quantity == expected

    @invariant()
    def cash_is_conserved_per_asset(self) -> None:
        expected = defaultdict(Fraction, {asset: Fraction(amount) for asset, amount in START.items()})
        for fill in self.fills:
            if fill.instrument is SPOT:
                expected["ETH"] += Fraction(fill.side.sign * fill.quantity)
                expected["USDT"] -= Fraction(fill.price) * Fraction(fill.side.sign * fill.quantity)
            expected[fill.fee_asset] -= Fraction(fill.fee)
        for instrument, asset in ((LINEAR, "USDT"), (INVERSE, "ETH")):
            expected[asset] += self._profit(instrument)
        for asset, paid in self.funding.items():
            expected[asset] += paid
        assert {b.asset: Fraction(b.total) for b in self.accounts.balances()} == dict(expected)

    def _profit(self, instrument: Instrument) -> Fraction:
        """All flows of the fills, less what is still in the open position."""
        mine = [f for f in self.fills if f.instrument == instrument]
        flows = sum((Fraction(cash_flow(f.instrument, f.side, f.price, f.quantity)) for f in mine), Fraction(0))
        held = self.accounts._positions.get(instrument.id)
        return flows - (Fraction(held.entry_flow) if held else 0)

    @invariant()
    def margin_is_locked_exactly_while_positions_are_open(self) -> None:
        for balance in self.accounts.balances():
            instrument = LINEAR if balance.asset == "USDT" else INVERSE
            held = self.accounts._positions.get(instrument.id)
            assert balance.locked == (abs(held.entry_flow) * D("0.2") if held else 0)
            assert balance.locked > 0 or self.accounts.position(instrument).quantity == 0


def _value(fill: Fill) -> Decimal:
    return cash_value(fill.instrument, fill.price, fill.quantity)


Trading.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestTrading = Trading.TestCase

trades = st.lists(
    st.tuples(
        sides,
        st.integers(1, 10**7).map(lambda n: D(n) / 100),
        st.integers(1, 400),
    ),
    min_size=1,
    max_size=20,
)


@given(trades, st.sampled_from([LINEAR, INVERSE]))
def test_a_position_realises_what_average_cost_says(
    told: list[tuple[Side, Decimal, int]], instrument: Instrument
) -> None:
    """Against the textbook in fractions: average entry price, profit per closed unit; never more than that."""
    held = OpenPosition(instrument)
    quantity, average, realised = 0, Fraction(0), Fraction(0)

    def worth(price: Fraction) -> Fraction:
        multiplier = Fraction(instrument.contract_multiplier)
        return -multiplier / price if instrument is INVERSE else multiplier * price

    for side, price, size in told:
        held.trade(side, price, D(size))
        signed, at = side.sign * size, worth(Fraction(price))
        closing = min(size, abs(quantity)) if quantity * signed < 0 else 0
        realised += closing * (at - average) * (1 if quantity > 0 else -1)
        opening = size - closing
        if opening:
            before = abs(quantity) - closing
            average = (average * before + at * opening) / (before + opening)
        quantity += signed
        assert held.quantity == quantity
        assert abs(Fraction(held.realised) - realised) <= Fraction(len(told) * 3, 10**18)
    if instrument is LINEAR:
        assert Fraction(held.realised) <= realised  # rounded away from our favour until flat
        if quantity == 0:
            assert Fraction(held.realised) == realised


@given(trades, st.sampled_from([LINEAR, INVERSE]))
def test_flows_are_realised_or_still_open(told: list[tuple[Side, Decimal, int]], instrument: Instrument) -> None:
    held = OpenPosition(instrument)
    profits = [held.trade(side, price, D(size)) for side, price, size in told]
    flows = [cash_flow(instrument, side, price, D(size)) for side, price, size in told]
    assert exact(lambda: sum(flows) - held.realised - held.entry_flow)() == 0
    assert held.realised == exact(lambda: sum(profits, D(0)))()
    assert held.quantity or held.entry_flow == 0


@given(prices, sizes, st.lists(st.tuples(sides, quantities), max_size=8))
def test_a_book_never_gives_more_than_it_shows(price: float, size: float, takes: list[tuple[Side, Decimal]]) -> None:
    book = VisibleBook(SPOT)
    total: defaultdict[Side, Decimal] = defaultdict(Decimal)
    for side, quantity in takes:
        book.on_quote(TopOfBook(bid_price=price, bid_qty=size, ask_price=price, ask_qty=size, sequence=1))
        before = book.available(side)
        got = sum((filled for _, filled in book.take(side, quantity)), D(0))
        assert got == min(quantity, before)
        total[side] += got
        assert total[side] <= from_float(size)
        assert book.available(side) == before - got


@given(st.integers(1, 10**6), sides)
def test_an_accepted_opening_leaves_the_wallet_covered(lots: int, side: Side) -> None:
    accounts = Accounts({WALLET: {"USDT": D(1000)}}, D("0.2"), lambda _: WALLET)
    fees = {LINEAR.feed: FeeSchedule(feed=LINEAR.feed, maker_bps=D(0), taker_bps=D(5), source="settings")}
    book = VisibleBook(LINEAR)
    book.on_quote(TopOfBook(bid_price=99.9, bid_qty=1e9, ask_price=100.1, ask_qty=1e9, sequence=1))
    order = Order(
        client_order_id="o", instrument=LINEAR, side=side, quantity=lots * D("0.03"), type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC, ts_decision_ns=0,
    )  # fmt: skip
    result = MatchingEngine(accounts, fees).match(order, book, 1)
    balance = accounts.balance(WALLET, "USDT")
    if isinstance(result.rejection, InsufficientBalance):
        assert balance.total == 1000
        assert lots * D("0.03") * D("0.1") * 100 * D("0.2005") > 999
    else:
        assert balance.available >= 0
