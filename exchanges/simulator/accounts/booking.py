"""What fills and endings do to an account, and how it hears of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Context, Decimal

from bot.domain.instrument import Segment
from bot.matching.cash import cash_asset
from exchanges.simulator.accounts.fees import fee_of, fee_value
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import LiveOrder, OrderLog
from exchanges.simulator.accounts.money import Money, spent_asset
from exchanges.simulator.accounts.outbox import Outbox
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountFill,
    Cause,
    Levels,
    MarketEvent,
    OrderState,
    OrderUpdated,
    Refusal,
    TradePrinted,
)

_UP = Context(prec=80, rounding=ROUND_CEILING)


def _up(amount: Decimal, step: Decimal) -> Decimal:
    return amount.quantize(step, context=_UP)


class Booking:
    """Books and tells; the order of events is: the order, then what it changed."""

    def __init__(self, house: House, orders: OrderLog, money: Money, outbox: Outbox) -> None:
        self._house = house
        self._orders = orders
        self._money = money
        self._outbox = outbox
        self.token_segments = set(Segment) if house.rules.pays_in_token else set()
        """Where fees are paid in the venue's token."""

    def accept(self, order: LiveOrder, ts_ns: int) -> None:
        """A new order is on the book's doorstep."""
        self._orders.add(order)
        self._tell_order(order, ts_ns)

    def rested(self, order: LiveOrder, ts_ns: int) -> None:
        """It lies in the book: what it may spend is locked."""
        order.is_resting = True
        self._tell_lock(order, ts_ns)

    def shrunk(self, order: LiveOrder, lots: int, ts_ns: int) -> None:
        """It has so many lots in all now: less of what it may spend is locked."""
        order.shrink(lots, ts_ns)
        self._tell_order(order, ts_ns)
        self._tell_lock(order, ts_ns)

    def end(self, order: LiveOrder, state: OrderState, reason: str, ts_ns: int, refusal: Refusal | None = None) -> None:
        """It is final without another fill."""
        order.end(state, reason, ts_ns)
        self._orders.close(order)
        self._tell_order(order, ts_ns, refusal=refusal)
        if order.is_resting:
            self._tell_lock(order, ts_ns)

    def fill_taken(self, order: LiveOrder, filled: Levels, events: Sequence[MarketEvent], ts_ns: int) -> None:
        """Book what a taking order got; trade ids are those of the public trades."""
        ids: defaultdict[int, list[int]] = defaultdict(list)
        for event in events:
            if isinstance(event, TradePrinted):
                ids[event.ticks].append(event.trade_id)
        for ticks, lots in filled:
            trade_id = ids[ticks].pop(0) if ids[ticks] else self._house.next_number()
            self.fill(order, ticks, lots, trade_id, is_maker=False, ts_ns=ts_ns)

    def fill(self, order: LiveOrder, ticks: int, lots: int, trade_id: int, *, is_maker: bool, ts_ns: int) -> None:
        """Book one fill of an ordinary order."""
        price = ticks * order.listing.instrument.tick_size
        assets = self.fill_at(order, price, lots, trade_id, is_maker=is_maker, ts_ns=ts_ns)
        self.tell_changed(Cause.ORDER, order, assets, ts_ns)

    def fill_at(
        self,
        order: LiveOrder,
        price: Decimal,
        lots: int,
        trade_id: int,
        *,
        ts_ns: int,
        is_maker: bool = False,
        is_free: bool = False,
    ) -> set[str]:
        """Book one fill and tell the order; the assets that changed are for the caller to tell."""
        instrument, side = order.listing.instrument, order.request.side
        quantity = lots * instrument.lot_size
        listing = order.request.listing
        opened = self._money.opening_part(listing, side, quantity)
        realised = self._money.trade(listing, side, price, quantity, ts_ns)
        fee_asset, fee = self._fee(order, price, quantity, is_maker, is_free)
        if order.segment is not Segment.SPOT:
            cost = fee_value(self._house.rules, instrument, fee_asset, fee)
            self._money.note_result(listing, realised, cost, opened=opened, traded=quantity)
        fill = AccountFill(
            order_number=order.number,
            listing=listing,
            side=side,
            trade_id=trade_id,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=is_maker,
            realised=realised,
            ts_ns=ts_ns,
        )
        order.fill(fill, lots)
        if order.state.is_final:
            self._orders.close(order)
        self._tell_order(order, ts_ns, fill=fill)
        traded = {instrument.base, instrument.quote} if order.segment is Segment.SPOT else {cash_asset(instrument)}
        return traded | {fee_asset}

    def tell_changed(
        self, cause: Cause, order: LiveOrder, assets: Iterable[str], ts_ns: int, amount: Decimal | None = None
    ) -> None:
        """Tell what an order changed; `amount`, of the settle asset, where it counts as income."""
        instrument = order.listing.instrument
        wallet, listing = self._money.wallet(instrument), order.request.listing
        is_spot = instrument.segment is Segment.SPOT
        self._outbox.tell(
            AccountChanged(
                cause=cause,
                balances=tuple(self._money.balance(wallet, asset) for asset in sorted(assets)),
                positions=() if is_spot else (self._money.position_view(listing),),
                ts_ns=ts_ns,
                asset="" if amount is None else cash_asset(instrument),
                amount=Decimal(0) if amount is None else amount,
                listing=listing,
            )
        )

    def tell_paid(self, cause: Cause, wallet: str, asset: str, amount: Decimal, ts_ns: int) -> None:
        """Tell of money that came into a wallet by no order."""
        balances = (self._money.balance(wallet, asset),)
        self._outbox.tell(AccountChanged(cause, balances, (), ts_ns, asset=asset, amount=amount))

    def _tell_lock(self, order: LiveOrder, ts_ns: int) -> None:
        if order.segment is Segment.SPOT:
            self.tell_changed(Cause.ORDER, order, {spent_asset(order)}, ts_ns)

    def _fee(
        self, order: LiveOrder, price: Decimal, quantity: Decimal, is_maker: bool, is_free: bool
    ) -> tuple[str, Decimal]:
        instrument, rules = order.listing.instrument, self._house.rules
        wallet = self._money.wallet(instrument)
        if is_free:
            return cash_asset(instrument), Decimal(0)
        token = rules.fee_token if instrument.segment in self.token_segments else None
        token_free = None if token is None else self._money.free(wallet, token.asset)
        asset, fee = fee_of(
            rules, instrument, order.request.side, price, quantity, is_maker=is_maker, token_free=token_free
        )
        if rules.fee_step is not None:
            fee = _up(fee, rules.fee_step)
        self._money.add(wallet, asset, -fee)
        self._house.collect(asset, fee)
        return asset, fee

    def _tell_order(
        self, order: LiveOrder, ts_ns: int, *, fill: AccountFill | None = None, refusal: Refusal | None = None
    ) -> None:
        self._outbox.tell(OrderUpdated(order.view(), fill, ts_ns, refusal))
