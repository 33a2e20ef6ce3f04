"""Balances and positions of one venue as it tells them, and what they still cover."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf, nextafter

from bot.domain.account import Balance, Position
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.margin import MarginTiers, WalletMargin
from bot.domain.order import Order, Side
from exchanges.common.account.order_desk import Flight

_NOTHING = Decimal(0)


class WalletBook:
    """The newest word about every asset and position.

    A snapshot that was asked for earlier never overwrites what a stream has told since, nor one that was asked for
    later and came first: take `mark` before asking, and give it back with the answer.
    """

    def __init__(
        self,
        wallet_of: Callable[[Instrument], str],
        fees: Mapping[Feed, FeeSchedule],
        initial_margin_ratio: Decimal,
        *,
        locks_margin: bool,
    ) -> None:
        """Nothing is known yet.

        Args:
            wallet_of: Where an instrument's collateral lies.
            fees: What a trade costs; nothing is affordable on a feed that is not in it.
            initial_margin_ratio: Part of a derivative's notional that a new trade must find available.
            locks_margin: Whether the venue's balances leave the margin of positions out of `locked`.
        """
        self.wallet_of = wallet_of
        self._fees = fees
        self._margin_ratio = initial_margin_ratio
        self._locks_margin = locks_margin
        self._balances: dict[tuple[str, str], Balance] = {}
        self._positions: dict[str, Position] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._count = 0
        self._told_last: dict[str, int] = {}
        """By wallet: when a stream told of it last."""
        self._prices: dict[str, Decimal] = {}
        self._margins: dict[tuple[str, str | None], WalletMargin] = {}
        self._tiers: dict[str, MarginTiers] = {}
        self.on_news: Callable[[], None] = lambda: None
        """Called when a stream has told a balance or a position: margins are others than they were."""

    def mark(self) -> int:
        """Now, for a snapshot that is asked for next."""
        self._count += 1
        return self._count

    def set_balance(self, balance: Balance, asked_at: int | None = None) -> None:
        """Take an absolute balance; from a snapshot with the `mark` of its asking."""
        key = (balance.wallet, balance.asset)
        if self._is_news(key, asked_at):
            self._balances[key] = balance
            if asked_at is None:
                self._margins_changed(balance.wallet)

    def set_wallet(self, wallet: str, balances: Iterable[Balance], asked_at: int) -> None:
        """Take a whole wallet from a snapshot: an asset that is not in it is gone."""
        named = {balance.asset: balance for balance in balances}
        for known, asset in list(self._balances):
            if known == wallet and asset not in named:
                named[asset] = Balance(wallet=wallet, asset=asset, total=_NOTHING)
        for balance in named.values():
            self.set_balance(balance, asked_at)

    def set_position(self, position: Position, asked_at: int | None = None) -> None:
        """Take an absolute position, flat ones too."""
        if self._is_news(("position", position.instrument.id), asked_at):
            self._positions[position.instrument.id] = position
            if asked_at is None:
                self._margins_changed(self.wallet_of(position.instrument))

    def set_margin(self, margin: WalletMargin, asked_at: int | None = None) -> None:
        """Take a venue's own sums of a wallet; they hold until its balances or positions change."""
        if asked_at is None or self._told_last.get(margin.wallet, 0) <= asked_at:
            self._margins[margin.wallet, margin.asset] = margin

    def margins(self) -> Sequence[WalletMargin]:
        """The venue's own sums, of wallets that have not changed since."""
        return list(self._margins.values())

    def set_tiers(self, instrument: Instrument, tiers: MarginTiers) -> None:
        """Take how the venue's maintenance margin grows."""
        self._tiers[instrument.id] = tiers

    def tiers(self, instrument: Instrument) -> MarginTiers | None:
        """None where the venue has not told them."""
        return self._tiers.get(instrument.id)

    def _margins_changed(self, wallet: str) -> None:
        self._told_last[wallet] = self._count
        for key in [key for key in self._margins if key[0] == wallet]:
            del self._margins[key]
        self.on_news()

    def add_realised(self, instrument: Instrument, profit: Decimal) -> None:
        """Book profit to a position, where the venue tells it by fill."""
        position = self.position(instrument)
        self._positions[instrument.id] = position.model_copy(update={"realised": position.realised + profit})

    def _is_news(self, key: tuple[str, str], asked_at: int | None) -> bool:
        if asked_at is None:
            asked_at = self.mark()
        if self._told.get(key, 0) > asked_at:
            return False
        self._told[key] = asked_at
        return True

    def position(self, instrument: Instrument) -> Position:
        """What is held of it; flat where nothing was told."""
        flat = Position(instrument=instrument, quantity=_NOTHING, average_price=_NOTHING)
        return self._positions.get(instrument.id, flat)

    def positions(self) -> Sequence[Position]:
        """Every position that is not flat."""
        return [position for position in self._positions.values() if position.quantity]

    def balances(self) -> Sequence[Balance]:
        """Every asset of every wallet."""
        if not self._locks_margin:
            return list(self._balances.values())
        return [self._with_margin(balance) for balance in self._balances.values()]

    def affordable_notional(
        self, instrument: Instrument, side: Side, price: float, flights: Iterable[Flight] = ()
    ) -> float:
        """Quote units that the wallet covers for a new trade at `price`, less what `flights` will need.

        Margin and fee for a derivative, the whole amount for spot; 0 where the fee is not known.
        """
        schedule = self._fees.get(instrument.feed)
        if schedule is None or not 0 < price < inf:
            return 0.0
        exact = self._prices[instrument.id] = Decimal(repr(price))
        free = self._available(instrument, side) - self._reserved(instrument, side, flights)
        if instrument.segment is not Segment.SPOT:
            free /= self._margin_ratio + max(_NOTHING, schedule.taker_bps).scaleb(-4)
        in_base = _paying_asset(instrument, side) == instrument.base
        covered = max(_NOTHING, free) * (exact if in_base else 1)
        return max(0.0, nextafter(float(covered), 0.0))

    def _available(self, instrument: Instrument, side: Side) -> Decimal:
        balance = self._balances.get((self.wallet_of(instrument), _paying_asset(instrument, side)))
        if balance is None:
            return _NOTHING
        return (self._with_margin(balance) if self._locks_margin else balance).available

    def _with_margin(self, balance: Balance) -> Balance:
        held = (
            abs(position.quantity) * position.average_price * position.instrument.contract_multiplier
            for position in self.positions()
            if (self.wallet_of(position.instrument), position.instrument.settle) == (balance.wallet, balance.asset)
        )
        margin = self._margin_ratio * sum(held, _NOTHING)
        return balance.model_copy(update={"locked": balance.locked + margin}) if margin else balance

    def _reserved(self, instrument: Instrument, side: Side, flights: Iterable[Flight]) -> Decimal:
        wallet, asset = self.wallet_of(instrument), _paying_asset(instrument, side)
        same = (
            flight
            for flight in flights
            if _paying_asset(flight.order.instrument, flight.order.side) == asset
            and self.wallet_of(flight.order.instrument) == wallet
        )
        return sum((self._needed(flight.order, flight.left) for flight in same), _NOTHING)

    def _needed(self, order: Order, left: Decimal) -> Decimal:
        """What the unfilled part will take of its paying asset; a market order at the price last asked about."""
        instrument = order.instrument
        if instrument.segment is Segment.SPOT and order.side is Side.SELL:
            return left
        price = order.price or self._prices.get(instrument.id, _NOTHING)
        notional = left * price * instrument.contract_multiplier
        if instrument.segment is Segment.SPOT:
            return notional
        if order.reduce_only:
            return _NOTHING
        schedule = self._fees.get(instrument.feed)
        bps = schedule.taker_bps if schedule is not None else _NOTHING
        return notional * (self._margin_ratio + max(_NOTHING, bps).scaleb(-4))


def _paying_asset(instrument: Instrument, side: Side) -> str:
    if instrument.segment is Segment.SPOT:
        return instrument.base if side is Side.SELL else instrument.quote
    assert instrument.settle is not None, f"{instrument.id}: a derivative settles in something"
    return instrument.settle
