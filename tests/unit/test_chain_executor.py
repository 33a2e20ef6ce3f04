"""Chains on a virtual clock, at venues and a carrier whose answers each test writes itself."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Link, Opportunity, Route, TradeLeg, TransferLeg
from bot.errors import InvariantError, StorageError
from bot.execution.chain import Chain
from bot.execution.chain_executor import NOT_SENT, ChainExecutor
from bot.execution.context import ExecutionContext
from bot.execution.pair import PairState
from bot.execution.reasons import FLATTEN
from bot.ports import RecordKind
from bot.ports.transfers import Carriage, CarryListener, CarryNews, CarryState
from bot.settings import ExecutionSettings

D = Decimal
NOTHING = D(0)


def spot(venue: str, base: str, quote: str, tick: str, lot: str, least: str) -> Instrument:
    return Instrument(
        venue=venue, symbol=f"{base}/{quote}", segment=Segment.SPOT, base=base, quote=quote,
        tick_size=D(tick), lot_size=D(lot), min_quantity=D(lot), min_notional=D(least),
    )  # fmt: skip


BTC = spot("a", "BTC", "USDT", "0.01", "0.00001", "5")
CROSS = spot("a", "ETH", "BTC", "0.00001", "0.0001", "0.0001")
ETH = spot("a", "ETH", "USDT", "0.01", "0.0001", "5")
BTC_B = spot("b", "BTC", "USDT", "0.1", "0.000001", "5")
RING = Route(
    kind="triangular",
    legs=(
        TradeLeg(instrument=BTC, side=Side.BUY),
        TradeLeg(instrument=CROSS, side=Side.BUY),
        TradeLeg(instrument=ETH, side=Side.SELL),
    ),
)
SENT = Route(
    kind="transfer",
    legs=(
        TradeLeg(instrument=BTC, side=Side.BUY),
        TransferLeg(asset="BTC", from_venue="a", to_venue="b", network="btc"),
        TradeLeg(instrument=BTC_B, side=Side.SELL),
    ),
)
RING_LINKS = (
    Link(quantity=D("0.1"), price=60000.0, spends=D(6000), brings=D("0.1")),
    Link(quantity=D(2), price=0.05, spends=D("0.1"), brings=D(2)),
    Link(quantity=D(2), price=3030.0, spends=D(2), brings=D(6060)),
)
SENT_LINKS = (
    Link(quantity=D("0.1"), price=60000.0, spends=D(6000), brings=D("0.1")),
    Link(quantity=D("0.1"), price=1.0, spends=D("0.1"), brings=D("0.0998")),
    Link(quantity=D("0.0998"), price=61000.0, spends=D("0.0998"), brings=D("6087.8")),
)
SETTINGS = ExecutionSettings(price_cap_bps=5.0, complete_tries=2, retry_wait_ms=200.0, order_timeout_ms=3000.0)


class MemoryJournal:
    """Keeps records; what waits for durability waits until the test says `sync`, or fails."""

    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, str, Mapping[str, Any]]] = []
        self.is_slow = False
        self.is_broken = False
        self._waiting: list[Callable[[], None]] = []

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.records.append((kind, key, body() if callable(body) else body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.is_broken:
            raise StorageError("disk full")
        if self.is_slow:
            self._waiting.append(callback)
        else:
            callback()

    def sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def close(self) -> None:
        pass


class Bench:
    """An executor, its venues' inbox, its carrier's, and the test's hand on every answer."""

    carry_listener: CarryListener

    def __init__(
        self, settings: ExecutionSettings = SETTINGS, *, carries: bool = True, journal: MemoryJournal | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.journal = journal or MemoryJournal()
        self.inbox: list[Order] = []
        self.states: list[PairState] = []
        self.halts: list[str] = []
        self.alarms: list[str] = []
        self.counted: list[tuple[str, Fill]] = []
        self.carriages: list[Carriage] = []
        self.resumed: list[Carriage] = []
        self.may_open = True
        self.quotes: dict[str, TopOfBook | None] = {}
        self.quote(BTC, 59990.0, 60000.0)
        self.quote(CROSS, 0.0499, 0.05)
        self.quote(ETH, 3030.0, 3031.0)
        self.quote(BTC_B, 61000.0, 61001.0)
        self._fills = 0
        self.executor = ChainExecutor(
            ExecutionContext(
                actions=self,
                journal=self.journal,
                clock=self.clock,
                settings=settings,
                quotes=lambda instrument: self.quotes[instrument.id],
                id_prefix="run",
                may_open=lambda: self.may_open,
                on_halt=self.halts.append,
            ),
            on_chain=lambda chain: self.states.append(chain.state),
            on_chain_fill=lambda chain, name, fill: self.counted.append((name, fill)),
            on_sent=lambda order: None,
            carrier=self if carries else None,
            deadline_s=600.0,
        )
        self.executor.on_alarm = lambda chain, text: self.alarms.append(text)

    def quote(self, instrument: Instrument, bid: float, ask: float, size: float = 90.0) -> None:
        self.quotes[instrument.id] = TopOfBook(bid_price=bid, bid_qty=size, ask_price=ask, ask_qty=size, sequence=1)

    def open(self, route: Route = RING, links: tuple[Link, ...] | None = None) -> Chain:
        if links is None:
            links = RING_LINKS if route is RING else SENT_LINKS
        return self.executor.open(
            Opportunity(
                route=route,
                ts_ns=self.clock.now_ns(),
                quantity=links[0].quantity,
                buy_price=links[0].price,
                sell_price=links[-1].price,
                gross_edge_bps=100.0,
                costs=(),
                net_edge_bps=100.0,
                links=links,
            )
        )

    # Actions

    def submit(self, order: Order) -> None:
        self.inbox.append(order)

    def cancel(self, order: Order) -> None:
        pass

    def balances(self) -> Sequence[Balance]:
        return ()

    def positions(self) -> Sequence[Position]:
        return ()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return 1e9

    # Carrier

    def send(self, carriage: Carriage) -> None:
        self.carriages.append(carriage)

    def resume(self, carriage: Carriage) -> None:
        self.resumed.append(carriage)

    def carry(self, state: CarryState, received: str = "0", reason: str = "") -> None:
        one = (self.carriages or self.resumed)[-1]
        self.executor.on_carry(CarryNews(one.id, state, D(received), reason, self.clock.now_ns()))

    # Answers

    @property
    def last(self) -> Order:
        return self.inbox[-1]

    def fill(self, order: Order, quantity: Decimal | str | None = None, price: float | str | None = None) -> Fill:
        """Told as the venue does: what was done, and then nothing more."""
        quote = self.quotes[order.instrument.id] or TopOfBook(
            bid_price=60000.0, bid_qty=1.0, ask_price=60000.0, ask_qty=1.0, sequence=1
        )
        touch = quote.ask_price if order.side is Side.BUY else quote.bid_price
        self._fills += 1
        fill = Fill(
            fill_id=str(self._fills), client_order_id=order.client_order_id, instrument=order.instrument,
            side=order.side, price=D(repr(touch)) if price is None else D(str(price)),
            quantity=order.quantity if quantity is None else D(quantity), fee=NOTHING,
            fee_asset="BNB", is_maker=False, ts_event_ns=self.clock.now_ns(),
        )  # fmt: skip
        self.executor.on_fill(fill)
        return fill

    def end(self, order: Order, filled: Decimal | str = NOTHING, status: OrderStatus = OrderStatus.EXPIRED) -> None:
        update = {"status": status, "filled_quantity": D(filled), "ts_final_ns": self.clock.now_ns()}
        self.executor.on_order(order.model_copy(update=update))

    def done(self, order: Order, quantity: Decimal | str | None = None) -> None:
        """Filled as far as it was, at the quote, and over."""
        fill = self.fill(order, quantity)
        status = OrderStatus.FILLED if fill.quantity == order.quantity else OrderStatus.EXPIRED
        self.end(order, fill.quantity, status)

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * 1e9))


