"""Post-only orders that wait in a book which nobody else sees: filled where somebody must have come, and not before.

Where we stand in the queue at our price is not known, so what trades *at* it is taken to be others'. A resting buy is
filled when the opposite side stands at its price or below (a seller who asks that would have met us), as far as that
side shows, or when the public traded below it, as far as that trade went. It is filled at its own price and pays the
maker's fee. A sell is the mirror image.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Literal

from bot.domain.fees import fee_asset
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.errors import OrderRejected
from bot.matching.book import VisibleBook
from bot.matching.cash import exact, from_float, ratio, trade_fee
from bot.matching.matching_engine import NO_QUOTE, MatchingEngine, MatchResult, ended, refused

_NOTHING = Decimal(0)
FillsOn = Literal["touch", "through"]
"""What the opposite side must do: reach our price, or go beyond it."""


class _Resting:
    """One order in the book."""

    __slots__ = ("fee_bps", "fills", "notional", "order", "price")

    def __init__(self, order: Order, price: Decimal, fee_bps: Decimal) -> None:
        self.order = order
        self.price = price
        self.fee_bps = fee_bps
        self.fills = 0
        self.notional = _NOTHING

    @property
    def left(self) -> Decimal:
        return self.order.quantity - self.order.filled_quantity


class RestingOrders:
    """Every resting order of one account. What they may need stays locked in its wallets."""

    def __init__(self, engine: MatchingEngine, fills_on: FillsOn = "touch") -> None:
        """Book fills to the accounts of `engine`."""
        self._engine = engine
        self._accounts = engine.accounts
        self._through = fills_on == "through"
        self._by_instrument: dict[str, dict[str, _Resting]] = {}

    def has(self, instrument_id: str) -> bool:
        """Whether an order rests on it."""
        return bool(self._by_instrument.get(instrument_id))

    def orders(self) -> list[Order]:
        """All of them, as they stand."""
        return [one.order for book in self._by_instrument.values() for one in book.values()]

    @exact
    def place(self, order: Order, book: VisibleBook, now_ns: int) -> MatchResult:
        """Let a post-only order begin to wait; SENT where it does.

        It is rejected where it would trade at once, with the market or with an order of ours, and expires where there
        is no quote to tell.
        """
        order = self._engine.numbered(order)
        try:
            fees, wanted = self._engine.admit(order, rests=True)
            price = order.price
            assert price is not None, "the form was checked"
            touch = book.touch(order.side)
            if touch is None:
                return MatchResult(_final(order, OrderStatus.EXPIRED, NO_QUOTE, now_ns))
            self._check_passive(order, price, touch)
            charged_bps = fees.charged_bps(is_maker=True)
            self._engine.check_price(order, wanted, touch, charged_bps)
        except OrderRejected as error:
            return refused(order.model_copy(update={"ts_final_ns": now_ns}), error)
        order = order.model_copy(update={"status": OrderStatus.SENT})
        one = _Resting(order, price, charged_bps)
        self._of(order)[order.client_order_id] = one
        self._lock(one)
        return MatchResult(order)

    def _check_passive(self, order: Order, price: Decimal, touch: Decimal) -> None:
        if order.side.sign * (price - touch) >= 0:
            raise OrderRejected(order.client_order_id, f"post-only: {price} would trade at once, at {touch}")
        for own in self._of(order).values():
            if own.order.side is not order.side and order.side.sign * (price - own.price) >= 0:
                raise OrderRejected(order.client_order_id, f"post-only: {price} would trade with our own {own.price}")

    @exact
    def on_quote(self, instrument_id: str, quote: TopOfBook, book: VisibleBook, now_ns: int) -> list[MatchResult]:
        """What the newest quote, which `book` has taken over, does to the orders on its instrument."""
        found: list[MatchResult] = []
        for one in self._by_price(instrument_id):
            opposite = from_float(quote.ask_price if one.order.side is Side.BUY else quote.bid_price)
            beyond = one.order.side.sign * (one.price - opposite)
            if beyond > 0 or (beyond == 0 and not self._through):
                found += self._filled(one, partial(_shown, one, book), now_ns)
        return found

    @exact
    def on_trade(self, instrument_id: str, price: float, quantity: float, now_ns: int) -> list[MatchResult]:
        """What a public trade does to them: one beyond our price would have come to us first."""
        found: list[MatchResult] = []
        left = from_float(quantity)
        for one in self._by_price(instrument_id):
            if left > 0 and one.order.side.sign * (one.price - from_float(price)) > 0:
                results = list(self._filled(one, partial(_traded, one, left), now_ns))
                left -= sum((fill.quantity for result in results for fill in result.fills), _NOTHING)
                found += results
        return found

    def cancel(self, order: Order, now_ns: int) -> MatchResult | None:
        """Take an order out; None where it does not rest (any more)."""
        one = self._of(order).get(order.client_order_id)
        return None if one is None else self._end(one, OrderStatus.CANCELLED, "cancelled", now_ns)

    def _by_price(self, instrument_id: str) -> list[_Resting]:
        """Those that the market meets first come first."""
        resting = self._by_instrument.get(instrument_id, {}).values()
        return sorted(resting, key=lambda one: -one.order.side.sign * one.price)

    def _of(self, order: Order) -> dict[str, _Resting]:
        return self._by_instrument.setdefault(order.instrument.id, {})

    def _filled(self, one: _Resting, offered: Callable[[Decimal], Decimal], now_ns: int) -> Iterable[MatchResult]:
        """Fill what is offered of it; `offered` takes the quantity wanted and gives what there is."""
        wanted = one.left
        if one.order.reduce_only:
            try:
                wanted = min(wanted, self._engine.reducible(one.order))
            except OrderRejected:
                return [self._end(one, OrderStatus.CANCELLED, "reduce-only: nothing is left to reduce", now_ns)]
        quantity = offered(wanted)
        return [self._fill(one, quantity, now_ns)] if quantity > 0 else []

    def _fill(self, one: _Resting, quantity: Decimal, now_ns: int) -> MatchResult:
        order = one.order
        one.fills += 1
        one.notional += one.price * quantity
        fill = Fill(
            fill_id=f"{order.client_order_id}.{one.fills}",
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            side=order.side,
            price=one.price,
            quantity=quantity,
            fee=trade_fee(order.instrument, order.side, one.price, quantity, one.fee_bps),
            fee_asset=fee_asset(order.instrument, order.side),
            is_maker=True,
            ts_event_ns=now_ns,
        )
        self._accounts.apply(fill)
        filled = order.filled_quantity + quantity
        update = {"filled_quantity": filled, "average_price": ratio(one.notional, filled)}
        one.order = order.model_copy(update=update | {"status": OrderStatus.PARTIALLY_FILLED})
        if not one.left:
            return MatchResult(self._end(one, OrderStatus.FILLED, None, now_ns).order, (fill,))
        self._lock(one)
        return MatchResult(one.order, (fill,))

    def _lock(self, one: _Resting) -> None:
        order = one.order
        bps = max(_NOTHING, one.fee_bps)
        amount = _NOTHING
        if not order.reduce_only:
            amount = self._accounts.needed(order.instrument, order.side, one.price, one.left, bps)
        self._accounts.hold(order.client_order_id, order.instrument, order.side, amount)

    def _end(self, one: _Resting, status: OrderStatus, reason: str | None, now_ns: int) -> MatchResult:
        del self._of(one.order)[one.order.client_order_id]
        self._accounts.release(one.order.client_order_id)
        return MatchResult(_final(one.order, status, reason, now_ns))


def _shown(one: _Resting, book: VisibleBook, wanted: Decimal) -> Decimal:
    """What the opposite side shows at our price and better, less what we took of it; it is taken then."""
    return sum((quantity for _, quantity in book.take(one.order.side, wanted, one.price)), _NOTHING)


def _traded(one: _Resting, left: Decimal, wanted: Decimal) -> Decimal:
    return one.order.instrument.floor_quantity(min(wanted, left))


def _final(order: Order, status: OrderStatus, reason: str | None, now_ns: int) -> Order:
    order = order.model_copy(update={"ts_final_ns": now_ns})
    return order.model_copy(update={"status": status}) if reason is None else ended(order, status, reason)
