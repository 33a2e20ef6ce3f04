"""Orders of one account: their changing state, and finding them again."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from bot.domain.instrument import Segment
from bot.domain.order import Side
from bot.matching.cash import cash_value, exact
from exchanges.simulator.core.values import AccountFill, Listing, NewOrder, OrderState, OrderView

_KEPT = 20_000
"""Final orders that are remembered, so that a server that runs for weeks does not grow."""


class LiveOrder:
    """One order; quantities in lots, prices in ticks."""

    def __init__(
        self, number: int, request: NewOrder, listing: Listing, lots: int, ticks: int | None, ts_ns: int
    ) -> None:
        self.number = number
        self.request = request
        self.client_id = request.client_id or f"auto-{number}"
        self.listing = listing
        self.lots = lots
        self.ticks = ticks
        """Limit; None for a market order."""
        self.filled_lots = 0
        self.state = OrderState.NEW
        self.reason = ""
        self.is_resting = False
        """Whether it ever lay in the book."""
        self.lots_withdrawn: int | None = None
        """Lots that the market gave back to a cancel, while fills that came before it are still to be heard of."""
        self._notional = Decimal(0)
        self._fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._created_ns = self._updated_ns = ts_ns
        self.reserve = self._reserve()
        """What the rest of a limit order may cost at its price, or gives away when it sells spot."""

    @property
    def left(self) -> int:
        """Lots not filled."""
        return self.lots - self.filled_lots

    @property
    def buys(self) -> bool:
        """Whether it is a buy."""
        return self.request.side is Side.BUY

    @property
    def segment(self) -> Segment:
        """Of its instrument."""
        return self.listing.instrument.segment

    @exact
    def fill(self, fill: AccountFill, lots: int) -> None:
        """Count one fill."""
        self.filled_lots += lots
        self._notional += fill.price * fill.quantity
        self._fees[fill.fee_asset] += fill.fee
        self.state = OrderState.PARTIALLY_FILLED if self.left else OrderState.FILLED
        self._updated_ns = fill.ts_ns
        self.reserve = self._reserve()

    def shrink(self, lots: int, ts_ns: int) -> None:
        """Have `lots` in all from now on, those that are filled among them."""
        assert self.filled_lots < lots < self.lots, f"order {self.number} cannot shrink to {lots} lots"
        self.lots = lots
        self.request = replace(self.request, quantity=lots * self.listing.instrument.lot_size)
        self._updated_ns = ts_ns
        self.reserve = self._reserve()

    def end(self, state: OrderState, reason: str, ts_ns: int) -> None:
        """Make it final."""
        assert not self.state.is_final, f"order {self.number} ends twice"
        self.state = state
        self.reason = reason
        self._updated_ns = ts_ns

    @exact
    def view(self) -> OrderView:
        """It as its owner sees it."""
        lot = self.listing.instrument.lot_size
        return OrderView(
            number=self.number,
            request=self.request,
            client_id=self.client_id,
            state=self.state,
            quantity=self.lots * lot,
            filled=self.filled_lots * lot,
            filled_notional=self._notional,
            fees=tuple(self._fees.items()),
            created_ns=self._created_ns,
            updated_ns=self._updated_ns,
            reason=self.reason,
        )

    def _reserve(self) -> Decimal:
        if self.ticks is None:
            return Decimal(0)
        instrument = self.listing.instrument
        quantity = self.left * instrument.lot_size
        if self.segment is Segment.SPOT and not self.buys:
            return quantity
        return cash_value(instrument, self.ticks * instrument.tick_size, quantity)


class OrderLog:
    """All orders of an account, and which of them are open."""

    def __init__(self) -> None:
        self._all: dict[int, LiveOrder] = {}
        self._by_client_id: dict[tuple[int, str], LiveOrder] = {}
        self._open: defaultdict[int, dict[int, LiveOrder]] = defaultdict(dict)

    def add(self, order: LiveOrder) -> None:
        """Remember a new order; open until `close`."""
        self._all[order.number] = order
        self._by_client_id[order.request.listing, order.client_id] = order
        self._open[order.request.listing][order.number] = order
        if len(self._all) > _KEPT:
            self._forget_oldest()

    def close(self, order: LiveOrder) -> None:
        """It is final."""
        del self._open[order.request.listing][order.number]

    def find(self, listing: int, number: int | None, client_id: str | None) -> LiveOrder | None:
        """By the number, else by the client id (the newest one that used it)."""
        if number is None:
            return self._by_client_id.get((listing, client_id or ""))
        order = self._all.get(number)
        return order if order is not None and order.request.listing == listing else None

    def open(self, listing: int | None = None) -> list[LiveOrder]:
        """Open orders, oldest first."""
        if listing is not None:
            return list(self._open[listing].values()) if listing in self._open else []
        return sorted(self.each_open(), key=lambda one: one.number)

    def each_open(self) -> Iterator[LiveOrder]:
        """Open orders in any order; none may be added or closed meanwhile."""
        return (one for orders in self._open.values() for one in orders.values())

    def open_number(self, listing: int, number: int) -> LiveOrder | None:
        """An open order by its number."""
        return self._open[listing].get(number) if listing in self._open else None

    def __iter__(self) -> Iterator[LiveOrder]:
        """All, oldest first."""
        return iter(self._all.values())

    def _forget_oldest(self) -> None:
        oldest = next((one for one in self._all.values() if one.state.is_final), None)
        if oldest is None:
            return
        del self._all[oldest.number]
        key = (oldest.request.listing, oldest.client_id)
        if self._by_client_id[key] is oldest:
            del self._by_client_id[key]
