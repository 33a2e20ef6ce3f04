"""Paper pairs and their real twins on a virtual clock; the real venue slips, charges and fills as a test plants it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import PrintedQuote, TopOfBook
from bot.domain.order import Order, Side
from bot.domain.route import Opportunity
from bot.domain.shadow import ShadowFill
from bot.domain.snapshot import Snapshot
from bot.engine.engine import Engine, RunInfo
from bot.engine.shadow.run import RealSide, ShadowRun
from bot.engine.snapshot import take_snapshot
from bot.ports import OrderListener, RecordKind
from bot.risk.gate import Cause, TradingState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from modes.status import status_lines
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

D = Decimal
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
BINANCE = Instrument(
    venue="binance", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D(5),
)  # fmt: skip
BYBIT = BINANCE.model_copy(update={"venue": "bybit", "lot_size": D("0.01"), "min_quantity": D("0.01")})
RICH = {"binance.linear": {"USDT": 100_000}, "bybit.unified": {"USDT": 100_000}}
LEAST = D("0.01")
"""The coarser minimum: Bybit's lot, which is worth more than either's 5 USDT."""
EVEN, DEAR = (999.90, 1000.10), (1008.00, 1008.20)


class MemoryJournal:
    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, Mapping[str, Any]]] = []
        self.waiting: list[Callable[[], None]] | None = None

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.records.append((kind, body() if callable(body) else body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.waiting is None:
            callback()
        else:
            self.waiting.append(callback)

    def close(self) -> None:
        pass

    def of(self, kind: RecordKind) -> list[Mapping[str, Any]]:
        return [body for its_kind, body in self.records if its_kind is kind]


class RealVenue:
    """A venue whose prices are worse than the quotes by `slip_bps`, and whose book is as deep as it likes."""

    def __init__(self, paper: PaperActions, slip_bps: float, depth: float | None) -> None:
        self._inner = paper
        self._slip, self._depth = slip_bps / 1e4, depth
        self.orders: list[Order] = []

    @property
    def listener(self) -> OrderListener | None:
        return self._inner.listener

    @listener.setter
    def listener(self, listener: OrderListener | None) -> None:
        self._inner.listener = listener

    on_funding: Callable[[FundingPayment], None] | None = None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def show(self, slot: int, quote: TopOfBook) -> None:
        depth = self._depth
        worse = {
            "bid_price": quote.bid_price * (1 - self._slip), "ask_price": quote.ask_price * (1 + self._slip),
            "bid_qty": depth or quote.bid_qty, "ask_qty": depth or quote.ask_qty,
        }  # fmt: skip
        self._inner.on_quote(slot, quote.model_copy(update=worse))

    def on_quote(self, slot: int, quote: TopOfBook) -> None: ...

    def on_quote_refused(self, slot: int) -> None: ...

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark_price: Decimal) -> FundingPayment | None:
        return None

    def submit(self, order: Order) -> None:
        self.orders.append(order)
        self._inner.submit(order)

    def cancel(self, order: Order) -> None:
        self._inner.cancel(order)

    def balances(self) -> Sequence[Balance]:
        return self._inner.balances()

    def positions(self) -> Sequence[Position]:
        return self._inner.positions()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return self._inner.affordable_notional(instrument, side, price)


class Bench:
    def __init__(
        self,
        data_dir: Path,
        *,
        slip_bps: float = 0.0,
        depth: float | None = None,
        real_taker: str = "1",
        real_latency_ms: float = 10.0,
        money: Mapping[str, Mapping[str, float]] = RICH,
        no_orders_at: frozenset[str] = frozenset(),
        taker: str = "1",
        arbitrage: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = VirtualClock(START_NS)
        self.journal, self.real_journal = MemoryJournal(), MemoryJournal()
        self.log: list[str] = []
        self.sequence = 0
        instruments = (BINANCE, BYBIT)
        told = Settings.model_validate({"data_dir": data_dir, "paper": {"balances": RICH}} | settings)
        theirs = Settings.model_validate({"paper": {"balances": money, "latency_ms": real_latency_ms}})
        self.paper = PaperActions(instruments, self.fees(taker), told.paper, self.clock)
        real = PaperActions(instruments, self.fees(real_taker), theirs.paper, self.clock)
        self.real = RealVenue(real, slip_bps, depth)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "simulated", False, "digest", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(
                ArbitrageSettings.model_validate(
                    {"exit_basis": "converged", "warmup_s": 0.5, "adverse_moves": False, "cooldown_s": 0.1}
                    | {"exit_edge_bps": 5}
                    | dict(arbitrage or {})
                )
            ),
            venue=self.paper,
            journal=self.journal,
            clock=self.clock,
            settings=told,
            fees=self.fees(taker),
            assumed_funding_bps_per_8h={one.feed: 0.0 for one in instruments},
            log=lambda level, text: self.log.append(text),
        )
        side = RealSide(lambda fees: self.real, self.real_journal, False, None, no_orders_at)
        self.shadow = ShadowRun(
            side, self.engine, self.paper, self.journal, self.clock, lambda level, text: self.log.append(text)
        )
        self.shadow.look_back()
        self.engine.start()
        self.shadow.start(None, lambda *_: False)

    def fees(self, taker: str) -> dict[Feed, FeeSchedule]:
        return {
            one.feed: FeeSchedule(feed=one.feed, maker_bps=D(0), taker_bps=D(taker), source=FeeSource.SETTING)
            for one in (BINANCE, BYBIT)
        }

    def show(self, slot: int, bid: float, ask: float, quantity: float) -> None:
        self.sequence += 1
        now_ns = self.clock.now_ns()
        quote = TopOfBook(
            bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=self.sequence, ts_event_ns=now_ns
        )
        self.real.show(slot, quote)
        self.engine.on_quote(slot, quote, now_ns, b"")

    def run(self, ms: int, binance: tuple[float, float], bybit: tuple[float, float], quantity: float = 0.5) -> None:
        for _ in range(ms // 100):
            self.show(0, *binance, quantity)
            self.show(1, *bybit, quantity)
            self.engine.on_batch_end(self.clock.now_ns())
            self.clock.advance_to(self.clock.now_ns() + 100 * MS)

    def round_trip(self, higher: float = 0.0) -> None:
        """One pair: opened while Bybit is dear, closed when it is even again; all prices so much higher."""
        even, dear = tuple(price + higher for price in EVEN), tuple(price + higher for price in DEAR)
        self.run(2_000, even, even)  # type: ignore[arg-type]
        self.run(500, even, dear)  # type: ignore[arg-type]
        self.run(3_000, even, even)  # type: ignore[arg-type]

    @property
    def rows(self) -> list[ShadowFill]:
        told = [body for body in self.journal.of(RecordKind.SHADOW) if body["what"] == "fill"]
        return [ShadowFill.model_validate(body) for body in told]

    @property
    def not_shadowed(self) -> list[str]:
        return [body["why"] for body in self.journal.of(RecordKind.SHADOW) if body["what"] == "not_shadowed"]

    def states(self, journal: MemoryJournal) -> list[str]:
        return [body["state"] for body in journal.of(RecordKind.PAIR)]


def test_a_twin_opens_and_closes_with_its_pair_at_the_coarser_minimum(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round_trip()
    assert bench.states(bench.journal) == ["opening", "open", "closing", "closed"]
    assert bench.states(bench.real_journal) == ["opening", "open", "closing", "closed"]
    assert [order.quantity for order in bench.real.orders] == [LEAST] * 4
    assert not bench.real.positions()
    paper = bench.journal.of(RecordKind.ORDER)
    intents = [body for body in paper if body["status"] == "sent"]
    for twin, order in zip(bench.real.orders, intents, strict=True):
        same = (twin.instrument.symbol, twin.side, twin.time_in_force, twin.price, twin.ts_sent_ns)
        assert same == (
            order["instrument"]["symbol"], order["side"], order["time_in_force"], D(order["price"]),
            order["ts_sent_ns"],
        )  # fmt: skip
        assert D(order["quantity"]) > LEAST
    assert len(bench.rows) == 4
    assert all((row.outcome, row.price_bps, row.fee_bps, row.latency_ms) == ("filled", 0, 0, 0) for row in bench.rows)
    assert {row.pair for row in bench.rows} == {"run-1"}
    assert {row.twin for row in bench.rows} == {"runs-1"}


def test_the_planted_slip_fee_and_delay_are_what_the_report_tells(tmp_path: Path) -> None:
    bench = Bench(tmp_path, slip_bps=2.0, real_taker="1.75", real_latency_ms=95.0)
    bench.round_trip()
    assert len(bench.rows) == 4
    for row in bench.rows:
        assert row.outcome == "filled"
        assert row.model_bps == pytest.approx(2.0, abs=1e-6)
        assert row.price_bps == pytest.approx(2.0, abs=1e-6)
        assert row.size_bps == 0
        assert row.fee_bps == pytest.approx(0.75)
        assert row.latency_ms == pytest.approx(2 * (95 - bench.engine.settings.paper.latency_ms))
    told = bench.shadow.status()
    assert told.figures.too_good_bps is not None
    assert told.figures.too_good_bps.mean == pytest.approx(2.75)
    assert told.figures.verdict == "", "four fills are too few for a sentence"
    bench.round_trip(higher=1.0)  # at prices that our own fills have not used up
    assert bench.shadow.status().figures.verdict == (
        "paper is too good by 2.75 bps on average (n=8); of what paper filled, real orders filled 100%"
    )


def test_a_real_order_that_is_filled_in_part_is_told_with_its_share_and_is_evened(tmp_path: Path) -> None:
    bench = Bench(tmp_path, depth=0.004)
    bench.round_trip()
    bench.run(20_000, EVEN, EVEN)
    first = {row.instrument: row for row in bench.rows if row.phase == "open"}["binance:ETH/USDT:USDT"]
    assert (first.outcome, first.real_share, first.paper_share) == ("partial", 0.4, 1.0)
    assert not bench.shadow.desk.executor.pairs
    assert not bench.real.positions()


def test_a_venue_beyond_the_price_cap_is_missed_and_paper_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, slip_bps=20.0)
    bench.round_trip()
    opened = [row for row in bench.rows if row.phase == "open"]
    assert [row.outcome for row in opened] == ["missed", "missed"]
    closed = [row for row in bench.rows if row.phase == "close"]
    assert [row.outcome for row in closed] == ["no order", "no order"]
    assert bench.states(bench.journal)[-1] == "closed"
    assert bench.shadow.status().figures.filled_share == 0


POOR = {"binance.linear": {"USDT": 0.01}, "bybit.unified": {"USDT": 100_000}}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"money": POOR}, "balance binance.linear"),
        ({"no_orders_at": frozenset({"bybit"})}, "no_orders_at bybit"),
        ({"shadow": {"max_order_notional": "9"}}, "minimum_notional"),
    ],
)
def test_what_the_real_side_refuses_is_counted_by_name_and_paper_goes_on(
    told: dict[str, Any], why: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, **told)
    bench.round_trip()
    assert bench.not_shadowed == [why]
    assert bench.shadow.status().not_shadowed == {why: 1}
    assert bench.real.orders == []
    assert bench.rows == []
    assert bench.states(bench.journal)[-1] == "closed"


def test_a_halt_of_real_orders_leaves_paper_alone_and_a_halt_of_paper_halts_both(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.shadow.desk.gate.halt("the account is not what fills make")
    bench.round_trip()
    assert bench.not_shadowed == ["state_halted"]
    assert bench.engine.desk.gate.state is TradingState.ACTIVE
    assert bench.shadow.is_halted
    other = Bench(tmp_path)
    other.engine.desk.gate.reduce(Cause.PERSON, "slow disk")
    assert other.shadow.desk.gate.state is TradingState.REDUCING
    other.engine.desk.gate.resume(Cause.PERSON, "well again")
    assert other.shadow.desk.gate.state is TradingState.ACTIVE
    other.engine.desk.gate.halt("kill switch")
    assert other.shadow.is_halted


def test_what_reduces_paper_and_what_reduces_real_orders_end_each_by_itself(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    paper, real = bench.engine.desk.gate, bench.shadow.desk.gate
    paper.reduce(Cause.DISK, "slow disk")
    real.reduce(Cause.ACCOUNT, "a position that nothing explains")
    paper.resume(Cause.DISK, "well again")
    assert (paper.state, real.state) == (TradingState.ACTIVE, TradingState.REDUCING)
    assert bench.shadow.status().why_not_active == "a position that nothing explains"
    assert "REDUCING: a position that nothing explains)" in bench.shadow.status().line
    paper.reduce(Cause.PERSON, "paused by one")
    paper.reduce(Cause.LOOP, "the loop stood still")
    real.resume(Cause.ACCOUNT, "explained")
    assert dict(real.causes) == {Cause.PAPER: "paused by one; the loop stood still"}
    paper.resume(Cause.PERSON, "resumed by one")
    assert dict(real.causes) == {Cause.PAPER: "the loop stood still"}
    paper.resume(Cause.LOOP, "steady again")
    assert (real.state, bench.shadow.status().why_not_active) == (TradingState.ACTIVE, "")


def rest_and_return(bench: Bench) -> None:
    """A post-only buy is taken at Binance when its ask comes through, its hedge sells at Bybit; then all is even."""
    bench.run(2_000, EVEN, EVEN)
    bench.run(300, EVEN, (1003.00, 1003.20))
    bench.run(300, (999.80, 999.85), (1003.00, 1003.20))
    bench.run(25_000, EVEN, EVEN)


def test_a_post_only_leg_rests_beside_that_of_paper(tmp_path: Path) -> None:
    bench = Bench(tmp_path, taker="10", real_taker="10", arbitrage={"maker_variants": True})
    rest_and_return(bench)
    assert bench.states(bench.journal) == bench.states(bench.real_journal) == ["opening", "open", "closing", "closed"]
    assert [(row.outcome, row.phase, row.is_maker) for row in bench.rows] == [
        ("filled", "open", True), ("filled", "open", False), ("filled", "close", False), ("filled", "close", False),
    ]  # fmt: skip
    assert {order.quantity for order in bench.real.orders} == {LEAST}


@pytest.mark.parametrize("slip_bps", [3.0, -3.0], ids=["nobody comes", "it would trade at once"])
def test_a_post_only_leg_that_paper_alone_had_filled_is_missed_and_leaves_nothing(
    slip_bps: float, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, taker="10", real_taker="10", slip_bps=slip_bps, arbitrage={"maker_variants": True})
    rest_and_return(bench)
    assert bench.states(bench.journal)[-1] == "closed"
    assert bench.states(bench.real_journal) == ["opening", "missed"]
    assert [row.outcome for row in bench.rows] == ["missed", "no order", "no order", "no order"]
    assert not bench.real.positions()
    assert bench.shadow.status().open_twins == 0


def test_a_chain_is_counted_and_has_no_twin(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    chain = bench.engine.routes[0].route.model_copy(update={"kind": "triangular"})
    wanted = Opportunity(
        route=chain, ts_ns=1, quantity=D(1), buy_price=1.0, sell_price=1.0, gross_edge_bps=1.0, costs=(),
        net_edge_bps=1.0,
    )  # fmt: skip
    bench.engine.desk.witness.took_chain(wanted)
    assert bench.not_shadowed == ["chain"]
    assert bench.shadow.status().not_shadowed == {"chain": 1}


def test_what_is_shown_of_a_run_says_it_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, slip_bps=2.0)
    bench.round_trip()
    bench.round_trip(higher=1.0)
    shown = take_snapshot(
        bench.engine, bench.clock.now_ns(), lambda feed, raw: PrintedQuote("", "", "", "", ""), progress=None,
        finished=False, shadow=bench.shadow.status(),
    )  # fmt: skip
    told = "\n".join(status_lines(shown))
    assert "SHADOW (paper money, ACTIVE): 2 pairs shadowed; paper is too good by 2.00 bps on average (n=8)" in told
    assert "0 twins open, 8 real orders, realised" in told
    again = Snapshot.model_validate_json(shown.model_dump_json())
    assert again.shadow == shown.shadow


def test_a_pair_that_paper_does_not_send_sends_no_twin(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(2_000, EVEN, EVEN)
    bench.journal.waiting = waiting = []
    bench.real_journal.waiting = waiting
    bench.show(0, *EVEN, 0.5)
    bench.show(1, *DEAR, 0.5)
    bench.engine.on_batch_end(bench.clock.now_ns())
    assert len(waiting) == 2, "both wait for the disk"
    bench.engine.desk.executor.why_not_now = lambda pair: "a limit of paper's own"
    bench.journal.waiting = bench.real_journal.waiting = None
    for send in waiting:
        send()
    assert bench.states(bench.journal)[-1] == "missed"
    assert bench.states(bench.real_journal)[-1] == "missed"
    assert bench.real.orders == []


def test_an_order_that_is_larger_than_the_minimum_does_not_leave_and_halts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(2_000, EVEN, EVEN)
    desk = bench.shadow.desk
    real_open = desk.open
    desk.open = lambda state, wanted: real_open(state, wanted.model_copy(update={"quantity": D("0.05")}))  # type: ignore[method-assign]
    desk.gate.claim = lambda opportunity: None  # type: ignore[method-assign]
    bench.run(500, EVEN, DEAR)
    assert bench.real.orders == []
    assert bench.shadow.is_halted
    assert any("0.050 ETH, and 0.01 is the minimum" in line for line in bench.log)
    assert bench.engine.desk.gate.state is TradingState.ACTIVE
