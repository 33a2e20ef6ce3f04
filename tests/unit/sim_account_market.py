"""A market that stands still until a test moves it, for the tests of simulated accounts."""

import itertools
from collections.abc import Sequence
from decimal import Decimal

from bot.domain.instrument import Instrument, Segment
from exchanges.simulator.core.values import (
    BookChanged,
    FundingDue,
    Levels,
    Listing,
    MarketEvent,
    MarkPriced,
    RestingFilled,
    StatusChanged,
    TradePrinted,
    TradingStatus,
)

D = Decimal
HOUR_NS = 3_600_000_000_000
SPOT, PERP, BYBIT_SPOT, BYBIT_PERP = range(4)


def _listing(venue: str, segment: Segment) -> Listing:
    is_spot = segment is Segment.SPOT
    instrument = Instrument(
        venue=venue, segment=segment, symbol="BTC/USDT" if is_spot else "BTC/USDT:USDT", base="BTC", quote="USDT",
        settle=None if is_spot else "USDT", tick_size=D(1), lot_size=D("0.001"), min_quantity=D("0.001"),
        min_notional=D(5), max_quantity=D(1000), max_market_quantity=D(950),
        max_notional=D(100_900) if is_spot else None,
    )  # fmt: skip
    return Listing(instrument, "BTCUSDT", 0, 3)


LISTINGS = tuple(_listing(venue, kind) for venue in ("binance", "bybit") for kind in (Segment.SPOT, Segment.LINEAR))


class FixedMarket:
    """Books of what the test put there and of resting orders; price-time priority is the order of the dict."""

    def __init__(self) -> None:
        self.listings: Sequence[Listing] = LISTINGS
        self.bids: list[dict[int, int]] = [{} for _ in LISTINGS]
        self.asks: list[dict[int, int]] = [{} for _ in LISTINGS]
        self.marks = [D(100)] * len(LISTINGS)
        self.statuses = [TradingStatus.TRADING] * len(LISTINGS)
        self.resting: dict[tuple[int, int], tuple[bool, int, int]] = {}
        self.events: list[MarketEvent] = []
        """What `advance_to` hands out next."""
        self.now_ns = 0
        self._ids = itertools.count(1)

    def quote(self, listing: int, bids: dict[int, int], asks: dict[int, int], mark: Decimal | None = None) -> None:
        self.bids[listing], self.asks[listing] = dict(bids), dict(asks)
        self.marks[listing] = mark if mark is not None else D(max(bids, default=0) + min(asks, default=0)) / 2

    def mark_event(self, listing: int, mark: Decimal, ts_ns: int) -> MarkPriced:
        self.marks[listing] = mark
        return MarkPriced(listing, ts_ns, mark, mark, D("0.0001"), HOUR_NS, 8)

    def funding_event(self, listing: int, rate: Decimal, ts_ns: int) -> FundingDue:
        return FundingDue(listing, ts_ns, rate, self.marks[listing])

    def reach(self, listing: int, number: int, lots: int, ts_ns: int) -> RestingFilled:
        """The market takes up to `lots` of a resting order; hand what this returns to the exchange."""
        buys, ticks, left = self.resting.pop((listing, number))
        taken = min(lots, left)
        if left > taken:
            self.resting[listing, number] = (buys, ticks, left - taken)
        return RestingFilled(listing, ts_ns, number, ticks, taken, next(self._ids))

    def advance_to(self, ts_ns: int) -> Sequence[MarketEvent]:
        self.now_ns = max(self.now_ns, ts_ns)
        events, self.events = self.events, []
        return events

    def next_event_ns(self) -> int:
        return self.now_ns + HOUR_NS

    def levels(self, listing: int, depth: int) -> tuple[Levels, Levels]:
        bids, asks = dict(self.bids[listing]), dict(self.asks[listing])
        for (where, _), (buys, ticks, lots) in self.resting.items():
            if where == listing:
                side = bids if buys else asks
                side[ticks] = side.get(ticks, 0) + lots
        return tuple(sorted(bids.items(), reverse=True))[:depth], tuple(sorted(asks.items()))[:depth]

    def book_id(self, listing: int) -> int:
        return 1

    def mark(self, listing: int) -> Decimal:
        return self.marks[listing]

    def status(self, listing: int) -> TradingStatus:
        return self.statuses[listing]

    def set_status(self, listing: int, status: TradingStatus, ts_ns: int) -> Sequence[MarketEvent]:
        self.statuses[listing] = status
        return (StatusChanged(listing, ts_ns, status),)

    def take(
        self, listing: int, *, buys: bool, lots: int, limit_ticks: int | None, ts_ns: int
    ) -> tuple[Levels, Sequence[MarketEvent]]:
        side = self.asks[listing] if buys else self.bids[listing]
        filled: list[tuple[int, int]] = []
        events: list[MarketEvent] = []
        for ticks in sorted(side, reverse=not buys):
            part = min(side[ticks], lots)
            if part <= 0 or (limit_ticks is not None and (ticks > limit_ticks if buys else ticks < limit_ticks)):
                break
            side[ticks] -= part
            lots -= part
            filled.append((ticks, part))
            events.append(TradePrinted(listing, ts_ns, next(self._ids), ticks, part, not buys))
        self.bids[listing] = {ticks: left for ticks, left in self.bids[listing].items() if left}
        self.asks[listing] = {ticks: left for ticks, left in self.asks[listing].items() if left}
        events.append(BookChanged(listing, ts_ns, 1, 1, 0, (), (), True))
        return tuple(filled), events

    def rest(
        self, listing: int, order_number: int, *, buys: bool, ticks: int, lots: int, ts_ns: int
    ) -> Sequence[MarketEvent]:
        bids, asks = self.levels(listing, 1)
        assert not (asks and buys and ticks >= asks[0][0]), "a resting buy must not cross"
        assert not (bids and not buys and ticks <= bids[0][0]), "a resting sell must not cross"
        assert lots > 0
        self.resting[listing, order_number] = (buys, ticks, lots)
        return ()

    def shrink(self, listing: int, order_number: int, lots: int, ts_ns: int) -> tuple[bool, Sequence[MarketEvent]]:
        buys, ticks, left = self.resting.get((listing, order_number), (True, 0, 0))
        if left <= lots:
            return False, ()
        self.resting[listing, order_number] = (buys, ticks, left - lots)
        return True, ()

    def withdraw(self, listing: int, order_number: int, ts_ns: int) -> tuple[int, Sequence[MarketEvent]]:
        return self.resting.pop((listing, order_number), (True, 0, 0))[2], ()
