"""Wallets and positions of one account, and what of them is spoken for.

Locks and margins are derived from open orders and positions and never kept, so that nothing stays locked by mistake.
Cross margin, one-way positions; profit that is not realised counts as margin, a loss that is not realised cannot be
spent. Only the settle asset itself is collateral.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_UP, Context, Decimal

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.matching.cash import QUANTUM, cash_asset, cash_flow, cash_value, exact, ratio
from bot.matching.position import OpenPosition
from exchanges.simulator.accounts.earnings import Earnings
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import LiveOrder, OrderLog
from exchanges.simulator.core.values import BalanceView, Listing, PositionView

_NOTHING = Decimal(0)
_UP = Context(prec=1500, rounding=ROUND_UP)


class Money:
    """What an account has. The exchange's rules say which wallet trades what."""

    def __init__(self, house: House, orders: OrderLog) -> None:
        self._house = house
        self._orders = orders
        self._totals: dict[tuple[str, str], Decimal] = {
            (wallet, asset): amount
            for wallet, assets in house.rules.balances.items()
            for asset, amount in assets.items()
        }
        self._positions: dict[int, OpenPosition] = {}
        self._earnings: defaultdict[int, Earnings] = defaultdict(Earnings)
        self._updated_ns: defaultdict[int, int] = defaultdict(int)
        self._leverage: dict[int, int] = {}
        self._margined_by: dict[tuple[str, str], list[int]] = {}

    # Wallets

    def wallet(self, instrument: Instrument) -> str:
        """Which wallet trades it."""
        return self._house.rules.wallets[instrument.segment]

    def total(self, wallet: str, asset: str) -> Decimal:
        """What is in a wallet, locked or not; a loss may drive it below zero until the liquidation is settled."""
        return self._totals.get((wallet, asset), _NOTHING)

    @exact
    def add(self, wallet: str, asset: str, amount: Decimal) -> None:
        """Put `amount` in, or take it out where it is negative."""
        self._totals[wallet, asset] = self.total(wallet, asset) + amount

    @exact
    def free(self, wallet: str, asset: str) -> Decimal:
        """What may be spent or moved away; never below zero."""
        loss = min(_NOTHING, self._unrealised_in(wallet, asset))
        return max(_NOTHING, self.total(wallet, asset) - self.locked(wallet, asset) + loss)

    @exact
    def locked(self, wallet: str, asset: str) -> Decimal:
        """What open spot orders may spend, and the initial margin of positions and derivative orders."""
        margins = (self.initial_margin(listing) for listing in self._margined(wallet, asset))
        return self.reserved(wallet, asset) + sum(margins, _NOTHING)

    @exact
    def reserved(self, wallet: str, asset: str) -> Decimal:
        """What open spot orders may spend."""
        spot = (one for one in self._orders.each_open() if one.segment is Segment.SPOT)
        spending = (
            one.reserve for one in spot if (self.wallet(one.listing.instrument), spent_asset(one)) == (wallet, asset)
        )
        return sum(spending, _NOTHING)

    def balance(self, wallet: str, asset: str) -> BalanceView:
        """One asset of one wallet."""
        return BalanceView(wallet, asset, self.total(wallet, asset), self.locked(wallet, asset))

    def balances(self) -> list[BalanceView]:
        """Every asset that ever was in a wallet."""
        return [self.balance(wallet, asset) for wallet, asset in self._totals]

    # Positions

    def position(self, listing: int) -> Decimal:
        """Signed quantity in the venue's unit; 0 where it was never traded."""
        held = self._positions.get(listing)
        return _NOTHING if held is None else held.quantity

    def position_lots(self, listing: int) -> int:
        """The same in lots."""
        return int(self.position(listing) / self._listing(listing).instrument.lot_size)

    def open_positions(self, wallet: str | None = None) -> list[int]:
        """Listings that are not flat (of one wallet)."""
        held = [listing for listing, one in self._positions.items() if one.quantity]
        return [one for one in held if wallet is None or self.wallet(self._listing(one).instrument) == wallet]

    def traded(self) -> Iterable[int]:
        """Derivative listings that ever had a position."""
        return tuple(self._positions)

    @exact
    def trade(self, listing: int, side: Side, price: Decimal, quantity: Decimal, ts_ns: int) -> Decimal:
        """Book what a fill moves, fee aside; the profit that it realises (0 for spot)."""
        instrument = self._listing(listing).instrument
        wallet, cash = self.wallet(instrument), cash_asset(instrument)
        if instrument.segment is Segment.SPOT:
            self.add(wallet, instrument.base, side.sign * quantity)
            self.add(wallet, cash, -side.sign * cash_value(instrument, price, quantity))
            return _NOTHING
        held = self._positions.setdefault(listing, OpenPosition(instrument))
        realised = held.trade(side, price, quantity)
        self.add(wallet, cash, realised)
        self._updated_ns[listing] = ts_ns
        return realised

    @exact
    def note_result(self, listing: int, realised: Decimal, fee: Decimal, *, opened: Decimal, traded: Decimal) -> None:
        """Keep what a fill that `trade` has booked means for the position's result; `fee` in the settle asset."""
        held = abs(self.position(listing))
        self._earnings[listing].fill(realised, fee, opened=opened, traded=traded, held=held)

    def fund(self, listing: int, amount: Decimal) -> None:
        """Book a funding settlement of a position; + is received."""
        instrument = self._listing(listing).instrument
        self.add(self.wallet(instrument), cash_asset(instrument), amount)
        self._earnings[listing].fund(amount)

    @exact
    def unrealised(self, listing: int) -> Decimal:
        """What closing at the mark would earn, in the settle asset."""
        held = self._positions.get(listing)
        if held is None or not held.quantity:
            return _NOTHING
        closing = Side.SELL if held.quantity > 0 else Side.BUY
        return held.entry_flow + cash_flow(held.instrument, closing, self._mark(listing), abs(held.quantity))

    # Margin

    def leverage(self, listing: int) -> int:
        """As set, else the venue's default."""
        return self._leverage.get(listing, self._house.rules.default_leverage)

    def set_leverage(self, listing: int, leverage: int) -> None:
        """Take another; the caller checks it."""
        self._leverage[listing] = leverage

    @exact
    def initial_margin(
        self, listing: int, buys: Decimal = _NOTHING, sells: Decimal = _NOTHING, leverage: int | None = None
    ) -> Decimal:
        """Of position and open orders together, and of orders worth `buys` and `sells` if they were added.

        The larger of both ways that the orders can go, as Binance has it: `max(|N + bids|, |N − asks|) / leverage`,
        N the position's signed value at the mark. Rounded up to 1e-18.
        """
        value = self._value(listing)
        for order in self._orders.open(listing):
            if order.request.reduce_only:
                continue
            if order.buys:
                buys += order.reserve
            else:
                sells += order.reserve
        return _over(max(abs(value + buys), abs(value - sells)), leverage or self.leverage(listing))

    @exact
    def maintenance_margin(self, listing: int) -> Decimal:
        """Below this margin balance the position is liquidated."""
        return abs(self._value(listing)) * self._house.rules.maintenance_ratio

    @exact
    def margin_free(self, wallet: str, asset: str) -> Decimal:
        """What new derivative orders may use; negative after a loss."""
        return self.total(wallet, asset) - self.locked(wallet, asset) + self._unrealised_in(wallet, asset)

    @exact
    def margin_excess(self, wallet: str, asset: str) -> Decimal:
        """Margin balance above maintenance, money of open spot orders not counted; negative: liquidation."""
        needed = sum((self.maintenance_margin(one) for one in self._margined(wallet, asset)), _NOTHING)
        own = self.total(wallet, asset) - self.reserved(wallet, asset)
        return own + self._unrealised_in(wallet, asset) - needed

    @exact
    def opening_part(self, listing: int, side: Side, quantity: Decimal) -> Decimal:
        """How much of a trade would increase the position or turn it round."""
        held = self._positions.get(listing)
        return quantity if held is None else held.opening_part(side, quantity)

    @exact
    def position_view(self, listing: int) -> PositionView:
        """The position as its owner sees it; flat where there is none."""
        held = self._positions.get(listing) or OpenPosition(self._listing(listing).instrument)
        earned = self._earnings[listing]
        return PositionView(
            listing=listing,
            quantity=held.quantity,
            entry_price=held.average_price,
            mark=self._mark(listing),
            leverage=self.leverage(listing),
            unrealised=self.unrealised(listing),
            realised=held.realised,
            liquidation_price=self.liquidation_price(listing),
            initial_margin=_over(abs(self._value(listing)), self.leverage(listing)),
            maintenance_margin=self.maintenance_margin(listing),
            updated_ns=self._updated_ns[listing],
            result=earned.own.net,
            result_ever=earned.ever.net,
            break_even=_break_even(held, earned),
        )

    @exact
    def liquidation_price(self, listing: int) -> Decimal | None:
        """The mark at which the margin is used up, other marks standing still; None where no price does it.

        For linear contracts: excess + q·(p − mark) − m·|q|·(p − mark) = 0, m the maintenance ratio.
        """
        instrument = self._listing(listing).instrument
        quantity = self.position(listing) * instrument.contract_multiplier
        if not quantity or instrument.segment is not Segment.LINEAR:
            return None
        excess = self.margin_excess(self.wallet(instrument), cash_asset(instrument))
        slope = quantity - self._house.rules.maintenance_ratio * abs(quantity)
        price = self._mark(listing) - ratio(excess, slope)
        return price if price > 0 else None

    def _value(self, listing: int) -> Decimal:
        quantity = self.position(listing)
        if not quantity:
            return _NOTHING
        value = cash_value(self._listing(listing).instrument, self._mark(listing), abs(quantity))
        return value if quantity > 0 else -value

    @exact
    def _unrealised_in(self, wallet: str, asset: str) -> Decimal:
        return sum((self.unrealised(listing) for listing in self._margined(wallet, asset)), _NOTHING)

    def _margined(self, wallet: str, asset: str) -> list[int]:
        """Derivatives that this part of the wallet is margin for: the listings of a venue never change."""
        known = self._margined_by.get((wallet, asset))
        if known is None:
            known = self._margined_by[wallet, asset] = [
                listing
                for listing, one in self._house.listings.items()
                if one.instrument.is_perpetual
                and (self.wallet(one.instrument), cash_asset(one.instrument)) == (wallet, asset)
            ]
        return known

    def _listing(self, listing: int) -> Listing:
        return self._house.listings[listing]

    def _mark(self, listing: int) -> Decimal:
        return self._house.market.mark(listing)


def spent_asset(order: LiveOrder) -> str:
    """What an open spot order reserves."""
    instrument = order.listing.instrument
    return instrument.quote if order.buys else instrument.base


def _break_even(held: OpenPosition, earned: Earnings) -> Decimal:
    # Binance leaves funding out. Prices of inverse contracts are no straight line of their profit; none is listed.
    quantity = held.quantity * held.instrument.contract_multiplier
    if not quantity or held.instrument.segment is not Segment.LINEAR:
        return held.average_price
    return held.average_price + ratio(earned.own.fees - earned.own.realised, quantity)


def _over(value: Decimal, leverage: int) -> Decimal:
    return _UP.quantize(_UP.divide(value, leverage), QUANTUM)
