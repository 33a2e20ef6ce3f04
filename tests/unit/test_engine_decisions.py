"""Wire frames of two exchanges through decoders, engine, gate, executor and paper venue, worked out by hand."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.route import Decision, Outcome
from bot.engine.engine import Engine, RunInfo
from bot.engine.snapshot import combined_views, take_snapshot
from bot.engine.summary import run_summary
from bot.ports import FeedState, RecordKind
from bot.risk.gate import Cause, TradingState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from exchanges.registry import all_venues
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

D = Decimal
MS = 1_000_000
START_MS = 1_700_000_000_000
SPOT = Instrument(
    venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT",
    tick_size=D("0.01"), lot_size=D("0.0001"), min_quantity=D("0.0001"), min_notional=D(5),
)  # fmt: skip
LINEAR = Instrument(
    venue="binance", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D(20),
)  # fmt: skip
BYBIT = LINEAR.model_copy(update={"venue": "bybit"})
THERE = "cash_and_carry:binance:ETH/USDT>binance:ETH/USDT:USDT"
BACK = "cash_and_carry:binance:ETH/USDT:USDT>binance:ETH/USDT"
TAKER = {"binance.spot": "10", "binance.linear": "5", "bybit.linear": "5.5"}
BALANCES = {
    "binance.spot": {"USDT": 100_000, "ETH": 30},
    "binance.linear": {"USDT": 100_000},
    "bybit.unified": {"USDT": 100_000},
}
EVEN = ("999.90", "1000.10")


class MemoryJournal:
    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, str, Mapping[str, Any]]] = []

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.records.append((kind, key, body() if callable(body) else body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None:
        pass

    def of(self, kind: RecordKind) -> list[Mapping[str, Any]]:
        return [body for its_kind, _, body in self.records if its_kind is kind]


class Bench:
    """Costs of a round trip: fees 2 × (10 + 5) bps, and 2 bps of spread on each side, half of it paid twice."""

    def __init__(
        self,
        instruments: tuple[Instrument, ...] = (SPOT, LINEAR),
        taker: Mapping[str, str] = TAKER,
        arbitrage: Mapping[str, Any] | None = None,
        fees: Mapping[Feed, FeeSchedule] | None = None,
        **settings: Any,
    ) -> None:
        self.instruments = instruments
        self.clock = VirtualClock(START_MS * MS)
        self.journal = MemoryJournal()
        self.decisions: list[Decision] = []
        self.log: list[str] = []
        all_settings = Settings.model_validate({"paper": {"balances": BALANCES}} | settings)
        if fees is None:
            fees = {
                i.feed: FeeSchedule(feed=i.feed, maker_bps=D(0), taker_bps=D(taker[str(i.feed)]), source="settings")
                for i in instruments
                if str(i.feed) in taker
            }
        own = ArbitrageSettings.model_validate(
            {"exit_basis": "converged", "warmup_s": 0.5, "adverse_moves": False} | dict(arbitrage or {})
        )
        self.paper = PaperActions(instruments, fees, all_settings.paper, self.clock)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(own),
            venue=self.paper,
            journal=self.journal,
            clock=self.clock,
            settings=all_settings,
            fees=fees,
            assumed_funding_bps_per_8h={i.feed: 0.0 for i in instruments},
            log=lambda level, text: self.log.append(text),
            show_decision=self.decisions.append,
        )
        venues = all_venues()
        self.printed = lambda feed, raw: venues[feed.venue].printed(feed, raw)
        self.decoders = {
            i.feed: venues[i.venue].decoder(i.feed, {"ETHUSDT": slot}, self.engine)
            for slot, i in enumerate(instruments)
        }
        self.sequence = 100
        self.seen = 0
        self.engine.start()

    @property
    def ms(self) -> int:
        return self.clock.now_ns() // MS - START_MS

    def frame(self, at_ms: float, feed: Feed, raw: str | bytes) -> None:
        ts_ns = START_MS * MS + round(at_ms * MS)
        self.clock.advance_to(ts_ns)
        self.decoders[feed].on_frame(raw.encode() if isinstance(raw, str) else raw, ts_ns)
        self.engine.on_batch_end(ts_ns)

    def spot(self, at_ms: float, bid: str, ask: str, quantity: str = "5.0000", **change: Any) -> None:
        self.sequence += 1
        data = {"u": self.sequence, "s": "ETHUSDT", "b": bid, "B": quantity, "a": ask, "A": quantity} | change
        self.frame(at_ms, SPOT.feed, json.dumps({"stream": "ethusdt@bookTicker", "data": data}, separators=(",", ":")))

    def linear(
        self, at_ms: float, bid: str, ask: str, quantity: str = "5.000", event_ms: float | None = None, **change: Any
    ) -> None:
        self.sequence += 1
        event = START_MS + round(at_ms if event_ms is None else event_ms)
        data = {
            "e": "bookTicker", "u": self.sequence, "s": "ETHUSDT", "b": bid, "B": quantity, "a": ask, "A": quantity,
            "T": event, "E": event,
        } | change  # fmt: skip
        raw = json.dumps({"stream": "ethusdt@bookTicker", "data": data}, separators=(",", ":"))
        self.frame(at_ms, LINEAR.feed, raw)

    def mark_price(self, at_ms: float, rate: str, next_ms: int, event_ms: float | None = None) -> None:
        event = START_MS + round(at_ms if event_ms is None else event_ms)
        data = {
            "e": "markPriceUpdate", "E": event, "s": "ETHUSDT", "p": "1000.00", "r": rate, "T": START_MS + next_ms,
        }  # fmt: skip
        raw = json.dumps({"stream": "ethusdt@markPrice@1s", "data": data}, separators=(",", ":"))
        self.frame(at_ms, LINEAR.feed, raw)

    def warm(self, until_ms: int = 2_000) -> None:
        """Both sides at 999.90/1000.10, renewed each 100 ms."""
        for at_ms in range(self.ms, until_ms + 1, 100):
            self.spot(at_ms, *EVEN)
            self.linear(at_ms, *EVEN)

    def new(self) -> list[tuple[Outcome, str, str]]:
        """Decisions since the last call: outcome, direction, reason."""
        fresh = self.decisions[self.seen :]
        self.seen = len(self.decisions)
        return [(d.outcome, "there" if d.route == THERE else "back", d.reason) for d in fresh]


REFUSED, TAKEN, CLOSED = Outcome.REFUSED, Outcome.TAKEN, Outcome.CLOSED


def test_every_decision_of_a_pairs_life_with_its_hand_worked_edge() -> None:
    bench = Bench()
    bench.spot(0, *EVEN)
    assert bench.new() == [(REFUSED, "there", "no_quote"), (REFUSED, "back", "no_quote")]
    bench.linear(0, *EVEN)
    assert bench.new() == [(REFUSED, "there", "warm_up"), (REFUSED, "back", "warm_up")]
    bench.warm(1_500)
    assert bench.new() == [(REFUSED, "there", "net_edge"), (REFUSED, "back", "net_edge")]
    # Buy at 1000.10, sell at 999.90: −1.9998 bps; costs 2 × 5 of what is bought, 2 × 10 of what is sold, and 2.
    sold = 999.90 / 1000.10
    assert bench.decisions[-1].net_bps == pytest.approx((sold - 1) * 1e4 - 10 - 20 * sold - 2, abs=1e-6)

    bench.linear(1_600, "1003.39", "1003.59")  # 32.897 − 32 = 0.897: below the minimum of 1
    assert bench.new() == []
    bench.linear(1_601, "1003.41", "1003.61")
    assert bench.new() == [(TAKEN, "there", "net_edge")]
    taken = bench.decisions[-1]
    sold = 1003.41 / 1000.10
    assert taken.net_bps == pytest.approx((sold - 1) * 1e4 - 20 - 10 * sold - 2, abs=1e-6)
    assert taken.net_bps is not None
    assert 1.0 <= taken.net_bps < 1.1
    assert taken.quantity == D("0.996")  # 1000 / 1003.41 = 0.9966, on a grid of 0.001
    assert taken.net_bps == pytest.approx((taken.gross_bps or 0) - (taken.needed_bps or 0))

    bench.linear(1_650, "1003.41", "1003.61")
    bench.spot(1_650, *EVEN)
    assert bench.new() == []
    bench.linear(1_700, "999.80", "1000.00")
    assert bench.new() == [(CLOSED, "there", "edge_gone")]
    # The figures of a close are those of its moment: what opening would offer now.
    assert bench.decisions[-1].gross_bps == pytest.approx((999.80 / 1000.10 - 1) * 1e4)
    bench.linear(1_750, "999.80", "1000.00")
    bench.spot(1_800, *EVEN)
    assert bench.new() == [(REFUSED, "there", "net_edge")]

    # Spot 0.996 × (999.90 − 1000.10), perpetual 0.996 × (1003.41 − 1000.00); the buy's fee is taken in ETH, so
    # 0.996 − 0.000996 are sold, on the lot of 0.0001.
    sold = D("0.9950")
    cash = -D("0.996") * D("1000.10") + sold * D("999.90") * (1 - D("0.001"))
    perp = D("0.996") * (D("1003.41") - D("1000.00")) - D("0.996") * (D("1003.41") + D("1000.00")) * D("0.0005")
    assert bench.engine.desk.ledger.realised() == {"USDT": cash + perp, "ETH": D("0.996") - D("0.000996") - sold}
    assert bench.engine.decider.opportunities == 1


def test_costs_of_a_side_that_are_not_known_refuse_the_route() -> None:
    bench = Bench(taker={"binance.spot": "0"})
    bench.warm()
    assert {d.reason for d in bench.decisions} == {"no_quote", "warm_up", "fee_schedule"}
    bench.linear(2_050, "1100.00", "1100.10")
    assert bench.new()[-1][0] is REFUSED
    assert bench.engine.decisions.taken == 0


BAD_QUOTES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("crossed", "1010.00", "1003.00", {}),
    ("locked", "1010.00", "1010.00", {}),
    ("empty_side", "1010.00", "1011.00", {"B": "0.000"}),
    ("non_positive", "0.00", "1011.00", {}),
    ("non_positive", "1010.00", "1011.00", {"A": "-1.000"}),
    ("non_finite", "NaN", "1011.00", {}),
    ("non_finite", "1010.00", "Infinity", {}),
    ("implausible_jump", "9999.00", "10001.00", {}),
    ("stale", "1010.00", "1011.00", {"T": START_MS + 999}),
]


@pytest.mark.parametrize(("reason", "bid", "ask", "change"), BAD_QUOTES)
def test_fault_11_and_13_a_refused_quote_is_counted_by_its_reason_and_never_priced(
    reason: str, bid: str, ask: str, change: dict[str, Any]
) -> None:
    bench = Bench()
    bench.warm()
    bench.new()
    bench.linear(2_000, bid, ask, **change)
    assert bench.engine.slots[1].refused_counts == {reason: 1}
    assert bench.engine.slots[1].quote is None
    assert bench.new() == [(REFUSED, "there", "no_quote"), (REFUSED, "back", "no_quote")]
    assert bench.decisions[-1].net_bps is None
    summary = run_summary(bench.engine, complete=True)
    assert summary["quotes_refused"] == {reason: 1}
    assert summary["quotes"]["binance.linear"] == 22  # refused ones included


def test_fault_10_a_late_copy_is_counted_and_the_newer_quote_stands() -> None:
    bench = Bench()
    bench.warm()
    late = TopOfBook(bid_price=1010.0, bid_qty=1.0, ask_price=1011.0, ask_qty=1.0, sequence=5)
    bench.engine.on_quote(1, late, bench.clock.now_ns(), b"")
    bench.engine.on_batch_end(bench.clock.now_ns())
    assert bench.engine.slots[1].refused_counts == {"out_of_order": 1}
    quote = bench.engine.slots[1].quote
    assert quote is not None
    assert quote.bid_price == 999.90


WIDE = {"max_age_ms": 500.0, "max_event_age_ms": 5_000.0, "max_skew_ms": 5_000.0}


@pytest.mark.parametrize(
    ("gate", "spot_ms", "linear_ms", "event_ms", "answer"),
    [
        (WIDE, 2_000, 2_500.0, 2_500, "net_edge"),
        (WIDE, 2_000, 2_500.001, 2_500, "quote_age"),
        (WIDE | {"max_age_ms": 5_000.0, "max_skew_ms": 300.0}, 2_000, 2_300.0, 2_300, "net_edge"),
        (WIDE | {"max_age_ms": 5_000.0, "max_skew_ms": 300.0}, 2_000, 2_300.001, 2_300, "net_edge"),
        (WIDE | {"max_age_ms": 5_000.0, "max_skew_ms": 300.0}, 2_000, 2_301.0, 2_301, "quote_skew"),
        (WIDE | {"max_event_age_ms": 700.0}, 2_400, 2_500.0, 1_800, "net_edge"),  # just as old as allowed
        (WIDE | {"max_event_age_ms": 700.0}, 2_400, 2_500.0, 1_799, "no_quote"),
    ],
)
def test_fault_12_age_and_skew_hold_on_their_border_and_refuse_beyond(
    gate: dict[str, float], spot_ms: int, linear_ms: float, event_ms: int, answer: str
) -> None:
    bench = Bench(quote_gate=gate)
    bench.warm()
    bench.spot(spot_ms, *EVEN)
    bench.linear(linear_ms, "1010.00", "1010.20", event_ms=event_ms)
    decision = next(d for d in reversed(bench.decisions) if d.route == THERE)
    assert (decision.reason, decision.outcome) == (answer, TAKEN if answer == "net_edge" else REFUSED)


def test_a_decision_is_recorded_when_its_reason_changes_and_not_per_quote() -> None:
    bench = Bench()
    bench.warm(30_000)
    assert len(bench.decisions) == 6
    assert len(bench.journal.of(RecordKind.DECISION)) == 6


def test_cooldown_rests_a_route_after_its_pair() -> None:
    bench = Bench(arbitrage={"cooldown_s": 0.2, "max_holding_s": 0.05})
    bench.warm()
    bench.new()
    for step in range(40):
        bench.spot(2_001 + step * 10, *EVEN)
        bench.linear(2_001 + step * 10, "1010.00", "1010.20")
    outcomes = bench.new()
    assert outcomes[:4] == [
        (TAKEN, "there", "net_edge"),
        (CLOSED, "there", "max_holding"),
        (REFUSED, "there", "cooldown"),
        (TAKEN, "there", "net_edge"),
    ]
    taken = [d.ts_ns for d in bench.decisions if d.outcome is TAKEN]
    assert taken[1] - taken[0] >= 250 * MS


def in_position(**settings: Any) -> Bench:
    bench = Bench(**settings)
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")
    bench.linear(2_050, "1010.00", "1010.20")
    (pair,) = bench.engine.desk.executor.pairs.values()
    assert pair.state == "open"
    bench.new()
    return bench


def test_the_longest_holding_ends_a_pair_by_the_timer_and_the_feed_is_awaited() -> None:
    bench = in_position(arbitrage={"max_holding_s": 5.0})
    bench.engine.on_feed_state(LINEAR.feed, FeedState.SILENT, "no data")
    bench.clock.advance_to((START_MS + 60_000) * MS)
    assert bench.new() == [(CLOSED, "there", "max_holding")]
    (pair,) = bench.engine.desk.executor.pairs.values()
    assert (pair.state, pair.imbalance < D("0.001")) == ("closing", True)
    assert bench.engine.desk.orders == 2
    assert bench.engine.desk.gate.state is TradingState.ACTIVE
    bench.spot(60_000, *EVEN)
    bench.linear(60_010, "1010.00", "1010.20")
    bench.clock.advance_to((START_MS + 60_500) * MS)
    assert not bench.engine.desk.executor.pairs


def test_fault_01_a_silent_feed_takes_its_quotes_alone_and_open_pairs_are_an_alarm_once() -> None:
    bench = in_position()
    for state in (FeedState.SILENT, FeedState.RECONNECTING, FeedState.LIVE):
        bench.engine.on_feed_state(LINEAR.feed, state, "no data")
    assert bench.engine.slots[1].quote is None
    assert bench.engine.slots[0].quote is not None
    assert [line for line in bench.log if "ALARM" in line] == [
        "ALARM: pair run-1 is open, and binance.linear tells no price"
    ]
    calm = Bench()
    calm.engine.on_feed_state(LINEAR.feed, FeedState.SILENT, "no data")
    assert not any("ALARM" in line for line in calm.log)


def test_fault_01_a_feed_that_falls_silent_without_a_word_loses_its_quote() -> None:
    bench = in_position()
    for at_ms in range(2_100, 8_000, 100):
        bench.spot(at_ms, *EVEN)
    assert bench.engine.slots[1].quote is None
    assert bench.engine.slots[1].refused == "feed_silent"
    assert bench.engine.slots[0].quote is not None
    bench.linear(8_000, "1010.00", "1010.20")
    assert bench.engine.slots[1].quote is not None


def test_the_loss_stop_holds_without_a_price_for_the_route() -> None:
    bench = in_position(arbitrage={"loss_stop_bps": 40.0})  # opened at 99 − 103 − 30 = −34 bps
    bench.engine.slots[1].fees = None
    for state in bench.engine.routes:
        state.watch.refresh(bench.clock.now_ns())
    bench.linear(2_060, "1010.50", "1010.70")
    assert [what for what in bench.new() if what[1] == "there"] == []  # 99 − 108 − 30 = −39 bps
    bench.linear(2_060, "1010.70", "1010.90")
    assert bench.new() == [(CLOSED, "there", "loss_stop")]


def test_a_quote_that_is_refused_between_order_and_arrival_fills_nothing_there_and_the_other_leg_is_unwound() -> None:
    bench = Bench()
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")
    bench.linear(2_005, "1012.00", "1010.20")  # crossed
    bench.spot(2_030, *EVEN)
    bench.spot(2_060, *EVEN)
    bench.linear(2_070, "1010.00", "1010.20")
    orders = [order for order in bench.journal.of(RecordKind.ORDER) if order["status"] in ("filled", "expired")]
    assert [(order["leg"], order["status"]) for order in orders] == [
        ("open_buy", "filled"),
        ("open_sell", "expired"),
        ("hedge_sell", "filled"),
    ]
    assert orders[1]["reason"] == "no valid quote"
    assert bench.journal.of(RecordKind.PAIR)[-1]["state"] == "failed"


def test_funding_is_settled_at_the_venues_hour_at_the_rate_told_before_it() -> None:
    bench = Bench()
    bench.warm(1_900)
    bench.mark_price(1_950, "0.00100000", 10_000)
    bench.linear(2_001, "1010.00", "1010.20")
    for at_ms in range(2_100, 12_000, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "1010.00", "1010.20")
        if at_ms == 10_100:
            bench.mark_price(at_ms, "-0.00500000", 28_810_000)
    (payment,) = bench.journal.of(RecordKind.FUNDING)
    # Short 0.990 (1000 / 1010 on the lot) at a mark of 1000.00: longs pay 10 bps of 990.
    assert (D(payment["payment"]), payment["rate"], payment["assumed"]) == (D("0.99"), "0.001", True)


def test_a_venue_whose_clock_is_ahead_settles_by_its_own_hour_and_once() -> None:
    ahead_ms = 1_270
    bench = Bench()
    for at_ms in range(0, 2_001, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, *EVEN, event_ms=at_ms + ahead_ms)
    bench.mark_price(2_000, "0.00100000", 10_000, event_ms=2_000 + ahead_ms)
    bench.linear(2_001, "1010.00", "1010.20", event_ms=2_001 + ahead_ms)
    for at_ms in range(2_100, 15_000, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "1010.00", "1010.20", event_ms=at_ms + ahead_ms)
        if at_ms == 8_800:  # 10.07 s by the venue's clock
            bench.mark_price(at_ms, "-0.00500000", 28_810_000, event_ms=at_ms + ahead_ms)
    (payment,) = bench.journal.of(RecordKind.FUNDING)
    assert payment["rate"] == "0.001"


def test_funding_that_nothing_tells_is_settled_as_assumed_at_a_multiple_of_eight_hours() -> None:
    bench = in_position(arbitrage={"max_holding_s": 100_000.0})
    slot = bench.engine.slots[1]
    slot.funding_bps_per_h = 1.0
    due_ms = 28_800_000 - START_MS % 28_800_000
    bench.clock.advance_to((START_MS + due_ms - 1) * MS)
    assert bench.journal.of(RecordKind.FUNDING) == []
    bench.clock.advance_to((START_MS + due_ms) * MS)
    (payment,) = bench.journal.of(RecordKind.FUNDING)
    assert (D(payment["rate"]), payment["assumed"]) == (D("0.0008"), True)


def test_a_loss_halt_opens_nothing_more_and_open_pairs_are_still_closed() -> None:
    bench = in_position(risk={"max_daily_loss": 5.0})
    bench.engine.desk.portfolio.on_realised(D(-5), bench.clock.now_ns())
    bench.clock.advance_to((START_MS + 3_000) * MS)
    assert bench.engine.desk.gate.state is TradingState.HALTED
    bench.spot(3_000, *EVEN)
    bench.linear(3_000, "999.80", "1000.00")
    bench.linear(3_030, "999.80", "1000.00")
    bench.linear(3_050, "999.80", "1000.00")
    assert bench.new()[0] == (CLOSED, "there", "edge_gone")
    assert not bench.engine.desk.executor.pairs
    bench.spot(4_500, *EVEN)
    bench.linear(4_500, "1010.00", "1010.20")
    assert bench.new()[-1] == (REFUSED, "there", "state_halted")


def test_paused_it_opens_nothing_and_resumed_it_does() -> None:
    bench = Bench()
    bench.warm()
    bench.engine.desk.gate.reduce(Cause.PERSON, "pause was asked for")
    bench.linear(2_001, "1010.00", "1010.20")
    assert bench.new()[-1] == (REFUSED, "there", "state_reducing")
    bench.engine.desk.gate.resume(Cause.PERSON, "resume was asked for")
    bench.linear(2_002, "1010.00", "1010.20")
    assert bench.new()[-1] == (TAKEN, "there", "net_edge")


def test_a_pair_that_is_open_at_the_end_stays_open_and_is_named() -> None:
    bench = in_position()
    bench.engine.desk.finish()
    assert any("is not closed (open): it holds" in line and "-0.990 ETH" in line for line in bench.log)
    summary = run_summary(bench.engine, complete=False)
    assert (summary["open_pairs"], summary["pnl"]["USDT"]) == (1, "0")
    assert D(summary["unrealised"]["USDT"]) < 0


def test_a_wallet_that_cannot_pay_the_worst_price_of_all_takes_what_it_can() -> None:
    wallet = {"binance.spot": {"USDT": "990.10"}, "binance.linear": {"USDT": "1000"}}
    bench = Bench(paper={"balances": wallet})
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")  # 0.990 × 1000.10 = 990.099, at the limit price 990.59
    assert bench.new()[-1] == (TAKEN, "there", "net_edge")
    assert bench.decisions[-1].quantity == D("0.989")


def test_a_wallet_that_cannot_pay_the_least_is_refused_before_anything_is_sent() -> None:
    wallet = {"binance.spot": {"USDT": "15"}, "binance.linear": {"USDT": "1000"}}
    bench = Bench(paper={"balances": wallet})
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")  # the linear side takes 20 USDT at least
    assert bench.new()[-1] == (REFUSED, "there", "balance binance.spot")
    assert bench.engine.desk.orders == 0


def test_a_size_at_the_minimum_is_refused_where_the_limit_price_or_the_exit_would_fall_below_it() -> None:
    bench = Bench()
    bench.warm()
    # 0.020 at 1000.10 are 20.002 USDT, and at a limit 5 bps lower less than the minimum of 20.
    bench.linear(2_001, "1010.00", "1010.20", quantity="0.020")
    assert bench.new()[-1] == (REFUSED, "there", "size")
    bench.linear(2_002, "1010.00", "1010.20", quantity="0.021")
    assert bench.new()[-1] == (TAKEN, "there", "net_edge")
    other = Bench(risk={"max_order_notional": 20.0})
    other.warm()
    other.linear(2_001, "1010.00", "1010.20")
    assert other.new()[-1] == (REFUSED, "there", "size")
    observed, allowed = other.decisions[-1].observed, other.decisions[-1].allowed
    assert observed == pytest.approx(20 / 1010)
    assert allowed is not None
    assert observed is not None
    assert observed < allowed


def test_pairs_that_a_venue_refuses_time_after_time_halt_the_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(arbitrage={"cooldown_s": 0.0}, risk={"max_orders_per_minute": 1000, "max_rejects_per_minute": 1000})
    monkeypatch.setattr(bench.engine.desk.portfolio, "affordable_notional", lambda *_: 1e9)
    monkeypatch.setattr(bench.engine.desk.portfolio, "margin_after", lambda _: ())
    bench.paper.accounts._totals["binance.linear", "USDT"] = D(1)
    bench.warm()
    for at_ms in range(2_001, 6_000, 10):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "1010.00", "1010.20")
    assert bench.engine.desk.gate.state is TradingState.HALTED
    assert bench.engine.decisions.taken == 5
    assert any("5 pairs in a row failed" in line and "lacks" in line for line in bench.log)
    assert not bench.engine.desk.executor.pairs


def test_fault_45_two_routes_do_not_take_the_same_quote_twice() -> None:
    bench = Bench((SPOT, LINEAR, BYBIT))
    bench.warm()
    for at_ms in range(0, 1_001, 500):
        bybit_book(bench, 2_000 + at_ms, START_MS + at_ms, "999.90", "1000.10")
        bench.spot(2_000 + at_ms, *EVEN)
        bench.linear(2_000 + at_ms, *EVEN)
    bench.new()
    bench.linear(3_001, "1010.00", "1010.20")  # above spot and above Bybit: two routes sell it
    taken = [d for d in bench.decisions if d.outcome is TAKEN]
    assert [d.route for d in taken] == [THERE]
    assert [d.reason for d in bench.decisions if d.ts_ns == taken[0].ts_ns and d.outcome is REFUSED] == ["in_flight"]
    bench.spot(3_050, *EVEN)
    bench.linear(3_050, "1010.00", "1010.20")
    assert [d.route for d in bench.decisions if d.outcome is TAKEN][1:] == [
        "convergence:bybit:ETH/USDT:USDT>" + LINEAR.id
    ]


def bybit_book(bench: Bench, at_ms: float, venue_ms: int, bid: str, ask: str) -> None:
    bench.sequence += 1
    raw = (
        f'{{"topic":"orderbook.1.ETHUSDT","type":"snapshot","ts":{venue_ms},"data":{{"s":"ETHUSDT",'
        f'"b":[["{bid}","5"]],"a":[["{ask}","5"]],"u":{bench.sequence},"seq":9}},"cts":{venue_ms}}}'
    )
    bench.frame(at_ms, BYBIT.feed, raw)


def test_spot_of_one_open_pair_is_not_sold_by_another() -> None:
    wallet = {"binance.spot": {"USDT": "2000"}, "binance.linear": {"USDT": "1000"}, "bybit.unified": {"USDT": "1000"}}
    bench = Bench((SPOT, LINEAR, BYBIT), paper={"balances": wallet})
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")
    bench.linear(2_050, "1010.00", "1010.20")
    desk = bench.engine.desk
    (pair,) = desk.executor.pairs.values()
    assert pair.buy.held > D("0.98")
    sell, buy = (desk.portfolio.affordable_notional(SPOT, side, 1000.0) for side in (pair.sell.side, pair.buy.side))
    assert abs(sell) < 1e-6
    assert buy == pytest.approx(2000 - 990.099, abs=1e-6)


def test_the_combined_view_has_the_digits_that_the_venues_printed() -> None:
    bench = Bench((SPOT, LINEAR, BYBIT))
    bench.linear(7, "25.35190000", "25.36520000", quantity="31.21000000", A="40.66000000")
    bybit = (
        f'{{"topic":"orderbook.1.ETHUSDT","type":"snapshot","ts":{START_MS + 8},"data":{{"s":"ETHUSDT",'
        f'"b":[["25.35","7.10"]],"a":[["25.36","8"]],"u":7,"seq":9}},"cts":{START_MS + 5}}}'
    )
    bench.frame(9, BYBIT.feed, bybit)
    view = combined_views(bench.engine, bench.printed)["ETH/USDT:USDT"]
    assert json.dumps(view) == (
        f'{{"event_time": {START_MS + 7}, '
        '"binance": {"symbol": "ETHUSDT", "top_bid": "25.35190000", "top_bid_quantity": "31.21000000", '
        '"top_ask": "25.36520000", "top_ask_quantity": "40.66000000"}, '
        '"bybit": {"symbol": "ETHUSDT", "top_bid": "25.35", "top_bid_quantity": "7.10", '
        '"top_ask": "25.36", "top_ask_quantity": "8"}}'
    )


def test_a_snapshot_shows_an_open_routes_figures_of_now() -> None:
    bench = in_position()
    for at_ms in range(2_100, 3_200, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, "1009.00", "1009.20")
    snapshot = take_snapshot(bench.engine, bench.clock.now_ns(), bench.printed, progress=None, finished=False)
    row = next(row for row in snapshot.routes if row.route == THERE)
    assert row.gross_bps == pytest.approx((1009.00 / 1000.10 - 1) * 1e4)
    assert row.open_quantity == "0.98901", "a venue's padding zeros fill no column"


def test_two_runs_of_the_same_market_share_their_digest() -> None:
    digests = set()
    for _ in range(2):
        bench = in_position()
        bench.linear(2_100, "999.80", "1000.00")
        bench.linear(2_200, "999.80", "1000.00")
        digests.add(bench.engine.decisions.digest)
    assert len(digests) == 1
