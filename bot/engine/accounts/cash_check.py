"""Cash conservation: what each asset of each wallet must be, from a start on, by fills, fees and funding alone.

Between two quiet moments a balance changes by what was traded, less fees in their own asset, plus funding, and by what
transfers took and brought (and by money that a person moves). Anything else is a fill that nobody counted, or a charge
that nobody knows: it is told, once, with its figure, and counted from there on.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Side
from bot.matching.accounts import Accounts
from bot.matching.cash import cash_asset, cash_value, exact

_NOTHING = Decimal(0)
_DIGIT = Decimal("1e-8")
"""The last digit that venues tell of a balance; trades move finer ones: 0.0351 ETH at 0.03712 BTC has nine."""
_SAME_ENTRY = Decimal("1e-8")
"""Of the price: venues round an average entry price."""
_ACCEPTED_LOOKS = 2
"""A balance that was asked for before a transfer ended may be compared after it."""
_Place = tuple[str, str]
"""Wallet and asset."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """What has changed a balance, and nobody knows why."""

    wallet: str
    asset: str
    missing: Decimal
    """Units of the asset; positive: more is there."""
    words: str


class CashCheck:
    """The wallets of one venue as they must be."""

    def __init__(self, wallet_of: Callable[[Instrument], str]) -> None:
        """Nothing is expected before `begin`. `wallet_of` names the wallet that an instrument's cash moves in."""
        # What margin ratio the account has does not matter: only totals are asked for.
        self._accounts = Accounts({}, Decimal(1), wallet_of)
        self._beside: dict[_Place, Decimal] = {}
        """Told less what was traded: what lay there before, and what others moved."""
        self._suspected: dict[_Place, Decimal] = {}
        self._accepted: dict[_Place, int] = {}
        """In how many looks yet a difference is taken as it is."""
        self._unsure: dict[_Place, Decimal] = {}
        """What the rounding of a venue's entry prices may come to."""

    def apply(self, fill: Fill) -> None:
        """A fill of the account, counted once."""
        self._accounts.apply(fill)

    @exact
    def pay(self, payment: FundingPayment) -> None:
        """A funding payment of the account, counted once."""
        place = (payment.wallet, payment.asset)
        self._beside[place] = self._beside.get(place, _NOTHING) + payment.amount

    @exact
    def move(self, wallet: str, asset: str, amount: Decimal) -> None:
        """Money that the bot itself moved into a wallet, counted once; out of it is negative."""
        self._beside[wallet, asset] = self._beside.get((wallet, asset), _NOTHING) + amount

    def accept(self, wallet: str, asset: str) -> None:
        """Take an asset as it is told next; a balance that shows nothing new in two looks will show nothing later."""
        self._accepted[wallet, asset] = _ACCEPTED_LOOKS

    @exact
    def begin(self, told: Iterable[Balance], positions: Iterable[Position] = ()) -> None:
        """Take what lies there now as it is, and what is held as the venue says that it was entered.

        The fills of the pairs that are left make the same position, and not always the same entry: a venue nets all
        that was ever traded on an instrument, also what is over by now, and realises profit by its own average.
        """
        for held in positions:
            if held.instrument.is_perpetual:
                self._enter(held)
        traded = self._traded()
        self._beside = {place: -amount for place, amount in traded.items()}  # what is not told of is not there
        for one in told:
            place = (one.wallet, one.asset)
            self._beside[place] = one.total + self._beside.get(place, _NOTHING)

    def _enter(self, told: Position) -> None:
        own, price, instrument = self._accounts.position(told.instrument), told.average_price, told.instrument
        is_same = abs(own.average_price - price) <= price * _SAME_ENTRY
        if (own.quantity == told.quantity and is_same) or (told.quantity and not price):
            return  # our own has all its digits
        if own.quantity:
            self._accounts.apply(_trade(instrument, -own.quantity, own.average_price))
        if told.quantity:
            self._accounts.apply(_trade(instrument, told.quantity, price))
            place = (self._accounts.wallet_of(instrument), cash_asset(instrument))
            rounded = cash_value(instrument, price, abs(told.quantity)) * _SAME_ENTRY
            self._unsure[place] = self._unsure.get(place, _NOTHING) + rounded

    @exact
    def compare(self, told: Iterable[Balance], moving: Collection[str] = ()) -> list[Unexplained]:
        """What has differed by the same amount in two looks in a row; counted from here on.

        Args:
            told: The balances.
            moving: Assets that a transfer may bring or take at this moment: they are compared once it has ended.
        """
        traded, suspected = self._traded(), self._suspected
        self._suspected = {}
        found = []
        for one in told:
            place = (one.wallet, one.asset)
            expected = traded.get(place, _NOTHING) + self._beside.get(place, _NOTHING)
            missing = one.total - expected
            if one.asset in moving:
                continue
            looks_left = self._accepted.pop(place, 0)
            if abs(missing) < max(_DIGIT, self._unsure.get(place, _NOTHING)):
                if looks_left > 1:
                    self._accepted[place] = looks_left - 1
            elif looks_left:
                self._beside[place] = self._beside.get(place, _NOTHING) + missing
            elif suspected.get(place) == missing:
                self._beside[place] = self._beside.get(place, _NOTHING) + missing
                figures = f"{one.total:f} told, {expected:f} by fills, fees, funding and transfers"
                words = f"{one.wallet} {one.asset}: {missing:+f} unexplained ({figures})"
                found.append(Unexplained(one.wallet, one.asset, missing, words))
            else:
                self._suspected[place] = missing
        return found

    def _traded(self) -> Mapping[_Place, Decimal]:
        return {(one.wallet, one.asset): one.total for one in self._accounts.balances()}


def _trade(instrument: Instrument, quantity: Decimal, price: Decimal) -> Fill:
    """That makes a position what it is: no cash of it counts, since `begin` measures what lies beside it."""
    return Fill(
        fill_id="",
        client_order_id="",
        instrument=instrument,
        side=Side.BUY if quantity > 0 else Side.SELL,
        price=price,
        quantity=abs(quantity),
        fee=_NOTHING,
        fee_asset=cash_asset(instrument),
        is_maker=False,
        ts_event_ns=0,
    )
