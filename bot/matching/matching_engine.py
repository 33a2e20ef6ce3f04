"""Orders meet what the book shows: one engine for the paper venue, the simulated exchanges and the backtest.

Market and IOC limit orders are matched at once; what the book does not show is not filled, and the rest
expires. Orders that rest are in `bot.matching.resting`. Nothing here knows latency, a venue's protocol or where quotes
come from.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.fees import FeeSchedule, fee_asset
from bot.domain.instrument import Feed, Segment
from bot.domain.order import Fill, Order, OrderStatus
from bot.errors import InsufficientBalance, OrderRejected
from bot.matching.accounts import Accounts, paying_asset
from bot.matching.book import VisibleBook
from bot.matching.cash import exact, ratio, trade_fee
from bot.matching.filters import check_form, check_notional

NO_QUOTE = "no valid quote"


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What became of an order."""

    order: Order
    """In a terminal state; of a resting order also SENT or PARTIALLY_FILLED, while it rests on."""
    fills: tuple[Fill, ...] = ()
    """Already booked to the accounts."""
    rejection: OrderRejected | None = None
    """Why it was rejected, by class: a venue's protocol has a code for each."""


class MatchingEngine:
    """Matches orders against books and books the fills. The same calls give the same results, ids included."""

    def __init__(self, accounts: Accounts, fees: Mapping[Feed, FeeSchedule]) -> None:
        """Trade on `accounts`; orders of a feed that `fees` does not know are rejected.

        Where an account pays in a venue's token its discount is taken off, and the rest taken as any other fee is:
        these accounts hold no token, and what is traded here costs what it was priced with.
        """
        self.accounts = accounts
        self._fees = fees
        self._numbers = itertools.count(1)
        self._seen: set[str] = set()

    @exact
    def match(self, order: Order, book: VisibleBook, now_ns: int) -> MatchResult:
        """Let `order` meet `book` at `now_ns`; the answer is final.

        A rejected order changed nothing. A reduce-only order is cut to the open position first.
        """
        order = self.numbered(order).model_copy(update={"ts_final_ns": now_ns})
        try:
            fees, wanted = self.admit(order)
            touch = book.touch(order.side)
            if touch is None:
                return MatchResult(ended(order, OrderStatus.EXPIRED, NO_QUOTE))
            charged_bps = fees.charged_bps(is_maker=False)
            self.check_price(order, wanted, touch, charged_bps)
        except OrderRejected as error:
            return refused(order, error)
        fills = self._fill(order, book.take(order.side, wanted, order.price), charged_bps, now_ns)
        return MatchResult(_settled(order, fills, wanted, touch), fills)

    def numbered(self, order: Order) -> Order:
        """The order under the venue's own id."""
        return order.model_copy(update={"venue_order_id": str(next(self._numbers))})

    def admit(self, order: Order, *, rests: bool = False) -> tuple[FeeSchedule, Decimal]:
        """What its trades cost and how much of it may be traded; `rests`: whether it was sent to wait.

        Raises:
            OrderRejected: Where it is refused at any price.
        """
        if order.client_order_id in self._seen:
            raise OrderRejected(order.client_order_id, "duplicate client order id")
        self._seen.add(order.client_order_id)
        schedule = self._fees.get(order.instrument.feed)
        if schedule is None:
            raise OrderRejected(order.client_order_id, f"no fee schedule is known for {order.instrument.feed}")
        check_form(order, rests=rests)
        return schedule, self.reducible(order) if order.reduce_only else order.quantity

    def reducible(self, order: Order) -> Decimal:
        """How much of a reduce-only order the position leaves to be reduced, venue units.

        Raises:
            OrderRejected: Where that is nothing.
        """
        if order.instrument.segment is Segment.SPOT:
            raise OrderRejected(order.client_order_id, "reduce-only: spot holds no position")
        held = self.accounts.position(order.instrument).quantity
        if held * order.side.sign >= 0:
            raise OrderRejected(order.client_order_id, f"reduce-only: the position is {held}")
        return min(order.quantity, abs(held))

    def check_price(self, order: Order, wanted: Decimal, touch: Decimal, fee_bps: Decimal) -> None:
        """Let an order pass that is large enough at its price and that the wallet covers.

        Raises:
            BelowMinimum: If its notional is too small.
            InsufficientBalance: If what is available does not cover `wanted` of it.
        """
        limit = order.price if order.price is not None else touch
        check_notional(order, limit)
        # A venue reserves at the limit; the fill may be at the touch, and which of the two needs more depends on
        # the side and on whether the contract is inverse.
        marketable = order.side.sign * (limit - touch) >= 0
        prices = {limit, touch} if marketable else {limit}
        instrument, side = order.instrument, order.side
        needed = max(self.accounts.needed(instrument, side, price, wanted, fee_bps) for price in prices)
        lacking = needed - self.accounts.available(instrument, side)
        if needed > 0 and lacking > 0:
            wallet, asset = self.accounts.wallet_of(instrument), paying_asset(instrument, side)
            raise InsufficientBalance(order.client_order_id, f"{wallet} lacks {lacking:f} {asset}")

    def _fill(
        self, order: Order, taken: list[tuple[Decimal, Decimal]], fee_bps: Decimal, now_ns: int
    ) -> tuple[Fill, ...]:
        fills = tuple(
            Fill(
                fill_id=f"{order.client_order_id}.{number}",
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                side=order.side,
                price=price,
                quantity=quantity,
                fee=trade_fee(order.instrument, order.side, price, quantity, fee_bps),
                fee_asset=fee_asset(order.instrument, order.side),
                is_maker=False,
                ts_event_ns=now_ns,
            )
            for number, (price, quantity) in enumerate(taken, start=1)
        )
        for fill in fills:
            self.accounts.apply(fill)
        return fills


def ended(order: Order, status: OrderStatus, reason: str) -> Order:
    """The order in a final state, and why."""
    return order.model_copy(update={"status": status, "reason": reason})


def refused(order: Order, error: OrderRejected) -> MatchResult:
    """The order as it was rejected."""
    reason = str(error).removeprefix(f"order {order.client_order_id}: ")
    return MatchResult(ended(order, OrderStatus.REJECTED, reason), (), error)


def _settled(order: Order, fills: tuple[Fill, ...], wanted: Decimal, touch: Decimal) -> Order:
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    if fills:
        cost = sum((fill.price * fill.quantity for fill in fills), Decimal(0))
        order = order.model_copy(update={"filled_quantity": filled, "average_price": ratio(cost, filled)})
    if filled == order.quantity:
        return order.model_copy(update={"status": OrderStatus.FILLED})
    return ended(order, OrderStatus.EXPIRED, _why_not_all(order, filled, wanted, touch))


def _why_not_all(order: Order, filled: Decimal, wanted: Decimal, touch: Decimal) -> str:
    if filled == wanted:
        return f"reduce-only: cut to the position of {wanted}"
    if order.price is not None and order.side.sign * (touch - order.price) > 0:
        return f"limit {order.price} is not met by {touch}"
    return f"the book offered {filled} from {touch} on"