def names(chain: Chain) -> list[str]:
    return [name for _, name, _ in chain.orders.values()]


def test_a_ring_is_run_link_by_link_each_with_what_the_one_before_brought() -> None:
    bench = Bench()
    chain = bench.open()
    assert [(order.instrument.id, order.side, order.quantity) for order in bench.inbox] == [
        ("a:BTC/USDT", Side.BUY, D("0.1"))
    ]
    assert bench.last.price == D("60030.00")
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.quantity, bench.last.price) == ("a:ETH/BTC", D(2), D("0.05"))
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:ETH/USDT", Side.SELL, D(2))
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    assert chain.flows[("a", "USDT")] == 60
    assert (chain.holdings, bench.halts, bench.alarms) == ({}, [], [])
    assert bench.states == [PairState.OPENING, PairState.CLOSED]
    assert names(chain) == ["link_0", "link_1", "link_2"]
    told = [body["at"] for kind, _, body in bench.journal.records if kind is RecordKind.PAIR]
    assert (told[0], told[-1]) == ("link 1 of 3: buy a:BTC/USDT", "closed")


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
    bench.wait(300.0)
    assert (bench.alarms, bench.halts, bench.executor.unhedged()) == ([], [], [])
    bench.carry(CarryState.ARRIVED, "0.0998")
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("b:BTC/USDT", Side.SELL, D("0.0998"))
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    assert chain.flows[("a", "USDT")] + chain.flows[("b", "USDT")] == D("87.8")


