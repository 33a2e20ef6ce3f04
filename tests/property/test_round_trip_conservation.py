"""Whatever the market does: a round trip crosses nothing of ours, and no cent is lost between wallets and ledger."""

from collections import defaultdict
from decimal import Decimal
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.domain.order import Order, Side
from bot.engine.accounts.letting_go import _play_on
from bot.engine.engine import Engine, RunInfo
from bot.ports import FeedState, RecordKind
from bot.risk.gate import Cause, TradingState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.spread_reversion.settings import SpreadReversionSettings
from strategies.spread_reversion.strategy import SpreadReversionStrategy
from tests.unit.executor_bench import MemoryJournal

D = Decimal
MS = 1_000_000
START_NS = 1_767_571_200_000_000_000
GRID = {"tick_size": D("0.1"), "lot_size": D("0.001"), "min_quantity": D("0.001"), "min_notional": D(5)}
PERP = Instrument(
    venue="binance", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **GRID
)
SPOT = Instrument(venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT", **GRID)
SETTINGS = Settings(
    paper={  # type: ignore[arg-type]
        "latency_ms": 30.0,
        "balances": {"binance.spot": {"USDT": D(50_000), "ETH": D(20)}, "binance.linear": {"USDT": D(50_000)}},
    },
    risk={"max_orders_per_minute": 1000, "price_collar_bps": 3000.0},  # type: ignore[arg-type]
)
steps = st.lists(
    st.tuples(
        st.integers(-12, 12),  # the mid moves, ticks
        st.sampled_from((10, 10, 10, 60, 200)),  # half the spread, ticks
        st.integers(1, 800),  # size, lots
        st.sampled_from(("quote", "quote", "quote", "trade", "gone", "funding", "halt")),
        st.sampled_from((50, 100, 400)),  # ms
    ),
    min_size=150,
    max_size=400,
)


class Paper(PaperActions):
    """Notes every order, and looks at what rests after each."""

    def __init__(self, instrument: Instrument, clock: VirtualClock) -> None:
        fees = FeeSchedule(feed=instrument.feed, maker_bps=D("-0.3"), taker_bps=D(5), source="setting")
        super().__init__([instrument], {instrument.feed: fees}, SETTINGS.paper, clock)
        self.sent: list[Order] = []

    def submit(self, order: Order) -> None:
        self.sent.append(order)
        super().submit(order)
        resting = [*self._resting.orders(), *(one for one, _ in self._travelling.values())]
        assert len({one.client_order_id for one in resting}) <= 1, "one order of an instrument lives at a time"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps, instrument=st.sampled_from((PERP, SPOT)))
def test_wallets_and_ledger_agree_and_nothing_rests_in_the_end(
    steps: list[tuple[int, int, int, str, int]], instrument: Instrument
) -> None:
    clock = VirtualClock(START_NS)
    paper, journal = Paper(instrument, clock), MemoryJournal()
    before = {balance.asset: balance.total for balance in paper.balances() if balance.wallet == str(instrument.feed)}
    engine = _engine(instrument, paper, journal, clock)
    _play(engine, clock, steps)
    engine.desk.executor.withdraw()
    _play_on(engine.desk.executor, clock, 5.0)
    assert engine.desk.executor.resting == 0
    assert paper.in_flight == 0
    assert not paper._resting.orders()
    _agree(engine, paper, instrument, before)
    assert all(body["pair"] for kind, _, body in journal.records if kind is RecordKind.FILL)


def _engine(instrument: Instrument, paper: Paper, journal: MemoryJournal, clock: VirtualClock) -> Engine:
    strategy = SpreadReversionStrategy(
        SpreadReversionSettings(span_s=3.0, min_net_edge_bps=0.0, max_holding_s=8.0, loss_stop_bps=60.0,
                                requote_s=1.0, cooldown_s=0.2)
    )  # fmt: skip
    return Engine(
        run=RunInfo("run", strategy.name, "recorded", False, "", ""),
        instruments=[instrument],
        strategy=strategy,
        venue=paper,
        journal=journal,
        clock=clock,
        settings=SETTINGS,
        fees=paper._fees,
        assumed_funding_bps_per_8h={instrument.feed: 0.0},
        log=lambda level, text: None,
    )


def _play(engine: Engine, clock: VirtualClock, steps: list[tuple[int, int, int, str, int]]) -> None:
    (slot,) = engine.slots
    engine.on_feed_state(slot.feed, FeedState.LIVE, "")
    engine.start()
    mid = 20_000
    for number, (move, half, lots, what, ms) in enumerate(steps):
        now_ns = clock.now_ns() + ms * MS
        clock.advance_to(now_ns)
        mid += move
        bid, ask, size = (mid - half) / 10, (mid + half) / 10, lots / 1000
        if what == "trade":
            price = (mid + move) / 10
            trade = PublicTrade(price=price, quantity=size, buyer_is_maker=move > 0, trade_id="t", ts_event_ns=now_ns)
            engine.on_trade(0, trade, now_ns)
        elif what == "gone" and lots < 100:
            bid, ask = ask, bid  # crossed: the gate refuses it
        elif what == "funding" and slot.instrument.is_perpetual:
            due_ns = now_ns + 3_600_000 * MS
            engine.on_funding(0, FundingRate(rate=1e-5, next_funding_ns=due_ns, interval_h=8.0, ts_event_ns=now_ns), 0)
        elif what == "halt" and number > 300:
            engine.desk.gate.reduce(Cause.PERSON, "a person")
        quote = TopOfBook(
            bid_price=bid, bid_qty=size, ask_price=ask, ask_qty=size, sequence=number + 2, ts_event_ns=now_ns
        )
        engine.on_quote(0, quote, now_ns, b"")
        engine.on_batch_end(now_ns)


def _agree(engine: Engine, paper: Paper, instrument: Instrument, before: dict[str, Decimal]) -> None:
    """The wallets' change is the sum of all pairs' flows, to the last digit, unless a position is open still."""
    assert engine.desk.gate.state is not TradingState.HALTED
    if any(position.quantity for position in paper.positions()):
        return
    flows: defaultdict[str, Decimal] = defaultdict(Decimal)
    for pair in engine.desk.ledger.pairs():
        for asset, amount in pair.flows.items():
            flows[asset] += amount
    after = {balance.asset: balance.total for balance in paper.balances() if balance.wallet == str(instrument.feed)}
    assert {asset: after[asset] - before[asset] for asset in before} == {asset: flows[asset] for asset in before}


def test_the_market_above_trades_and_comes_back() -> None:
    random = Random(7)
    steps = [
        (random.randint(-30, 30), random.choice((10, 10, 10, 60, 200)), random.randint(1, 800),
         random.choice(("quote", "quote", "trade")), 100)
        for _ in range(1500)
    ]  # fmt: skip
    for instrument in (PERP, SPOT):
        clock = VirtualClock(START_NS)
        paper = Paper(instrument, clock)
        engine = _engine(instrument, paper, MemoryJournal(), clock)
        _play(engine, clock, steps)
        engine.desk.executor.withdraw()
        _play_on(engine.desk.executor, clock, 5.0)
        assert engine.desk.fills > 10
        assert engine.decisions.closed["reverted"] > 3
        assert sum(engine.decisions.closed.values()) > engine.decisions.closed["reverted"]
        assert {order.side for order in paper.sent if order.time_in_force.rests} == set(Side)
