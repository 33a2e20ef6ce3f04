"""One listing on its way through time: its fair price, its book, and whether it trades."""

from collections.abc import Sequence
from decimal import Decimal

from exchanges.simulator.core.values import Listing, MarketEvent, StatusChanged, TradingStatus
from exchanges.simulator.market.arrivals import Arrivals
from exchanges.simulator.market.book import Book
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.fair import FairPrice, FollowedPrice
from exchanges.simulator.market.flow import Flow
from exchanges.simulator.market.listings import habits_of
from exchanges.simulator.market.scenarios import Scenario
from exchanges.simulator.market.shape import Grid

Fired = tuple[Sequence[MarketEvent], int]
"""What happened, and when the source moves next."""


class Stage:
    """What the market keeps for one listing."""

    def __init__(
        self, index: int, listing: Listing, asset: FollowedPrice, scenario: Scenario, *, seed: int, rate: float
    ) -> None:
        instrument = listing.instrument
        self.index = index
        self.listing = listing
        self.habits = habits_of(instrument)
        self.status = TradingStatus.TRADING
        stall = scenario.stall if scenario.stall and scenario.stall.venue == instrument.venue else None
        self.fair = FairPrice(Draws(seed, f"basis {instrument.id}"), asset, self.habits, stall)
        self.grid = Grid.of(instrument, self.habits, scenario, asset.history[-1])
        self.book = Book(index)
        self.flow = Flow(self.book, Draws(seed, f"flow {instrument.id}"), self.grid, self.habits, scenario, rate)
        self.flow.open(self.fair.price / self.grid.tick)
        self._arrivals = Arrivals(Draws(seed, f"gaps {instrument.id}"), self.habits.updates_a_second * rate)
        self._asset = asset
        self._tick = instrument.tick_size

    def first_ns(self, start_ns: int) -> int:
        """When its book changes first."""
        return start_ns + self._arrivals.gap_ns(start_ns, 1.0, hurried=False)

    def fire(self, ts_ns: int) -> Fired:
        """Change the book, unless it is halted."""
        events: Sequence[MarketEvent] = ()
        moved = False
        if self.status is not TradingStatus.HALTED:
            events, moved = self.flow.step(self.fair.price / self.grid.tick, ts_ns)
            if moved:
                self._arrivals.excite(ts_ns)
        return events, ts_ns + self._arrivals.gap_ns(ts_ns, self._asset.heat, hurried=moved)

    def set_status(self, status: TradingStatus, ts_ns: int) -> Sequence[MarketEvent]:
        """Halt it, let it trade again, or let it be delisted."""
        if status is self.status:
            return ()
        self.status = status
        return (StatusChanged(self.index, ts_ns, status),)

    def mid(self) -> Decimal:
        """Between the best prices, quote units."""
        return (self.book.best_bid + self.book.best_ask) * self._tick / 2