def test_nothing_leaves_before_the_intent_is_durable_nor_what_is_refused_by_then() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    chain = bench.open()
    assert bench.inbox == []
    bench.executor.why_not_now = lambda chain: "stale_quote"
    bench.journal.sync()
    assert (bench.inbox, chain.state, chain.close_reason) == ([], PairState.MISSED, "stale_quote")


def test_fault_41_what_was_filled_of_the_first_link_goes_on() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last, "0.05")
    assert (bench.last.instrument.id, bench.last.quantity) == ("a:ETH/BTC", D(1))
    bench.done(bench.last)
    bench.done(bench.last)
    assert (chain.state, chain.flows[("a", "USDT")], chain.holdings) == (PairState.CLOSED, 30, {})


def test_too_little_for_the_links_that_follow_goes_back_to_where_it_came_from() -> None:
    bench = Bench()
    heavy = CROSS.model_copy(update={"min_notional": D("0.01")})
    route = Route(kind="triangular", legs=(RING.legs[0], TradeLeg(instrument=heavy, side=Side.BUY), RING.legs[2]))
    chain = bench.open(route, RING_LINKS)
    bench.done(bench.last, "0.009")
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.009"))
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "home_0"])
    assert chain.flows[("a", "USDT")] == D("-0.09")


def test_fault_41_what_a_middle_link_left_is_tried_again_within_the_cap_then_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    bench.done(bench.last, "1")  # half of the ETH: the rest is tried again, what came goes on
    tried, on = bench.inbox[-2:]
    assert (tried.instrument.id, tried.quantity) == ("a:ETH/BTC", D(1))
    assert (on.instrument.id, on.quantity) == ("a:ETH/USDT", D(1))
    bench.end(tried)
    bench.done(on)
    for _ in range(2):
        bench.wait(0.25)
        assert bench.last.instrument.id == "a:ETH/BTC"
        bench.end(bench.last)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.05"))
    bench.done(bench.last)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})
    assert names(chain) == ["link_0", "link_1", "link_1", "link_2", "link_1", "link_1", "home_0"]


def test_going_home_is_chosen_as_soon_as_going_on_costs_more() -> None:
    bench = Bench()
    bench.open()
    bench.quote(CROSS, 0.0599, 0.06)  # far beyond what the decision expected
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)


def test_the_last_link_is_sold_at_any_price_once_the_budget_says_so() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    bench.done(bench.last)
    bench.quote(ETH, 2500.0, 2501.0)
    bench.end(bench.last)
    assert bench.last.price is not None
    while bench.last.price is not None:
        bench.end(bench.last)
        bench.wait(0.1)
    assert 3.0 <= bench.clock.monotonic_ns() / 1e9 <= 3.3
    bench.done(bench.last)
    assert (chain.state, chain.flows[("a", "USDT")]) == (PairState.CLOSED, D(-1000))
    assert len(bench.alarms) == 1
    assert (chain.episodes[0].notional, bench.halts) == (6000, [])


