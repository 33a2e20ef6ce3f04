"""Wallets and positions of one simulated account: what fills and funding do to them, and what an order may cost."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal

from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Side
from bot.matching.cash import cash_asset, cash_value, exact, funding_amount, ratio, trade_fee
from bot.matching.position import OpenPosition

_NOTHING = Decimal(0)


def wallet_per_feed(instrument: Instrument) -> str:
    """`<venue>.<segment>`: every segment of a venue keeps its own wallet."""
    return str(instrument.feed)


class Accounts:
    """Balances by wallet and asset, and derivative positions. One side of every change is a fill or a payment.

    What is locked is the initial margin of the open positions, at their entry value, and what resting orders will
    need. Profit that is not realised is not counted as available; a loss may drive a balance below zero, and then
    nothing new can be opened.
    """

    def __init__(
        self,
        balances: Mapping[str, Mapping[str, Decimal]],
        initial_margin_ratio: Decimal,
        wallet_of: Callable[[Instrument], str] = wallet_per_feed,
    ) -> None:
        """Start with `balances` (wallet -> asset -> amount); `wallet_of` names an instrument's wallet."""
        self.wallet_of = wallet_of
        self._margin_ratio = initial_margin_ratio
        self._totals: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._positions: dict[str, OpenPosition] = {}
        self._holds: dict[str, tuple[str, str, Decimal]] = {}
        for wallet, assets in balances.items():
            for asset, amount in assets.items():
                self._totals[wallet, asset] = amount

    def balance(self, wallet: str, asset: str) -> Balance:
        """One asset of one wallet; zero where nothing was ever there."""
        return Balance(
            wallet=wallet,
            asset=asset,
            total=self._totals.get((wallet, asset), _NOTHING),
            locked=self._locked(wallet, asset),
        )

    def balances(self) -> list[Balance]:
        """Every asset that ever was in a wallet, in the order of its first appearance."""
        return [self.balance(wallet, asset) for wallet, asset in self._totals]

    def position(self, instrument: Instrument) -> Position:
        """The derivative position, flat where there is none."""
        return (self._positions.get(instrument.id) or OpenPosition(instrument)).view()

    def positions(self) -> list[Position]:
        """Every derivative position that is not flat."""
        return [held.view() for held in self._positions.values() if held.quantity]

    @exact
    def needed(self, instrument: Instrument, side: Side, price: Decimal, quantity: Decimal, bps: Decimal) -> Decimal:
        """What a trade at `price` with a fee of `bps` must find available, in the asset that `paying_asset` names.

        Spot needs what it gives away. A derivative needs the initial margin and the fee of the part that increases
        the position (margin that the other part frees is not counted); pure reduction needs nothing.
        """
        if instrument.segment is Segment.SPOT:
            return cash_value(instrument, price, quantity) if side is Side.BUY else quantity
        held = self._positions.get(instrument.id)
        opening = quantity if held is None else held.opening_part(side, quantity)
        margin = self._margin_ratio * cash_value(instrument, price, opening)
        return margin + trade_fee(instrument, side, price, opening, bps)

    def available(self, instrument: Instrument, side: Side) -> Decimal:
        """What a new order may use of `paying_asset`; negative after a loss that the wallet did not cover."""
        return self.balance(self.wallet_of(instrument), paying_asset(instrument, side)).available

    def covered_notional(
        self, instrument: Instrument, side: Side, price: Decimal, bps: Decimal, reserved: Decimal = _NOTHING
    ) -> Decimal:
        """How large a new trade may be, in quote units to 28 digits; positions that it would reduce aside.

        `reserved` of `paying_asset` is spoken for. Zero where nothing is available.
        """
        free = max(_NOTHING, self.available(instrument, side) - reserved)
        if instrument.segment is not Segment.SPOT:
            free = ratio(free, self._margin_ratio + max(_NOTHING, bps).scaleb(-4))
        in_base = paying_asset(instrument, side) == instrument.base
        return free * price if in_base else free

    def hold(self, client_order_id: str, instrument: Instrument, side: Side, amount: Decimal) -> None:
        """Lock `amount` of what an order pays with, for as long as it rests; a later call for the order replaces it."""
        self._holds[client_order_id] = (self.wallet_of(instrument), paying_asset(instrument, side), amount)

    def release(self, client_order_id: str) -> None:
        """An order rests no more."""
        self._holds.pop(client_order_id, None)

    @exact
    def apply(self, fill: Fill) -> None:
        """Book one fill: what was traded, and the fee in its own asset. The caller counts each fill once."""
        instrument, wallet = fill.instrument, self.wallet_of(fill.instrument)
        cash = (wallet, cash_asset(instrument))
        if instrument.segment is Segment.SPOT:
            self._totals[wallet, instrument.base] += fill.side.sign * fill.quantity
            self._totals[cash] -= fill.side.sign * cash_value(instrument, fill.price, fill.quantity)
        else:
            held = self._positions.setdefault(instrument.id, OpenPosition(instrument))
            self._totals[cash] += held.trade(fill.side, fill.price, fill.quantity)
        self._totals[wallet, fill.fee_asset] -= fill.fee

    @exact
    def move(self, wallet: str, asset: str, amount: Decimal) -> None:
        """Money that came by a transfer, or went by one (negative)."""
        self._totals[wallet, asset] += amount

    @exact
    def settle_funding(
        self, instrument: Instrument, rate: Decimal, mark_price: Decimal, ts_ns: int
    ) -> FundingPayment | None:
        """Pay or receive funding on the open position; longs pay when `rate` is positive. None when flat."""
        held = self._positions.get(instrument.id)
        if held is None or held.quantity == 0:
            return None
        wallet, asset = self.wallet_of(instrument), cash_asset(instrument)
        amount = funding_amount(instrument, held.quantity, rate, mark_price)
        self._totals[wallet, asset] += amount
        return FundingPayment(
            instrument=instrument,
            wallet=wallet,
            asset=asset,
            amount=amount,
            quantity=held.quantity,
            rate=rate,
            mark_price=mark_price,
            ts_ns=ts_ns,
        )

    @exact
    def _locked(self, wallet: str, asset: str) -> Decimal:
        # Derived, not kept: a flat account has nothing locked, whatever way it came there.
        held = (position for position in self._positions.values() if position.quantity)
        entries = (
            abs(position.entry_flow)
            for position in held
            if (self.wallet_of(position.instrument), cash_asset(position.instrument)) == (wallet, asset)
        )
        held_back = (amount for *place, amount in self._holds.values() if place == [wallet, asset])
        return self._margin_ratio * sum(entries, _NOTHING) + sum(held_back, _NOTHING)


def paying_asset(instrument: Instrument, side: Side) -> str:
    """What an order needs to have: quote to buy spot, base to sell it, the settle asset for a derivative."""
    if instrument.segment is Segment.SPOT and side is Side.SELL:
        return instrument.base
    return cash_asset(instrument)
