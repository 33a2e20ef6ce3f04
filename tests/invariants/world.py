"""What is true: the exchanges' books, accounts, orders and fills, in memory, whatever is told of them.

It outlives every process of the bot. Nothing in here lies; the wire does (`wire.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.clock import VirtualClock
from bot.domain.account import FundingPayment
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus
from bot.settings import PaperSettings
from exchanges.paper.actions import PaperActions

D = Decimal
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
SPOT = Instrument(
    venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT",
    tick_size=D("0.01"), lot_size=D("0.0001"), min_quantity=D("0.0001"), min_notional=D(5),
)  # fmt: skip
LINEAR = Instrument(
    venue="binance", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D(20),
)  # fmt: skip
BYBIT = LINEAR.model_copy(update={"venue": "bybit", "lot_size": D(1), "contract_multiplier": D("0.01")})
INSTRUMENTS = (SPOT, LINEAR, BYBIT)
BALANCES = {
    "binance.spot": {"USDT": D(100_000), "ETH": D(100)},
    "binance.linear": {"USDT": D(100_000)},
    "bybit.unified": {"USDT": D(100_000)},
}
FEES: Mapping[Feed, FeeSchedule] = {
    feed: FeeSchedule(feed=feed, maker_bps=D(0), taker_bps=D("0.5"), source="settings")
    for feed in (*(i.feed for i in INSTRUMENTS), Feed(venue="bybit", segment=Segment.SPOT))
}


@dataclass(frozen=True, slots=True)
class Market:
    """What the exchanges list, and what the wallets start with."""

    instruments: tuple[Instrument, ...]
    balances: Mapping[str, Mapping[str, Decimal]]


PAIRS = Market(INSTRUMENTS, BALANCES)


@dataclass(slots=True)
class TrueOrder:
    """One order that arrived."""

    order: Order
    arrived_ns: int
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        """Venue units."""
        return sum((fill.quantity for fill in self.fills), D(0))


class World:
    """The exchanges. `news[venue]` hears of every fill and every state of an order, at once and once."""

    def __init__(self, clock: VirtualClock, market: Market = PAIRS) -> None:
        self.clock = clock
        self.market = market
        settings = PaperSettings(balances=market.balances, latency_ms=0.0)
        self.core = PaperActions(market.instruments, FEES, settings, clock, listener=self)
        self.orders: dict[str, TrueOrder] = {}
        self.fills: list[Fill] = []
        self.payments: list[FundingPayment] = []
        self.news: dict[str, Callable[[Fill | Order], None]] = {}
        self.on_funding: dict[str, Callable[[], None]] = {}

    def take(self, order: Order) -> None:
        """An order arrives."""
        assert order.client_order_id not in self.orders, f"{order.client_order_id} arrived twice"
        self.orders[order.client_order_id] = TrueOrder(order, self.clock.now_ns())
        self.core.submit(order)

    def on_fill(self, fill: Fill) -> None:
        """The matching engine traded."""
        self.orders[fill.client_order_id].fills.append(fill)
        self.fills.append(fill)
        self._tell(fill.instrument, fill)

    def on_order(self, order: Order) -> None:
        """The matching engine is done with an order."""
        self.orders[order.client_order_id].order = order
        self._tell(order.instrument, order)

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark: Decimal) -> None:
        """Everybody pays or receives."""
        payment = self.core.accounts.settle_funding(instrument, rate, mark, self.clock.now_ns())
        if payment is not None:
            self.payments.append(payment)
            self.on_funding.get(instrument.venue, lambda: None)()

    def show(self, slot: int, quote: TopOfBook) -> None:
        """The book of an instrument."""
        self.core.on_quote(slot, quote)

    def position(self, instrument: Instrument) -> Decimal:
        """Signed, venue units; of spot the change since the start, fees taken off."""
        if instrument.is_perpetual:
            return self.core.accounts.position(instrument).quantity
        return self.core.accounts.balance("binance.spot", "ETH").total - BALANCES["binance.spot"]["ETH"]

    def wallets(self) -> Mapping[str, Decimal]:
        """What all wallets hold, by asset."""
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for balance in self.core.balances():
            totals[balance.asset] += balance.total
        return totals

    @property
    def is_quiet(self) -> bool:
        """Whether no order is on its way or in a book."""
        return all(known.order.status.is_terminal for known in self.orders.values())

    def _tell(self, instrument: Instrument, what: Fill | Order) -> None:
        if (tell := self.news.get(instrument.venue)) is not None:
            tell(what)


def put_in(market: Market = PAIRS) -> Mapping[str, Decimal]:
    """What the wallets started with, by asset."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for wallet in market.balances.values():
        for asset, amount in wallet.items():
            totals[asset] += amount
    return totals


def is_final(order: Order) -> bool:
    """Whether nothing more can happen to it."""
    return order.status in (OrderStatus.FILLED, OrderStatus.EXPIRED, OrderStatus.CANCELLED, OrderStatus.REJECTED)