def test_fault_36_an_unknown_order_is_never_sent_again_and_nothing_spends_what_it_may_have() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    lost = bench.last
    bench.wait(11.0)
    assert bench.last is lost
    assert bench.executor.unresolved("a") == 1
    assert "unknown" in bench.alarms[-1]
    assert len(bench.halts) == 1
    assert "holds 0.10000 BTC at a (may be 6000.00 USDT)" in bench.halts[0]
    bench.done(lost, "1.5")
    assert bench.executor.unresolved("a") == 0
    bench.wait(0.25)
    home, on = bench.inbox[-2:]
    assert (home.instrument.id, home.quantity, home.price) == ("a:BTC/USDT", D("0.025"), None)
    assert (on.instrument.id, on.quantity, on.price) == ("a:ETH/USDT", D("1.5"), None)
    bench.done(home)
    bench.done(on)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})


def test_fault_38_fills_told_twice_count_once_and_one_that_comes_late_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    first = bench.last
    bench.end(first)
    assert chain.state is PairState.MISSED
    fill = bench.fill(first)
    assert chain.state is PairState.CLOSING
    bench.executor.on_fill(fill)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.1"))
    bench.done(bench.last)
    assert (chain.state, chain.close_reason, chain.holdings) == (PairState.FAILED, "late_fill", {})
    assert len(bench.counted) == 2


def test_fault_47_fees_in_the_asset_that_travels_make_the_next_link_smaller() -> None:
    bench = Bench()
    chain = bench.open()
    first = bench.last
    fee = D("0.00007501")
    bench.executor.on_fill(
        Fill(
            fill_id="f",
            client_order_id=first.client_order_id,
            instrument=BTC,
            side=Side.BUY,
            price=D(60000),
            quantity=D("0.1"),
            fee=fee,
            fee_asset="BTC",
            is_maker=False,
            ts_event_ns=0,
        )
    )
    bench.end(first, "0.1", OrderStatus.FILLED)
    assert bench.last.quantity == D("1.9984")
    bench.done(bench.last)
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    left = D("0.1") - fee - D("1.9984") * D("0.05")
    assert bench.executor.dust.amounts == {"a:BTC/USDT": left}
    assert chain.flows[("a", "BTC")] == left


def test_a_route_that_no_carrier_serves_cannot_be_opened_nor_one_that_is_hedged() -> None:
    bench = Bench(carries=False)
    chain = bench.open(SENT)
    assert (chain.state, chain.close_reason, bench.inbox) == (PairState.MISSED, "transfers", [])
    perp = BTC.model_copy(update={"symbol": "BTC/USDT:USDT", "segment": Segment.LINEAR, "settle": "USDT"})
    short = TradeLeg(instrument=perp, side=Side.SELL)
    hedged = Route(kind="transfer", legs=(SENT.legs[0], short, *SENT.legs[1:]))
    assert Bench().open(hedged, SENT_LINKS).close_reason == "hedges"


def test_fault_46_a_size_that_any_link_cannot_take_is_not_begun() -> None:
    bench = Bench()
    small = (*RING_LINKS[:2], RING_LINKS[2].model_copy(update={"quantity": D("0.00001")}))
    chain = bench.open(links=small)
    assert (chain.state, chain.close_reason, bench.inbox) == (PairState.MISSED, "size a:ETH/USDT", [])


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
    bench.wait(700.0)
    bench.carry(CarryState.LATE)
    assert len(bench.alarms) == 1
    assert chain.is_late
    assert [one.carriage.asset for one in bench.executor.underway("a", "b")] == ["BTC"]
    bench.wait(7000.0)
    assert bench.halts == []
    bench.carry(CarryState.ARRIVED, "0.0998")
    bench.carry(CarryState.ARRIVED, "0.0998")
    assert bench.executor.underway("a", "b") == []
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED


def test_an_arrival_that_nobody_buys_is_sold_at_any_price_within_the_budget() -> None:
    bench = Bench()
    bench.open(SENT)
    bench.done(bench.last)
    bench.quote(BTC_B, 50000.0, 50001.0)
    bench.carry(CarryState.ARRIVED, "0.0998")
    arrived_s = bench.clock.monotonic_ns() / 1e9
    while bench.last.price is not None:
        bench.end(bench.last)
        bench.wait(0.1)
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


