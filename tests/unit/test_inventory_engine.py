"""Inventory pairs through engine, gate, executor and paper venue: both legs filled is the end of it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.route import Decision, Outcome
from bot.engine.engine import Engine, RunInfo
from bot.ports import RecordKind
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

D = Decimal
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
BINANCE = Instrument(
    venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT",
    tick_size=D("0.01"), lot_size=D("0.0001"), min_quantity=D("0.0001"), min_notional=D(5),
)  # fmt: skip
BYBIT = BINANCE.model_copy(update={"venue": "bybit"})
BALANCES = {"binance.spot": {"USDT": 100_000, "ETH": 30}, "bybit.unified": {"USDT": 100_000, "ETH": 30}}
ROUTE = "inventory:binance:ETH/USDT>bybit:ETH/USDT"


class MemoryJournal:
    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, Mapping[str, Any]]] = []

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.records.append((kind, body() if callable(body) else body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, **arbitrage: Any) -> None:
        self.clock = VirtualClock(START_NS)
        self.journal = MemoryJournal()
        self.decisions: list[Decision] = []
        self.sequence = 0
        instruments = (BINANCE, BYBIT)
        settings = Settings.model_validate({"paper": {"balances": BALANCES}})
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(0), taker_bps=D(10), source=FeeSource.SETTING)
            for i in instruments
        }
        own = {"warmup_s": 0.5, "adverse_moves": False, "assumed_rebalancing_bps": 2.0} | arbitrage
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(ArbitrageSettings.model_validate(own)),
            venue=PaperActions(instruments, fees, settings.paper, self.clock),
            journal=self.journal,
            clock=self.clock,
            settings=settings,
            fees=fees,
            assumed_funding_bps_per_8h={},
            log=lambda level, text: None,
            show_decision=self.decisions.append,
        )
        self.engine.start()

    def show(self, slot: int, bid: float, ask: float, quantity: float = 5.0) -> None:
        self.sequence += 1
        quote = TopOfBook(
            bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=self.sequence,
            ts_event_ns=self.clock.now_ns(),
        )  # fmt: skip
        self.engine.on_quote(slot, quote, self.clock.now_ns(), b"")
        self.engine.on_batch_end(self.clock.now_ns())

    def run(self, ms: int, binance: tuple[float, float], bybit: tuple[float, float], **size: float) -> None:
        for _ in range(ms // 100):
            self.show(0, *binance, **size)
            self.show(1, *bybit, **size)
            self.clock.advance_to(self.clock.now_ns() + 100 * MS)

    def pairs(self) -> list[str]:
        return [body["state"] for kind, body in self.journal.records if kind is RecordKind.PAIR]


EVEN = (999.90, 1000.10)


def test_a_pair_that_holds_nothing_is_over_when_both_legs_are_filled() -> None:
    bench = Bench()
    bench.run(2_000, EVEN, EVEN)
    bench.run(200, EVEN, (1004.00, 1004.20), quantity=0.5)
    assert bench.pairs() == ["opening", "closed"]
    (taken,) = [one for one in bench.decisions if one.outcome is Outcome.TAKEN]
    assert taken.route == ROUTE
    # 39.0 bps are offered; 10, 10.04 and 2 are to be paid.
    sold = 1004.00 / 1000.10
    assert taken.net_bps == pytest.approx((sold - 1) * 1e4 - 10 - 10 * sold - 2)
    realised = bench.engine.desk.ledger.realised()
    quantity = taken.quantity
    assert realised["ETH"] == -quantity * D("0.001")
    assert realised["USDT"] == quantity * (D("1004.00") * D("0.999") - D("1000.10"))
    profit = realised["USDT"] + realised["ETH"] * D("1000.10")
    notional = quantity * D("1000.10")
    assert float(profit / notional) * 1e4 == pytest.approx((taken.net_bps or 0) + 2)  # rebalancing comes later
    assert not bench.engine.desk.executor.pairs
    assert bench.engine.desk.orders == 2


def test_after_its_rest_the_route_is_taken_again() -> None:
    bench = Bench(cooldown_s=0.2)
    bench.run(2_000, EVEN, EVEN)
    bench.run(200, EVEN, (1004.00, 1004.20), quantity=0.5)
    bench.run(1_000, EVEN, EVEN)
    bench.run(200, (999.80, 1000.00), (1004.10, 1004.30), quantity=0.5)  # what was taken stays taken at its price
    assert bench.pairs() == ["opening", "closed", "opening", "closed"]


def test_without_a_known_rebalancing_cost_it_is_refused_by_name() -> None:
    bench = Bench(assumed_rebalancing_bps=None)
    bench.run(2_000, EVEN, EVEN)
    bench.run(200, EVEN, (1004.00, 1004.20))
    assert {one.route: one.reason for one in bench.decisions}[ROUTE] == "network"
    assert bench.pairs() == []
