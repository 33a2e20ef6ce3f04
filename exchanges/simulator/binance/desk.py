"""What all protocols of one simulated Binance share: listings by symbol, history, limits, who watches whom."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from bot.clock import Clock
from bot.domain.instrument import Segment
from exchanges.simulator.binance.errors import bad_symbol
from exchanges.simulator.binance.limits import Limits, Meter, OrderMeter, limits_of
from exchanges.simulator.binance.mirror import Mirror
from exchanges.simulator.binance.numbers import Printer
from exchanges.simulator.binance.tape import Tape
from exchanges.simulator.core.ports import Account, Exchange
from exchanges.simulator.core.values import BookChanged, FundingDue, Listing, MarketEvent, MarkPriced, TradePrinted

_FUNDINGS_KEPT = 1000
_MOST_ADDRESSES = 10_000


class Line:
    """One listing: how it prints, its book and its history."""

    def __init__(self, index: int, listing: Listing, exchange: Exchange) -> None:
        self.index = index
        self.listing = listing
        self.instrument = listing.instrument
        self.symbol = listing.symbol
        self.printer = Printer(listing)
        self.mirror = Mirror(exchange.market, index)
        middle = int(exchange.market.mark(index) / self.instrument.tick_size)
        self.tape = Tape(middle, exchange.now_ns())
        self.mark: MarkPriced | None = None
        self.fundings: list[FundingDue] = []

    @property
    def is_spot(self) -> bool:
        """Whether it has no margin, mark or funding."""
        return self.instrument.segment is Segment.SPOT

    def note(self, event: MarketEvent) -> None:
        """Keep the newest mark and the settled fundings."""
        if isinstance(event, MarkPriced):
            self.mark = event
        elif isinstance(event, FundingDue):
            self.fundings.append(event)
            del self.fundings[:-_FUNDINGS_KEPT]


class Desk:
    """Listings, meters and time of one venue; protocols hold no state of the market of their own."""

    def __init__(self, exchange: Exchange, clock: Clock, limits: dict[Segment, Limits] | None = None) -> None:
        self.exchange = exchange
        self.clock = clock
        self.limits = limits or {segment: limits_of(segment) for segment in (Segment.SPOT, Segment.LINEAR)}
        self.lines = {
            index: Line(index, listing, exchange)
            for index, listing in enumerate(exchange.market.listings)
            if listing.instrument.venue == exchange.venue
        }
        self._by_symbol = {(line.instrument.segment, line.symbol): line for line in self.lines.values()}
        self._meters: dict[tuple[str, Segment], Meter] = {}
        self._order_meters: dict[tuple[str, Segment], OrderMeter] = {}
        self.listeners: list[Callable[[Sequence[MarketEvent]], None]] = []
        self.cancel_ids: dict[int, str] = {}
        """While an order is being cancelled: the id that the cancel itself was given."""
        self.stop = exchange.subscribe(self._hear)

    def now_ns(self) -> int:
        """The exchange's clock."""
        return self.exchange.now_ns()

    def now_ms(self) -> int:
        """The exchange's clock as its protocols tell it."""
        return self.exchange.now_ns() // 1_000_000

    def find(self, segment: Segment, symbol: str) -> Line | None:
        """The listing that a segment calls so."""
        return self._by_symbol.get((segment, symbol))

    def line(self, segment: Segment, symbol: str) -> Line:
        """The same; raises `Rejected` -1121 where there is none."""
        line = self.find(segment, symbol)
        if line is None:
            raise bad_symbol()
        return line

    def segment_lines(self, segment: Segment) -> list[Line]:
        """All listings of a segment."""
        return [line for line in self.lines.values() if line.instrument.segment is segment]

    def meter(self, address: str, segment: Segment) -> Meter:
        """The request meter of an address."""
        if len(self._meters) >= _MOST_ADDRESSES:
            self._meters.clear()
        return self._meters.setdefault((address, segment), Meter(self.limits[segment]))

    def order_meter(self, api_key: str, segment: Segment) -> OrderMeter:
        """The order counts of an account; ask for known keys only."""
        return self._order_meters.setdefault((api_key, segment), OrderMeter(self.limits[segment]))

    def mark(self, line: Line) -> Decimal:
        """Mark price now."""
        return self.exchange.market.mark(line.index)

    def _hear(self, events: Sequence[MarketEvent]) -> None:
        for event in events:
            line = self.lines.get(event.listing)
            if line is not None and not isinstance(event, BookChanged | TradePrinted):
                line.note(event)
        for listener in self.listeners:
            listener(events)


def wallet_segment(wallet: str) -> str:
    """The segment part of a wallet's name: `spot` of `binance.spot`."""
    return wallet.rpartition(".")[2]


def wallet_name(account: Account, segment: Segment) -> str:
    """How the account itself calls the wallet of a segment."""
    for view in account.balances():
        if wallet_segment(view.wallet) == segment.value:
            return view.wallet
    return segment.value
