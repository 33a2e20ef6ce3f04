"""What pricing adds to a quote where 2, 4 and 8 venues quote one asset, against pricing every pair of them.

Ours is the engine from quote to decision, less the same engine without a route: what is left is the pricing of the
routes that the quote touches. All pairs is what a plain loop does: the same price of every route, at every quote.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from time import perf_counter_ns

from benchmarks.measure import interleaved, one_core, per_item_us, progress
from benchmarks.rig import temporary_journal
from benchmarks.rows import Row, Target, against, figure
from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.engine.engine import Engine, RunInfo
from bot.ports import Journal
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

VENUES = (2, 4, 8)
_QUOTES = 20_000
_START_NS = 1_767_571_200_000_000_000
_APART_NS = 100_000
"""A busy market: the costs, which are summed anew each second, are a row of their own."""
_APART_FIRST_NS = 2_000_000
"""The first turn lasts longer than the statistics take to fill."""
_FASTER = Target("ratio", at_most=True, limit=1 / 15, unit="x")
_FLAT = Target("value", at_most=True, limit=2.0, unit="times")

Arrival = tuple[int, int, TopOfBook]
"""When, whose, what."""


@dataclass(frozen=True, slots=True)
class _Side:
    """An engine and the quotes that it takes, turn after turn."""

    engine: Engine
    clock: VirtualClock
    arrivals: Iterator[list[Arrival]]

    def turn_us(self) -> float:
        """Microseconds a quote."""
        arrivals = next(self.arrivals)
        return per_item_us(lambda: self._play(arrivals), len(arrivals))

    def _play(self, arrivals: Sequence[Arrival]) -> None:
        advance_to, take, decide = self.clock.advance_to, self.engine.on_quote, self.engine.on_batch_end
        for ts_ns, slot, quote in arrivals:
            advance_to(ts_ns)
            take(slot, quote, ts_ns, b"")
            decide(ts_ns)

    def refresh_us(self) -> float:
        """Microseconds to sum the costs of every route anew: once a second."""
        watches, now_ns = [state.watch for state in self.engine.routes], self.clock.now_ns()
        return per_item_us(lambda: [watch.refresh(now_ns) for watch in watches], 1)

    def all_pairs_us(self) -> float:
        """Microseconds to price every route once, as often as quotes come."""
        asked = [state.watch.assess for state in self.engine.routes]
        begun_ns = perf_counter_ns()
        for _ in range(_QUOTES // 20):
            for assess in asked:
                assess()
        return (perf_counter_ns() - begun_ns) / (_QUOTES // 20) / 1e3


def rows(rounds: int) -> list[Row]:
    """Pricing a quote at each number of venues, and how much all pairs take at the most."""
    found: list[Row] = []
    medians: dict[int, float] = {}
    with temporary_journal() as journal, one_core():
        for venues in VENUES:
            progress(f"routes: {venues} venues")
            with_routes, without = _side(venues, journal, ["convergence"]), _side(venues, journal, [])
            for side in (with_routes, without):
                side.turn_us()  # fills the statistics: before that no route has a price
            priced, bare, pairs = interleaved(rounds, with_routes.turn_us, without.turn_us, with_routes.all_pairs_us)
            ours = [max(one - other, 0.0) for one, other in zip(priced, bare, strict=True)]
            medians[venues] = sorted(ours)[len(ours) // 2]
            name = f"pricing the routes that a quote touches, {venues} venues, {len(with_routes.engine.routes)} routes"
            target = _FASTER if venues == max(VENUES) else None
            note = "the engine from quote to decision at 10,000 quotes/s, less the same without routes"
            found.append(against(name, "us", ours, "all pairs", pairs, target, note))
            anew = [with_routes.refresh_us() for _ in range(rounds)]
            found.append(figure(f"every cost of {len(with_routes.engine.routes)} routes anew", "us", anew))
    growth = [medians[max(VENUES)] / max(medians[min(VENUES)], 1e-9)]
    most, least = max(VENUES), min(VENUES)
    return [*found, figure(f"pricing at {most} venues, times that at {least}", "times", growth, _FLAT)]


def _side(venues: int, journal: Journal, kinds: list[str]) -> _Side:
    instruments = [_instrument(number) for number in range(venues)]
    clock = VirtualClock(_START_NS)
    settings = Settings.model_validate({"paper": {"balances": {str(one.feed): {"USDT": 1} for one in instruments}}})
    taker = Decimal(5)
    fees = {
        one.feed: FeeSchedule(feed=one.feed, maker_bps=taker, taker_bps=taker, source="settings") for one in instruments
    }
    engine = Engine(
        run=RunInfo("benchmark", "arbitrage", "recorded", False, "", "0"),
        instruments=instruments,
        strategy=ArbitrageStrategy(ArbitrageSettings.model_validate({"kinds": kinds, "warmup_s": 10.0})),
        venue=PaperActions(instruments, fees, settings.paper, clock),
        journal=journal,
        clock=clock,
        settings=settings,
        fees=fees,
        assumed_funding_bps_per_8h={one.feed: 0.0 for one in instruments},
        log=lambda level, text: None,
    )
    engine.start()
    return _Side(engine, clock, _arrivals(venues))


def _instrument(number: int) -> Instrument:
    return Instrument(
        venue=f"v{number}",
        symbol="BTC/USDT:USDT",
        segment=Segment.LINEAR,
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
    )


def _arrivals(venues: int) -> Iterator[list[Arrival]]:
    """Venues that follow one price within a bp; a third of the quotes moves a price. The same for every engine."""
    random = Random(7)
    price, at_ns, number = 60_000.0, _START_NS, 0
    bids = [price] * venues
    while True:
        turn: list[Arrival] = []
        apart_ns = _APART_NS if number else _APART_FIRST_NS
        for _ in range(_QUOTES):
            at_ns += apart_ns
            number += 1
            slot = random.randrange(venues)
            if random.random() < 0.35:
                price += random.choice((-0.4, 0.4))
                bids[slot] = round(price + random.choice((-3.0, 0.0, 3.0)), 1)
            bid = bids[slot]
            quote = TopOfBook(
                bid_price=bid, bid_qty=2.0, ask_price=bid + 0.1, ask_qty=3.0, sequence=number, ts_event_ns=at_ns
            )
            turn.append((at_ns, slot, quote))
        yield turn
