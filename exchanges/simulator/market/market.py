"""All listings of all venues, moved by one seed: implements `core.ports.Market`."""

import heapq
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from exchanges.simulator.core.values import Levels, Listing, MarketEvent, TradePrinted, TradingStatus
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.fair import AssetPrice, CrossPrice, FollowedPrice
from exchanges.simulator.market.funding import FundingClock
from exchanges.simulator.market.halts import Halts
from exchanges.simulator.market.listings import FIRST_PRICES, price_name
from exchanges.simulator.market.prices import PriceGrid
from exchanges.simulator.market.scenarios import Scenario, scenario_named
from exchanges.simulator.market.stage import Fired, Stage

_OTHER_FIRST_PRICE = 100.0
_IMPACT_BPS = 0.5
"""What taking the median quantity of a best price moves the fair price by, for a while."""


class _Source(Protocol):
    def first_ns(self, start_ns: int) -> int: ...

    def fire(self, ts_ns: int) -> Fired: ...


class SimulatedMarket:
    """Books, trades, marks and funding of every listing.

    The same seed, start and scenario give the same events, whatever the steps in which time is advanced, as long as
    nobody trades. Who trades changes books, never the assets' prices.

    Args:
        listings: Of all venues together; one price per base asset moves them all, and a cross follows two of them.
        start_ns: UTC ns, the exchanges' own clock.
        scenario: One of `SCENARIOS`, or its name.
        rate: Multiple of the measured update rates; prices move in their own time all the same.

    Raises:
        SettingsError: If there is no scenario of that name.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        *,
        seed: int,
        start_ns: int,
        scenario: Scenario | str = "lively",
        rate: float = 1.0,
    ) -> None:
        self.listings: Sequence[Listing] = tuple(listings)
        self.scenario = scenario_named(scenario) if isinstance(scenario, str) else scenario
        self._now_ns = start_ns
        assets = self._assets(seed)
        self._stages = [
            Stage(index, one, assets[price_name(one.instrument)], self.scenario, seed=seed, rate=rate)
            for index, one in enumerate(self.listings)
        ]
        perpetuals = [stage for stage in self._stages if stage.listing.instrument.is_perpetual]
        self._marks = {
            stage.index: FundingClock(stage, assets[price_name(stage.listing.instrument)], start_ns)
            for stage in perpetuals
        }
        # Their order decides ties: prices move before books, books before marks.
        self._sources: list[_Source] = [PriceGrid(assets, self._stages, self.scenario, seed), *self._stages]
        self._sources += [*self._marks.values(), *self._halts(seed)]
        self._heap = [(source.first_ns(start_ns), place) for place, source in enumerate(self._sources)]
        heapq.heapify(self._heap)

    def _assets(self, seed: int) -> dict[str, FollowedPrice]:
        """By name: crosses after the assets that they are made of, so that they step after them."""
        crosses = {
            price_name(one.instrument): (one.instrument.base, one.instrument.quote)
            for one in self.listings
            if price_name(one.instrument) != one.instrument.base
        }
        plain = [one.instrument.base for one in self.listings if price_name(one.instrument) not in crosses]
        names = [*plain, *(name for pair in crosses.values() for name in pair)]
        assets = {base: self._asset(base, seed) for base in dict.fromkeys(names)}
        return assets | {name: CrossPrice(assets[base], assets[quote]) for name, (base, quote) in crosses.items()}

    def _asset(self, base: str, seed: int) -> AssetPrice:
        first_price = FIRST_PRICES.get(base, _OTHER_FIRST_PRICE)
        return AssetPrice(Draws(seed, f"price {base}"), self.scenario, first_price)

    def _halts(self, seed: int) -> list[Halts]:
        if not self.scenario.halts_an_hour:
            return []
        return [
            Halts(Draws(seed, f"halts {stage.listing.instrument.id}"), stage, self.scenario) for stage in self._stages
        ]

    def advance_to(self, ts_ns: int) -> Sequence[MarketEvent]:
        """Everything that happens up to and including `ts_ns`, in order."""
        events: list[MarketEvent] = []
        heap, sources = self._heap, self._sources
        while heap[0][0] <= ts_ns:
            at_ns, place = heap[0]
            # Somebody may have traded ahead of the market's time: nothing is dated before what was seen already.
            self._now_ns = max(self._now_ns, at_ns)
            happened, next_ns = sources[place].fire(self._now_ns)
            heapq.heapreplace(heap, (next_ns, place))
            if happened:
                events += happened
        self._now_ns = max(self._now_ns, ts_ns)
        return events

    def next_event_ns(self) -> int:
        """When the market moves next, UTC ns; at most one step of prices away."""
        return self._heap[0][0]

    def levels(self, listing: int, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks now, best first, at most `depth` of each; resting orders of accounts included."""
        return self._stages[listing].book.levels(depth)

    def book_id(self, listing: int) -> int:
        """`last_id` of the newest change."""
        return self._stages[listing].book.last_id

    def mark(self, listing: int) -> Decimal:
        """Mark price; the mid for spot."""
        clock = self._marks.get(listing)
        return self._stages[listing].mid() if clock is None else clock.now.mark

    def status(self, listing: int) -> TradingStatus:
        """Whether it trades."""
        return self._stages[listing].status

    def set_status(self, listing: int, status: TradingStatus, ts_ns: int) -> Sequence[MarketEvent]:
        """Halt a listing, let it trade again, or let it be delisted; nothing where it is so already."""
        return self._stages[listing].set_status(status, self._at(ts_ns))

    def take(
        self, listing: int, *, buys: bool, lots: int, limit_ticks: int | None, ts_ns: int
    ) -> tuple[Levels, Sequence[MarketEvent]]:
        """Trade against the book now: what was filled, best first, and what everybody sees of it.

        The fills stand one to one, in order, for the `TradePrinted` events, so one price may come twice. Nothing is
        filled while trading is halted. Advance the market to `ts_ns` first.
        """
        stage, at_ns = self._stages[listing], self._at(ts_ns)
        if stage.status is TradingStatus.HALTED:
            return (), ()
        events: list[MarketEvent] = []
        side = stage.book.asks if buys else stage.book.bids
        floor = None if limit_ticks is None else (-limit_ticks if buys else limit_ticks)
        left = lots
        while left > 0 and side.keys and (floor is None or side.keys[-1] >= floor):
            key = side.keys[-1]
            offered = min(left, side.shown(key))
            events += stage.book.trade(buys=buys, key=key, lots=offered, ts_ns=at_ns)
            left -= offered
        stage.flow.mend()
        events += stage.book.publish(at_ns)
        stage.fair.push((lots - left) / stage.grid.top_lots * _IMPACT_BPS * (1 if buys else -1))
        return tuple((one.ticks, one.lots) for one in events if isinstance(one, TradePrinted)), events

    def rest(
        self, listing: int, order_number: int, *, buys: bool, ticks: int, lots: int, ts_ns: int
    ) -> Sequence[MarketEvent]:
        """Put an order into the book behind what was there first; its fills come as `RestingFilled`.

        Raises:
            ValueError: If it would trade at once (`take` first), or has no lots.
        """
        book = self._stages[listing].book
        crosses = ticks >= book.best_ask if buys else ticks <= book.best_bid
        if crosses or lots <= 0:
            raise ValueError(f"order {order_number} of {lots} lots at {ticks} cannot rest: it trades or is empty")
        (book.bids if buys else book.asks).join(ticks if buys else -ticks, order_number, lots)
        return tuple(book.publish(self._at(ts_ns)))

    def withdraw(self, listing: int, order_number: int, ts_ns: int) -> tuple[int, Sequence[MarketEvent]]:
        """Take a resting order out; the lots that were left, 0 where it is not in the book."""
        book = self._stages[listing].book
        lots = book.bids.leave(order_number) or book.asks.leave(order_number)
        self._stages[listing].flow.mend()
        return lots, tuple(book.publish(self._at(ts_ns)))

    def shrink(self, listing: int, order_number: int, lots: int, ts_ns: int) -> tuple[bool, Sequence[MarketEvent]]:
        """Take lots off a resting order, which keeps its place; False where it would have none left."""
        book = self._stages[listing].book
        done = book.bids.shrink(order_number, lots) or book.asks.shrink(order_number, lots)
        return done, tuple(book.publish(self._at(ts_ns)))

    def _at(self, ts_ns: int) -> int:
        self._now_ns = max(self._now_ns, ts_ns)
        return self._now_ns
