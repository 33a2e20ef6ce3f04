"""What happens to an account whose margin is used up, or whose profit the exchange needs: liquidation and ADL."""

from decimal import Decimal

from bot.domain.order import Side
from bot.matching.cash import cash_asset, exact
from exchanges.simulator.accounts.booking import Booking
from exchanges.simulator.accounts.desk import Desk
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import LiveOrder, OrderLog
from exchanges.simulator.accounts.money import Money
from exchanges.simulator.core.forced import ADL_CLIENT_ID, liquidation_client_id
from exchanges.simulator.core.values import Cause, Kind, Lifetime, NewOrder


class Liquidator:
    """Watches the margin of one account."""

    def __init__(self, house: House, orders: OrderLog, money: Money, desk: Desk, booking: Booking) -> None:
        self._house = house
        self._orders = orders
        self._money = money
        self._desk = desk
        self._booking = booking

    def guard(self, listing: int, ts_ns: int) -> None:
        """Liquidate the wallet that trades `listing` if its margin balance is below maintenance."""
        instrument = self._house.listings[listing].instrument
        wallet, asset = self._money.wallet(instrument), cash_asset(instrument)
        if self._money.margin_excess(wallet, asset) >= 0:
            return
        self._free_margin(wallet, ts_ns)
        if self._money.margin_excess(wallet, asset) < 0:
            for held in self._money.open_positions(wallet):
                self.liquidate(held, ts_ns)
            self._cover(wallet, asset, ts_ns)

    def force(self, listing: int, ts_ns: int) -> bool:
        """Do to one position what a margin call does: orders of its wallet end first; False where there is none."""
        if not self._money.position_lots(listing):
            return False
        instrument = self._house.listings[listing].instrument
        wallet = self._money.wallet(instrument)
        self._free_margin(wallet, ts_ns)
        self.liquidate(listing, ts_ns)
        self._cover(wallet, cash_asset(instrument), ts_ns)
        return True

    def liquidate(self, listing: int, ts_ns: int) -> bool:
        """Close a position at what the book offers, the rest at the mark; False where there is none."""
        lots = self._money.position_lots(listing)
        if not lots:
            return False
        order = self._new_order(listing, lots, None, ts_ns)
        before = self._settled(order)
        self._close_in_book(order, ts_ns)
        if order.left:
            # The book is empty: the insurance fund takes over what nobody else does.
            self._close_at_mark(order, order.left, ts_ns)
        self._tell(Cause.LIQUIDATION, order, before, ts_ns)
        self._desk.drop_reduce_only(listing, ts_ns)
        return True

    def deleverage(self, listing: int, ts_ns: int) -> bool:
        """Close a winning position at the mark, free of charge; False where there is none that wins."""
        lots = self._money.position_lots(listing)
        if not lots or self._money.unrealised(listing) <= 0:
            return False
        order = self._new_order(listing, lots, ADL_CLIENT_ID, ts_ns)
        before = self._settled(order)
        self._close_at_mark(order, order.lots, ts_ns, is_free=True)
        self._tell(Cause.ADL, order, before, ts_ns)
        self._desk.drop_reduce_only(listing, ts_ns)
        return True

    def _free_margin(self, wallet: str, ts_ns: int) -> None:
        locking = [one for one in self._orders.open() if self._money.wallet(one.listing.instrument) == wallet]
        self._desk.cancel_all(locking, "liquidation", ts_ns)

    def _close_in_book(self, order: LiveOrder, ts_ns: int) -> None:
        listing = order.request.listing
        filled, events = self._house.market.take(
            listing, buys=order.buys, lots=order.lots, limit_ticks=None, ts_ns=self._house.market_ns(ts_ns)
        )
        self._house.show(events)
        tick = order.listing.instrument.tick_size
        for ticks, lots in filled:
            self._booking.fill_at(order, ticks * tick, lots, self._house.next_number(), ts_ns=ts_ns)
        self._house.settle(events)

    def _close_at_mark(self, order: LiveOrder, lots: int, ts_ns: int, *, is_free: bool = False) -> None:
        mark = self._house.market.mark(order.request.listing)
        self._booking.fill_at(order, mark, lots, self._house.next_number(), ts_ns=ts_ns, is_free=is_free)

    def _new_order(self, listing: int, lots: int, client_id: str | None, ts_ns: int) -> LiveOrder:
        what = self._house.listings[listing]
        number = self._house.next_number()
        request = NewOrder(
            listing=listing,
            side=Side.SELL if lots > 0 else Side.BUY,
            kind=Kind.MARKET,
            lifetime=Lifetime.IOC,
            quantity=abs(lots) * what.instrument.lot_size,
            price=None,
            client_id=client_id or liquidation_client_id(number),
            reduce_only=True,
        )
        order = LiveOrder(number, request, what, abs(lots), None, ts_ns)
        self._booking.accept(order, ts_ns)
        return order

    def _settled(self, order: LiveOrder) -> Decimal:
        instrument = order.listing.instrument
        return self._money.total(self._money.wallet(instrument), cash_asset(instrument))

    def _tell(self, cause: Cause, order: LiveOrder, before: Decimal, ts_ns: int) -> None:
        earned = _difference(self._settled(order), before)
        self._booking.tell_changed(cause, order, {cash_asset(order.listing.instrument)}, ts_ns, earned)

    def _cover(self, wallet: str, asset: str, ts_ns: int) -> None:
        lacking = -self._money.total(wallet, asset)
        if lacking > 0 and not self._money.open_positions(wallet):
            self._money.add(wallet, asset, lacking)
            self._house.insure(asset, lacking)
            self._booking.tell_paid(Cause.INSURANCE, wallet, asset, lacking, ts_ns)


@exact
def _difference(now: Decimal, before: Decimal) -> Decimal:
    return now - before
