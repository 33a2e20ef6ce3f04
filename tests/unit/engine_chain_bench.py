"""An engine that may send amounts through rings and between venues, with paper money."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.route import Decision, Link, Outcome, TransferLeg
from bot.engine.engine import Engine, RunInfo
from bot.matching.cash import exact
from bot.ports import NoTerms, RouteTerms, TransferEstimate
from bot.settings import Settings
from bot.transfers.paper_carrier import PaperCarrier
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.test_engine_decisions import MemoryJournal

D = Decimal
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS


def spot(venue: str, symbol: str, tick: str, lot: str, least: str = "5") -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.SPOT, base=base, quote=quote, tick_size=D(tick), lot_size=D(lot),
        min_quantity=D(lot), min_notional=D(least),
    )  # fmt: skip


BTC = spot("binance", "BTC/USDT", "0.01", "0.00001")
CROSS = spot("binance", "ETH/BTC", "0.000001", "0.0001", "0.0001")
ETH = spot("binance", "ETH/USDT", "0.01", "0.0001")
THERE = spot("bybit", "BTC/USDT", "0.01", "0.00001")
RING = "triangular:binance:BTC/USDT>binance:ETH/BTC>binance:ETH/USDT"
BACK = "triangular:binance:ETH/USDT>binance:ETH/BTC>binance:BTC/USDT"
LINKS = tuple(Link(quantity=D(1), price=1.0, spends=D(1), brings=D(1)) for _ in range(3))
SENT = "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin"
BALANCES = {"binance.spot": {"USDT": 10_000}, "bybit.unified": {"USDT": 10_000}}
WIDE = {"max_order_notional": 4_000.0, "max_net_exposure_notional": 5_000.0, "max_in_flight_notional": 4_000.0}
LEVEL: Mapping[str, tuple[float, float]] = {
    BTC.id: (59_999.0, 60_001.0),
    CROSS.id: (0.04999, 0.05001),
    ETH.id: (2_999.5, 3_000.5),
    THERE.id: (59_999.0, 60_001.0),
}


class Bench:
    """Taker fees of 1 bp; nothing is worth taking at `LEVEL`."""

    def __init__(
        self,
        instruments: tuple[Instrument, ...] = (BTC, CROSS, ETH),
        kinds: tuple[str, ...] = ("triangular",),
        *,
        terms: RouteTerms | None = None,
        carrier: Any = None,
        balances: Mapping[str, Mapping[str, int]] = BALANCES,
        **settings: Any,
    ) -> None:
        self.instruments = instruments
        self.clock = VirtualClock(START_NS)
        self.journal = MemoryJournal()
        self.decisions: list[Decision] = []
        self.log: list[str] = []
        chosen = Settings.model_validate({"paper": {"balances": balances, "latency_ms": 10}} | settings)
        fees = {
            one.feed: FeeSchedule(feed=one.feed, maker_bps=D(1), taker_bps=D(1), source=FeeSource.SETTING)
            for one in instruments
        }
        own = ArbitrageSettings.model_validate(
            {"kinds": list(kinds), "warmup_s": 0.5, "adverse_moves": False, "networks": {"BTC": ["bitcoin"]},
             "transfer_risk_sd": 0.0, "assumed_rebalancing_bps": 1.0}
        )  # fmt: skip
        self.paper = PaperActions(instruments, fees, chosen.paper, self.clock)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(own),
            venue=self.paper,
            journal=self.journal,
            clock=self.clock,
            settings=chosen,
            fees=fees,
            assumed_funding_bps_per_8h={},
            log=lambda level, text: self.log.append(text),
            show_decision=self.decisions.append,
            terms=terms,
            carrier=carrier(self) if carrier is not None else None,
        )
        self.sequence = 0
        self.engine.start()

    def quote(self, of: Instrument, bid: float, ask: float, quantity: float = 50.0) -> None:
        """One quote, decided on at once."""
        self.sequence += 1
        at = self.clock.now_ns()
        quote = TopOfBook(
            bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=self.sequence, ts_event_ns=at
        )
        self.engine.on_quote(self.instruments.index(of), quote, at, b"")
        self.engine.on_batch_end(at)

    def wait(self, ms: float) -> None:
        """Let time pass, and keep every quote fresh as it is."""
        end = self.clock.now_ns() + round(ms * MS)
        while self.clock.now_ns() < end:
            self.clock.advance_to(min(end, self.clock.now_ns() + 100 * MS))
            for slot in self.engine.slots:
                if slot.quote is not None:
                    self.quote(slot.instrument, slot.quote.bid_price, slot.quote.ask_price, slot.quote.bid_qty)

    def level(self) -> None:
        """Every market at its usual price."""
        for one in self.instruments:
            self.quote(one, *LEVEL[one.id])

    def warm(self) -> None:
        self.level()
        self.wait(2_000)

    def of(self, route: str) -> list[tuple[Outcome, str]]:
        return [(one.outcome, one.reason) for one in self.decisions if one.route == route]

    @exact
    def wallets(self) -> dict[str, D]:
        """What each asset is in all wallets together."""
        found: dict[str, D] = {}
        for balance in self.paper.balances():
            found[balance.asset] = found.get(balance.asset, D(0)) + balance.total
        return found


class Ways(NoTerms):
    """Bitcoin goes in ten minutes for a ten-thousandth; what is in `shut` is closed."""

    shut: str | None = None

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        if self.shut is not None and not leg.deferred:
            return None
        return TransferEstimate(600.0, 600.0, 0.0001 if leg.asset == "BTC" else 1.0, least=0.001, step=1e-8)

    def closed(self, leg: TransferLeg) -> str | None:
        return None if leg.deferred else self.shut


def paper_carrier(bench: Bench, ways: Ways) -> PaperCarrier:
    return PaperCarrier(bench.paper, ways, bench.journal, bench.clock, look_again_s=5.0)


def across(ways: Ways, **more: Any) -> Bench:
    """A bench that may send, warm, and asked for nothing yet."""
    bench = Bench((BTC, THERE), ("transfer",), terms=ways, carrier=lambda bench: paper_carrier(bench, ways), **more)
    bench.warm()
    return bench
