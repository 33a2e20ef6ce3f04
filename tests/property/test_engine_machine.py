"""The real engine, gate, executor, ledger and paper venue on a virtual clock, under random markets and mishaps.

A failure prints the steps and a blob that repeats it. `CRYPTO_PIPE_EXAMPLES` sets how many runs are tried (default 25).
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import inf, nan
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.market import FundingRate, TopOfBook
from bot.domain.order import Fill, Order
from bot.engine.engine import Engine, RunInfo
from bot.execution.pair import Pair, PairState
from bot.ports import FeedState, OrderListener, RecordKind
from bot.risk.gate import Cause, TradingState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.invariants.world import BYBIT, INSTRUMENTS, LINEAR, MS, START_NS, D

SETTINGS: dict[str, Any] = {
    "risk": {"max_daily_loss": 1e6, "max_orders_per_minute": 100_000},
    "quote_gate": {"max_age_ms": 5_000.0, "max_skew_ms": 5_000.0, "jump_confirm_ms": 100.0},
}
UNHEDGED_NS = 10_000 * MS
"""How long a pair may be uneven before it is even again, or the bot has halted."""

slots = st.sampled_from(range(len(INSTRUMENTS)))
mids = st.integers(9_950, 10_050).map(lambda n: n / 10)
ticks = st.sampled_from([1, 5, 30])
sizes = st.sampled_from([0.0, 0.0004, 0.02, 0.0213, 0.3, 5.0])
bad_prices = st.sampled_from([(nan, 1e3), (1e3, 999.0), (0.0, 1e3), (1e3, inf), (5e3, 5001.0), (-1.0, 1.0)])
waits = st.sampled_from([0, 1, 10, 11, 25, 200, 1_000, 3_000])


class MemoryJournal:
    def __init__(self) -> None:
        self.orders: defaultdict[str, list[str]] = defaultdict(list)
        self.funding = D(0)

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        plain = body() if callable(body) else body
        if kind is RecordKind.ORDER:
            self.orders[key].append(plain["status"])
        elif kind is RecordKind.FUNDING:
            self.funding += D(plain["payment"])

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None:
        pass


class Postman:
    """Brings the venue's answers, or keeps them back for a while: in the end none is lost."""

    def __init__(self, to: OrderListener) -> None:
        self._to = to
        self.is_holding = False
        self.bag: list[Order | Fill] = []

    def on_order(self, order: Order) -> None:
        self.bag.append(order)
        self.deliver()

    def on_fill(self, fill: Fill) -> None:
        self.bag.append(fill)
        self.deliver()

    def deliver(self) -> None:
        while self.bag and not self.is_holding:
            item = self.bag.pop(0)
            if isinstance(item, Fill):
                self._to.on_fill(item)
                self._to.on_fill(item)  # told twice, counted once
            else:
                self._to.on_order(item)


