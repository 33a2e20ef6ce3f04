"""Fault 56 on the real engine: a strategy that wants everything, always, is halted within the second.

What it may have sent by then is what the order rate lets pass. Without the gate's count of what it wants, the same
strategy trades on (`test_without_its_guard_it_runs_on`).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import OrderStatus
from bot.domain.route import Route
from bot.engine.engine import Engine, RunInfo
from bot.ports import Holding, InstrumentView, RecordKind, RouteTerms
from bot.risk.gate import Cause, TradingState
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.watch import ArbitrageWatch
from tests.unit.test_engine_decisions import MemoryJournal

D = Decimal
S = 1_000_000_000
START = 1_700_000_000 * S
INTENTS = 10_000
OWN = ArbitrageSettings.model_validate({"exit_basis": "converged", "warmup_s": 0.5, "adverse_moves": False})


class Everything(ArbitrageWatch):
    """Wants the route at every quote, and wants to be out of it as soon as it is in."""

    __slots__ = ()

    @property
    def take_ratio(self) -> float | None:
        return None  # asked at every quote

    def assess(self) -> str | None:
        limit = super().assess()
        return None if limit == "net_edge" else limit

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        return "runaway"


class Runaway:
    """Implements `bot.ports.Strategy`."""

    name = "runaway"
    cooldown_s = 0.0

    def routes(self, instruments: Sequence[Instrument]) -> list[Route]:
        return list_routes(instruments, OWN)

    def watch(self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms) -> Everything:
        return Everything(route, views, terms, OWN)


def linear(venue: str, base: str) -> Instrument:
    return Instrument(
        venue=venue, symbol=f"{base}/USDT:USDT", segment=Segment.LINEAR, base=base, quote="USDT", settle="USDT",
        tick_size=D("0.01"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D(5),
    )  # fmt: skip


class Scene:
    """A runaway over so many coins on two venues; a quote of each a tenth of a millisecond after the one before."""

    def __init__(self, coins: int, **risk: Any) -> None:
        self.clock = VirtualClock(START)
        self.journal = MemoryJournal()
        self.instruments = [linear(venue, f"C{n}") for n in range(coins) for venue in ("binance", "bybit")]
        wallets = {wallet: {"USDT": 10_000_000} for wallet in ("binance.linear", "bybit.unified")}
        settings = Settings.model_validate({
            "paper": {"balances": wallets, "latency_ms": 1.0}, "risk": {"max_margin_ratio": 1.0} | risk,
            "quote_gate": {"max_age_ms": 60_000.0, "max_event_age_ms": 60_000.0, "max_skew_ms": 60_000.0},
        })  # fmt: skip
        fees = {
            one.feed: FeeSchedule(feed=one.feed, maker_bps=D(0), taker_bps=D(5), source="settings")
            for one in self.instruments
        }
        self.engine = Engine(
            run=RunInfo("run", "runaway", "recorded", False, "digest", "0"),
            instruments=self.instruments,
            strategy=Runaway(),
            venue=PaperActions(self.instruments, fees, settings.paper, self.clock),
            journal=self.journal,
            clock=self.clock,
            settings=settings,
            fees=fees,
            assumed_funding_bps_per_8h={one.feed: 0.0 for one in self.instruments},
            log=lambda level, text: None,
        )
        self.gate = self.engine.desk.gate
        self.engine.start()
        self.sequence = 0

    def quote(self, slot: int, at_ns: int) -> None:
        self.sequence += 1
        mid = (100.0, 100.6)[slot % 2] + self.sequence % 3 * 0.01  # one venue is dearer, whatever is bought
        book = TopOfBook(
            bid_price=mid - 0.01, bid_qty=50.0, ask_price=mid + 0.01, ask_qty=50.0, sequence=self.sequence + 10
        )
        self.clock.advance_to(at_ns)
        self.engine.on_quote(slot, book, at_ns, b"")
        self.engine.on_batch_end(at_ns)

    def warm(self) -> None:
        """Every quote twice, so that statistics cover the least that prices need; nothing is wanted meanwhile."""
        self.gate.reduce(Cause.PERSON, "warming up")
        slots = len(self.instruments)
        for at_ms in range(0, 3_000, 500):
            for slot in range(slots):
                self.quote(slot, START + at_ms * 1_000_000 + slot)
        self.clock.advance_to(START + 4 * S)
        self.gate.resume(Cause.PERSON, "warm")

    def run(self) -> float:
        """Ten thousand quotes within a second; how much of it had passed when it was halted, in seconds."""
        began = START + 4 * S
        for n in range(INTENTS):
            self.quote(n % len(self.instruments), began + n * S // INTENTS)
            if self.gate.state is TradingState.HALTED:
                return (self.clock.now_ns() - began) / 1e9
        return 1.0

    @property
    def opened(self) -> list[str]:
        """Orders that left to open something."""
        sent = [row for row in self.journal.of(RecordKind.ORDER) if row["status"] == OrderStatus.SENT]
        return [row["client_order_id"] for row in sent if row["leg"].startswith("open")]

    def why(self) -> str:
        return str(self.journal.of(RecordKind.EVENT)[-1]["text"])


def test_fault_56_one_route_over_and_over_is_halted_within_the_second() -> None:
    scene = Scene(coins=1)
    scene.warm()
    took_s = scene.run()
    assert scene.gate.state is TradingState.HALTED
    assert took_s < 1.0
    assert "runs away" in scene.why()
    assert 2 <= len(scene.opened) <= Settings().risk.max_orders_per_second


def test_fault_56_another_route_each_time_is_halted_within_the_second() -> None:
    scene = Scene(coins=150, max_routes_per_second=100)
    scene.warm()
    took_s = scene.run()
    assert scene.gate.state is TradingState.HALTED
    assert took_s < 1.0
    assert "different routes within a second" in scene.why()
    assert 2 <= len(scene.opened) <= Settings().risk.max_orders_per_second


def test_halted_it_sends_nothing_that_opens() -> None:
    scene = Scene(coins=1)
    scene.warm()
    scene.run()
    before = scene.opened
    began = scene.clock.now_ns()
    for n in range(1_000):
        scene.quote(n % 2, began + n * 10_000_000)
    assert scene.opened == before
    assert not scene.engine.desk.executor.pairs, "what was open was closed"


@pytest.mark.parametrize("coins", [1, 150])
def test_without_its_guard_it_runs_on(coins: int) -> None:
    scene = Scene(coins, max_routes_per_second=10**9, max_throttled_per_second=10**9)
    scene.warm()
    scene.run()
    assert scene.gate.state is TradingState.ACTIVE
    assert len(scene.opened) <= Settings().risk.max_orders_per_second, "the rate holds in any case"
