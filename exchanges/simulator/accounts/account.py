"""One customer of a simulated venue."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from bot.domain.instrument import Segment
from bot.matching.cash import cash_asset, exact, funding_amount
from exchanges.simulator.accounts.booking import Booking
from exchanges.simulator.accounts.desk import Desk
from exchanges.simulator.accounts.fees import rate_bps
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.liquidation import Liquidator
from exchanges.simulator.accounts.live_order import OrderLog
from exchanges.simulator.accounts.money import Money
from exchanges.simulator.accounts.outbox import Outbox
from exchanges.simulator.accounts.transfers import Transfers
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountEvent,
    AccountFill,
    BalanceView,
    Cause,
    FundingDue,
    Network,
    NewOrder,
    OrderView,
    PositionView,
    Refusal,
    RestingFilled,
    TransferView,
)


class SimulatedAccount:
    """`Account` over a book of its own for orders, money and transfers.

    Every call that trades lets the market catch up first, so that an order meets the book of its moment.
    """

    def __init__(self, house: House, owner: str) -> None:
        """`owner` is the text that its addresses are made of."""
        self._house = house
        self._orders = OrderLog()
        self._outbox = Outbox()
        self._money = Money(house, self._orders)
        self._booking = Booking(house, self._orders, self._money, self._outbox)
        self._desk = Desk(house, self._orders, self._money, self._booking)
        self._liquidator = Liquidator(house, self._orders, self._money, self._desk, self._booking)
        self._transfers = Transfers(house, self._money, self._outbox, owner)

    # Orders

    def place(self, order: NewOrder, ts_ns: int) -> OrderView | Refusal:
        """Take an order; what it does comes to the listeners before this returns."""
        self._house.catch_up(ts_ns)
        placed = self._desk.place(order, ts_ns, self._guard)
        if isinstance(placed, Refusal):
            return placed
        self._guard(order.listing, ts_ns)
        return placed.view()

    def cancel(self, *, listing: int, number: int | None, client_id: str | None, ts_ns: int) -> OrderView | Refusal:
        """Cancel one order, named by either id; `ALREADY_FINAL` also where a fill came first."""
        self._house.catch_up(ts_ns)
        order = self._orders.find(listing, number, client_id)
        if order is None:
            return Refusal.UNKNOWN_ORDER
        return order.view() if self._desk.cancel_asked([order], ts_ns, self._guard) else Refusal.ALREADY_FINAL

    def shrink(self, *, listing: int, number: int, quantity: Decimal, ts_ns: int) -> OrderView | Refusal:
        """Give a resting order a smaller quantity, fills included; it keeps its place in the queue."""
        self._house.catch_up(ts_ns)
        order = self._orders.find(listing, number, None)
        if order is None:
            return Refusal.UNKNOWN_ORDER
        refusal = self._desk.shrink(order, quantity, ts_ns)
        return order.view() if refusal is None else refusal

    def cancel_all(self, listing: int | None, ts_ns: int) -> Sequence[OrderView]:
        """Cancel every open order (of one listing); those that were cancelled."""
        self._house.catch_up(ts_ns)
        return [one.view() for one in self._desk.cancel_asked(self._orders.open(listing), ts_ns, self._guard)]

    def order(self, *, listing: int, number: int | None, client_id: str | None) -> OrderView | Refusal:
        """One order, open or final."""
        found = self._orders.find(listing, number, client_id)
        return Refusal.UNKNOWN_ORDER if found is None else found.view()

    def open_orders(self, listing: int | None) -> Sequence[OrderView]:
        """Orders that are not final, oldest first."""
        return [one.view() for one in self._orders.open(listing)]

    def orders(self, listing: int | None) -> Sequence[OrderView]:
        """All orders, oldest first; of final ones the newest 20,000."""
        return [one.view() for one in self._orders if listing is None or one.request.listing == listing]

    def fills(self, listing: int | None) -> Sequence[AccountFill]:
        """The newest 50,000 fills, oldest first."""
        return [one for one in self._outbox.fills if listing is None or one.listing == listing]

    # Money

    def income(self) -> Sequence[AccountChanged]:
        """What changed balances besides orders, oldest first."""
        return tuple(self._outbox.income)

    def balances(self) -> Sequence[BalanceView]:
        """Every asset of every wallet."""
        return self._money.balances()

    def positions(self) -> Sequence[PositionView]:
        """One per derivative listing that was ever traded; flat ones included."""
        return [self._money.position_view(listing) for listing in self._money.traded()]

    def fee_rates(self, listing: int) -> tuple[Decimal, Decimal]:
        """Maker and taker, as ratios; negative is a rebate."""
        instrument = self._house.listings[listing].instrument
        maker, taker = (rate_bps(self._house.rules, instrument, is_maker) for is_maker in (True, False))
        return maker.scaleb(-4), taker.scaleb(-4)

    def fee_tier(self) -> str:
        """Its name."""
        return self._house.rules.fee_tier

    def pays_in_token(self, segment: Segment) -> bool:
        """Whether fees are taken from the venue's token, while there is enough of it."""
        return segment in self._booking.token_segments

    def pay_in_token(self, segment: Segment, wanted: bool) -> None:
        """Take them from there from now on, or no more."""
        (self._booking.token_segments.add if wanted else self._booking.token_segments.discard)(segment)

    def leverage(self, listing: int) -> int:
        """Leverage of a derivative."""
        return self._money.leverage(listing)

    @exact
    def set_leverage(self, listing: int, leverage: int) -> Refusal | None:
        """None when it was set; `BAD_QUANTITY` out of 1..maximum."""
        what = self._house.listings.get(listing)
        if what is None or not what.instrument.is_perpetual:
            return Refusal.UNKNOWN_INSTRUMENT
        if not 1 <= leverage <= self._house.rules.max_leverage:
            return Refusal.BAD_QUANTITY
        if leverage == self._money.leverage(listing):
            return Refusal.NOT_CHANGED
        more = self._money.initial_margin(listing, leverage=leverage) - self._money.initial_margin(listing)
        free = self._money.margin_free(self._money.wallet(what.instrument), cash_asset(what.instrument))
        if more > 0 and more > free:
            return Refusal.INSUFFICIENT_MARGIN
        self._money.set_leverage(listing, leverage)
        return None

    def networks(self) -> Sequence[Network]:
        """What can be withdrawn and deposited, and how, now."""
        ways = (self._house.network(one.asset, one.id) for one in self._house.rules.networks)
        return [one for one in ways if one is not None]

    def move(self, asset: str, amount: Decimal, *, source: str, target: str, ts_ns: int) -> int | Refusal:
        """Between wallets, at once; the transfer's number. `BAD_ADDRESS`: no such wallet."""
        return self._transfers.move(asset, amount, source=source, target=target, ts_ns=ts_ns)

    def withdraw(
        self,
        asset: str,
        network: str,
        amount: Decimal,
        address: str,
        tag: str,
        client_id: str,
        ts_ns: int,
        wallet: str = "",
    ) -> TransferView | Refusal:
        """Send `amount` away, the fee on top of it, from `wallet` (empty: where the venue keeps deposits)."""
        return self._transfers.withdraw(asset, network, amount, address, tag, client_id, wallet, ts_ns)

    def withdrawals(self) -> Sequence[TransferView]:
        """All of them, oldest first."""
        return self._transfers.withdrawals()

    def deposits(self) -> Sequence[TransferView]:
        """All of them, oldest first; from the moment that the chain shows them."""
        return self._transfers.deposits()

    def deposit_address(self, asset: str, network: str) -> tuple[str, str] | Refusal:
        """Address and tag; stable for the account."""
        return self._transfers.deposit_address(asset, network)

    def listen(self, listener: Callable[[AccountEvent], None]) -> Callable[[], None]:
        """Hear what happens to the account; call what is returned to stop."""
        return self._outbox.listen(listener)

    # What the exchange does to it

    def on_resting_fill(self, event: RestingFilled) -> bool:
        """A resting order was reached; False where it is none of this account's open orders."""
        if not self._desk.resting_filled(event):
            return False
        self._guard(event.listing, event.ts_ns)
        return True

    def on_funding(self, event: FundingDue) -> None:
        """Pay or receive funding; nothing happens without a position."""
        quantity = self._money.position(event.listing)
        if not quantity:
            return
        instrument = self._house.listings[event.listing].instrument
        wallet, asset = self._money.wallet(instrument), cash_asset(instrument)
        amount = funding_amount(instrument, quantity, event.rate, event.mark)
        self._money.fund(event.listing, amount)
        balance = self._money.balance(wallet, asset)
        self._outbox.tell(
            AccountChanged(
                Cause.FUNDING,
                (balance,),
                (),
                event.ts_ns,
                asset=asset,
                amount=amount,
                listing=event.listing,
                quantity=quantity,
                mark=event.mark,
                rate=event.rate,
            )
        )
        self._guard(event.listing, event.ts_ns)

    def on_mark(self, listing: int, ts_ns: int) -> None:
        """The mark moved: the margin may be used up."""
        if self._money.position(listing):
            self._guard(listing, ts_ns)

    def end_orders(self, listing: int, reason: str, ts_ns: int) -> None:
        """The exchange cancels every open order of a listing."""
        self._desk.cancel_all(self._orders.open(listing), reason, ts_ns)

    def liquidate(self, listing: int, ts_ns: int) -> bool:
        """End the wallet's orders and close the position by force; False where there is none."""
        return self._liquidator.force(listing, ts_ns)

    def deleverage(self, listing: int, ts_ns: int) -> bool:
        """Close a winning position by ADL; False where there is none that wins."""
        return self._liquidator.deleverage(listing, ts_ns)

    def _guard(self, listing: int, ts_ns: int) -> None:
        if self._house.listings[listing].instrument.is_perpetual:
            self._liquidator.guard(listing, ts_ns)