class Trading(RuleBasedStateMachine):
    """Random quotes, waits, funding, silence, withdrawals, lost answers and pauses."""

    makers = False
    """Whether routes with post-only legs are traded too."""
    last_ms = 20_000

    @initialize(poor=st.booleans(), taker=st.sampled_from(["0", "0.5", "20"]), cap_bps=st.sampled_from([0.0, 5.0]))
    def start(self, poor: bool, taker: str, cap_bps: float) -> None:
        usdt, eth = (D(600), D("0.3")) if poor else (D(100_000), D(100))
        balances = {
            "binance.spot": {"USDT": usdt, "ETH": eth},
            "binance.linear": {"USDT": usdt},
            "bybit.unified": {"USDT": usdt},
        }
        self.put_in = {"USDT": 3 * usdt, "ETH": eth}
        self.clock = VirtualClock(START_NS)
        self.journal = MemoryJournal()
        options = Settings.model_validate(
            SETTINGS | {"paper": {"balances": balances}, "execution": {"price_cap_bps": cap_bps}}
        )
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(0), taker_bps=D(taker), source="settings") for i in INSTRUMENTS
        }
        self.paper = PaperActions(INSTRUMENTS, fees, options.paper, self.clock)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
            instruments=INSTRUMENTS,
            strategy=ArbitrageStrategy(
                ArbitrageSettings(
                    exit_basis="converged",
                    warmup_s=0.0,
                    max_holding_s=5.0,
                    cooldown_s=0.05,
                    adverse_moves=False,
                    maker_variants=self.makers,
                    maker_waiting_bps=0.0,
                )
            ),
            venue=self.paper,
            journal=self.journal,
            clock=self.clock,
            settings=options,
            fees=fees,
            assumed_funding_bps_per_8h={i.feed: 1.0 for i in INSTRUMENTS},
            log=lambda level, text: None,
        )
        self.desk = self.engine.desk
        self.postman = Postman(self.desk)
        self.paper.listener = self.postman
        self.submit = self.paper.submit
        self.paper.submit = self.check_and_submit  # type: ignore[method-assign]
        self.sequence = 1
        self.sent: set[str] = set()
        self.order_list: list[Order] = []
        self.uneven_since: dict[str, int] = {}
        self.engine.start()
        self.even_market(1_200)

    def check_and_submit(self, order: Order) -> None:
        assert order.client_order_id not in self.sent
        self.sent.add(order.client_order_id)
        self.order_list.append(order)
        assert self.journal.orders[order.client_order_id] == ["intent"]  # that it has left is told afterwards
        pair = next(p for p in self.desk.executor.pairs.values() if order.client_order_id in p.orders)
        assert self.desk.gate.state is TradingState.ACTIVE or not pair.opens(order)
        self.submit(order)

    # The market

    def show(self, slot: int, bid: float, ask: float, bid_qty: float, ask_qty: float) -> None:
        self.sequence += 1
        units = float(INSTRUMENTS[slot].contract_multiplier)
        quote = TopOfBook(
            bid_price=bid, bid_qty=bid_qty / units, ask_price=ask, ask_qty=ask_qty / units, sequence=self.sequence
        )
        self.engine.on_quote(slot, quote, self.clock.now_ns(), b"")

    def end_batch(self) -> None:
        self.engine.on_batch_end(self.clock.now_ns())

    def even_market(self, ms: int) -> None:
        """Everything at the same price, deep, for a while."""
        until_ns = self.clock.now_ns() + ms * MS
        while self.clock.now_ns() < until_ns:
            self.clock.advance_to(min(self.clock.now_ns() + 100 * MS, until_ns))
            for slot in range(len(INSTRUMENTS)):
                self.show(slot, 999.99 - 0.01 * (self.sequence % 5), 1000.01, 50.0, 50.0)
            self.end_batch()

    @rule(slot=slots, mid=mids, spread=ticks, bid_qty=sizes, ask_qty=sizes)
    def quote(self, slot: int, mid: float, spread: int, bid_qty: float, ask_qty: float) -> None:
        self.show(slot, round(mid - spread / 100, 2), round(mid + spread / 100, 2), bid_qty, ask_qty)
        self.end_batch()

    @rule(mids=st.tuples(mids, mids, mids), size=sizes.filter(bool), after=st.sampled_from([0, 0, 5, 15, 40]))
    def batch(self, mids: tuple[float, float, float], size: float, after: int) -> None:
        self.clock.advance_to(self.clock.now_ns() + after * MS)
        for slot, mid in enumerate(mids):
            self.show(slot, round(mid - 0.05, 2), round(mid + 0.05, 2), size, size)
        self.end_batch()

    @rule(slot=slots, bad=bad_prices)
    def bad_quote(self, slot: int, bad: tuple[float, float]) -> None:
        orders = self.desk.orders
        self.show(slot, *bad, 5.0, 5.0)
        self.end_batch()
        if self.engine.slots[slot].quote is None:  # a new level may have held long enough to be believed
            sent = [self.order_list[at] for at in range(orders, self.desk.orders)]
            assert INSTRUMENTS[slot].id not in [order.instrument.id for order in sent]

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        self.clock.advance_to(self.clock.now_ns() + ms * MS)

    @rule(slot=st.sampled_from([1, 2]), rate=st.integers(-100, 100), in_ms=st.integers(-10, 4_000))
    def tell_funding(self, slot: int, rate: int, in_ms: int) -> None:
        now_ns = self.clock.now_ns()
        funding = FundingRate(rate=rate / 1e5, next_funding_ns=now_ns + in_ms * MS, interval_h=8.0, ts_event_ns=now_ns)
        self.engine.on_funding(slot, funding, now_ns)

    @rule(slot=slots)
    def fall_silent(self, slot: int) -> None:
        self.engine.on_feed_state(INSTRUMENTS[slot].feed, FeedState.SILENT, "")
        self.end_batch()

    # People and accidents

    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        (self.desk.gate.reduce if pause else self.desk.gate.resume)(Cause.PERSON, "asked")

    @rule(wallet=st.sampled_from(["binance.spot", "binance.linear", "bybit.unified"]), part=st.sampled_from([2, 50]))
    def withdraw(self, wallet: str, part: int) -> None:
        free = self.paper.accounts.balance(wallet, "USDT").available
        self.pay_in(wallet, -max(D(0), free) / part)

    def pay_in(self, wallet: str, amount: Decimal) -> None:
        self.paper.accounts._totals[wallet, "USDT"] += amount
        self.put_in["USDT"] += amount

    @precondition(lambda self: not self.postman.is_holding)
    @rule()
    def hold_answers_back(self) -> None:
        self.postman.is_holding = True

    @precondition(lambda self: self.postman.is_holding)
    @rule()
    def bring_answers(self) -> None:
        self.postman.is_holding = False
        self.postman.deliver()

    # What must hold

    @property
    def all_told(self) -> bool:
        return self.paper.in_flight == 0 and not self.postman.bag

    @invariant()
    def fills_positions_and_ledger_agree(self) -> None:
        if not self.all_told:
            return
        at_venue = {position.instrument.id: position.quantity for position in self.paper.positions()}
        for instrument in (LINEAR, BYBIT):
            quantity = at_venue.get(instrument.id, D(0))
            assert quantity == self.desk.ledger.position(instrument)
            legs = [leg for pair in self.desk.executor.pairs.values() for leg in pair.legs]
            held = sum((leg.held for leg in legs if leg.instrument.id == instrument.id), D(0))
            assert held == quantity * instrument.contract_multiplier

    @invariant()
    def cash_is_conserved(self) -> None:
        if not self.all_told:
            return
        flows: defaultdict[str, Decimal] = defaultdict(Decimal, self.put_in)
        for pair in self.desk.ledger.pairs():
            for asset, amount in pair.flows.items():
                flows[asset] += amount
        for asset, amount in self.desk.ledger.unallocated_funding().items():
            flows[asset] += amount
        for position in self.paper.positions():
            # The account books a position's profit when it is closed, the pairs book every flow as it comes.
            flows["USDT"] += position.quantity * position.instrument.contract_multiplier * position.average_price
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for balance in self.paper.balances():
            totals[balance.asset] += balance.total
        assert totals["ETH"] == flows["ETH"]
        assert abs(totals["USDT"] - flows["USDT"]) < D("1e-12")

    @invariant()
    def profit_is_realised_or_open_and_never_both(self) -> None:
        every: defaultdict[str, Decimal] = defaultdict(Decimal)
        live: defaultdict[str, Decimal] = defaultdict(Decimal)
        for pair in self.desk.ledger.pairs():
            for asset, amount in pair.flows.items():
                every[asset] += amount
                if not pair.is_closed:
                    live[asset] += amount
        realised = self.desk.ledger.realised()
        for asset, amount in every.items():
            assert realised.get(asset, D(0)) + live[asset] == amount

    @invariant()
    def nothing_is_uneven_for_long_without_a_halt(self) -> None:
        now_ns = self.clock.now_ns()
        uneven = {pair.id for pair in self.desk.executor.pairs.values() if not pair.pending and _exposed(pair)}
        self.uneven_since = {id_: self.uneven_since.get(id_, now_ns) for id_ in uneven}
        if self.desk.gate.state is TradingState.HALTED:
            return
        for id_, since_ns in self.uneven_since.items():
            assert self.desk.executor.pairs[id_].state is not PairState.OPEN, "uneven, and nothing is done about it"
            assert now_ns - since_ns <= UNHEDGED_NS

    @invariant()
    def orders_live_one_life(self) -> None:
        for statuses in self.journal.orders.values():
            assert statuses.count("intent") == statuses.count("sent") == 1
            assert statuses[:2] == ["intent", "sent"]
            assert len(set(statuses)) == len(statuses)
            assert len([s for s in statuses if s in ("filled", "expired", "rejected", "cancelled")]) <= 1

    @invariant()
    def taken_decisions_expected_to_earn(self) -> None:
        assert self.engine.decisions.taken == len(list(self.desk.ledger.pairs()))

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.postman.is_holding = False
        self.postman.deliver()
        for wallet in ("binance.spot", "binance.linear", "bybit.unified"):
            self.pay_in(wallet, D(10_000))
        self.desk.gate.reduce(Cause.PERSON, "the end")
        self.even_market(self.last_ms)
        assert not self.desk.executor.pairs, "even markets and a full wallet close every pair"
        assert not self.paper.positions()
        self.fills_positions_and_ledger_agree()
        self.cash_is_conserved()
        self.profit_is_realised_or_open_and_never_both()


def _exposed(pair: Pair) -> bool:
    """Whether what one leg is ahead is more than dust: a lot, or what the venue takes as an order."""
    leg = max(pair.legs, key=lambda leg: abs(leg.held))
    instrument = leg.instrument
    lot = instrument.lot_size * instrument.contract_multiplier
    notional = abs(pair.imbalance) * leg.expected_price
    return abs(pair.imbalance) >= lot and notional >= instrument.min_notional * D("1.05")


def test_trades_happen_at_all_in_such_markets() -> None:
    machine = Trading()
    machine.start(False, "0.5", 5.0)
    for step in range(40):
        machine.batch((1000.0, 1000.0 + step % 3, 1000.0 - step % 2), 0.3, 40)
    machine.teardown()
    log = machine.engine.decisions
    assert log.taken > 1
    assert sum(log.closed.values()) > 0
    assert machine.desk.gate.state is TradingState.REDUCING, "nobody had to halt it"


Trading.TestCase.settings = settings(
    max_examples=int(os.environ.get("CRYPTO_PIPE_EXAMPLES", "25")),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
)
TestTrading = Trading.TestCase
