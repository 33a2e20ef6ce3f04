"""One half of a comparison: what the orders of one pair, paper or real, were filled with, and how soon."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus
from bot.execution.pair import Pair
from bot.matching.cash import cash_asset, cash_value

CurrencyRate = Callable[[str, str], float | None]
"""Price of one unit of the first currency in the second; None where nothing that is watched tells."""


@dataclass(slots=True)
class Filled:
    """The fills of one order."""

    quantity: Decimal = Decimal(0)
    """Venue units."""
    value: Decimal = Decimal(0)
    """Price times quantity."""
    notional: Decimal = Decimal(0)
    """In the asset that trades of it are paid in."""
    fees: Decimal | None = Decimal(0)
    """In the same asset; None where a fee was in one that has no price here."""
    last_ns: int = 0
    """When the last one was heard of, monotonic."""

    @property
    def price(self) -> Decimal | None:
        """Average, quote units."""
        return self.value / self.quantity if self.quantity else None

    @property
    def fee_bps(self) -> float | None:
        """Of the notional; positive is paid."""
        return None if self.fees is None or not self.notional else float(self.fees / self.notional) * 1e4


@dataclass(slots=True)
class Half:
    """One pair, and what was seen of its orders."""

    pair: Pair
    sent_ns: dict[str, int] = field(default_factory=dict)
    """By client order id, monotonic."""
    filled: dict[str, Filled] = field(default_factory=dict)

    def on_fill(self, fill: Fill, now_ns: int, rate: CurrencyRate) -> None:
        """Count a fill that was heard of at `now_ns`."""
        found = self.filled.setdefault(fill.client_order_id, Filled())
        found.quantity += fill.quantity
        found.value += fill.quantity * fill.price
        found.notional += cash_value(fill.instrument, fill.price, fill.quantity)
        fee = _in_cash(fill, rate)
        found.fees = None if fee is None or found.fees is None else found.fees + fee
        found.last_ns = now_ns

    def orders(self, instrument_id: str, phase: str) -> list[Order]:
        """Those that were on an instrument to open, close or hedge, in their order, but for those that never left."""
        return [
            order
            for order, leg_name, _ in self.pair.orders.values()
            if order.instrument.id == instrument_id
            and leg_name.startswith(phase)
            and (order.client_order_id in self.sent_ns or not order.status.is_terminal)
        ]

    def share(self, order: Order) -> float:
        """How much of it was filled, 0 to 1."""
        found = self.filled.get(order.client_order_id)
        return 0.0 if found is None else float(found.quantity / order.quantity)

    def latency_ms(self, order: Order) -> float | None:
        """From sending it to hearing of its last fill; None where it was not filled."""
        found, sent_ns = self.filled.get(order.client_order_id), self.sent_ns.get(order.client_order_id)
        return None if found is None or sent_ns is None else (found.last_ns - sent_ns) / 1e6

    def is_settled(self, order: Order) -> bool:
        """Whether it is final, and every fill of it has come."""
        if not order.status.is_terminal:
            return False
        found = self.filled.get(order.client_order_id)
        return order.filled_quantity == (Decimal(0) if found is None else found.quantity)


def is_over(half: Half | None) -> bool:
    """Whether no order of it comes any more."""
    return half is None or half.pair.state.is_over


def why(order: Order) -> str:
    """What the venue said of an order that was not filled whole."""
    return "" if order.status is OrderStatus.FILLED else order.reason or order.status.value


def _in_cash(fill: Fill, rate: CurrencyRate) -> Decimal | None:
    """The fee in the asset that the trade was paid in."""
    instrument: Instrument = fill.instrument
    paid_in = cash_asset(instrument)
    if fill.fee_asset == paid_in or not fill.fee:
        return fill.fee
    if fill.fee_asset == instrument.base:
        return fill.fee * fill.price
    price = rate(fill.fee_asset, paid_in)
    return None if price is None else fill.fee * Decimal(repr(price))