def test_halted_nothing_goes_on_and_what_is_held_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.may_open = False
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)
    bench.done(bench.last)
    assert chain.state is PairState.FAILED


def test_a_journal_that_fails_lets_only_what_goes_home_out() -> None:
    bench = Bench()
    going = bench.open()
    bench.journal.is_broken = True
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:ETH/BTC", Side.BUY)  # it is not home before it is sold
    chain = bench.open()
    assert (chain.state, len(bench.inbox)) == (PairState.MISSED, 2)
    bench.done(bench.last)
    bench.done(bench.last)
    assert going.state is PairState.CLOSED
    assert "journal" in bench.halts[0]


def test_while_quotes_are_missing_nothing_is_sent_and_then_it_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.quotes[CROSS.id] = bench.quotes[BTC.id] = None
    bench.done(bench.last)
    bench.wait(1.0)
    assert len(bench.inbox) == 1
    bench.quote(BTC, 59990.0, 60000.0)
    bench.wait(0.25)
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "home_0"])


def test_news_of_nobodys_transfer_or_order_is_a_mistake_of_ours() -> None:
    bench = Bench()
    with pytest.raises(InvariantError, match="never wrote down"):
        bench.executor.on_carry(CarryNews("x", CarryState.ARRIVED, D(1), "", 0))
    other = Bench()
    other.open()
    with pytest.raises(InvariantError, match="never wrote down"):
        bench.end(other.last)


def test_fault_46_dust_that_lies_at_a_place_is_taken_along_and_given_back_where_a_venue_refuses_it() -> None:
    bench = Bench()
    bench.executor.dust.add(BTC, D("0.00001"))
    chain = bench.open()
    bench.done(bench.last)
    assert bench.last.quantity == D("2.0002")
    assert bench.executor.dust.amounts == {}
    bench.end(bench.last, status=OrderStatus.REJECTED)
    assert bench.executor.dust.amounts == {"a:BTC/USDT": D("0.00001")}
    bench.wait(0.25)
    assert bench.last.quantity < 2
    assert chain.dust == {("a", "BTC"): 0}


def test_fault_40_a_link_that_its_venue_refuses_is_asked_once_less_then_the_amount_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    while bench.last.instrument.id == "a:ETH/BTC":
        bench.end(bench.last, status=OrderStatus.REJECTED)
        bench.wait(0.25)
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "link_1", "link_1", "home_0"])


def test_fault_37_a_first_link_that_never_arrived_is_a_chain_that_was_missed() -> None:
    bench = Bench()
    chain = bench.open()
    bench.wait(4.0)
    assert bench.executor.unresolved("a") == 1
    bench.end(bench.last, status=OrderStatus.REJECTED)
    assert (chain.state, len(bench.inbox), bench.executor.unresolved("a")) == (PairState.MISSED, 1, 0)


def test_an_order_that_ended_with_fills_nobody_told_keeps_what_it_may_have_spent() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    second = bench.last
    bench.end(second, "1", OrderStatus.EXPIRED)
    bench.wait(5.0)
    assert bench.last is second
    assert len(bench.halts) == 1
    bench.fill(second, "1")
    bench.wait(1.0)
    assert {(one.instrument.id, one.quantity) for one in bench.inbox[2:]} == {
        ("a:BTC/USDT", D("0.05")),
        ("a:ETH/USDT", D(1)),
    }
    for order in bench.inbox[2:]:
        bench.done(order)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})


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


def test_a_chain_left_alone_by_a_persons_halt_waits_for_that_person() -> None:
    left = Bench()
    chain = left.open()
    left.done(left.last)
    chain.is_frozen = True
    later = Bench()
    later.executor.adopt(chain)
    later.wait(60.0)
    assert later.inbox == []
    later.executor.thaw()
    later.end(chain.orders["run-c1-2"][0], status=OrderStatus.REJECTED)
    later.wait(0.25)
    assert (later.last.instrument.id, later.last.side) == ("a:BTC/USDT", Side.SELL)
