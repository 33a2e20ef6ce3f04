"""Cash conservation: what each asset of each wallet must be, from a start on, by fills, fees and funding alone.

Between two quiet moments a balance changes by what was traded, less fees in their own asset, plus funding, and by what
transfers took and brought (and by money that a person moves). Anything else is a fill that nobody counted, or a charge
that nobody knows: it is told, once, with its figure, and counted from there on.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.account import Balance, FundingPayment
from bot.domain.instrument import Instrument
from bot.domain.order import Fill
from bot.matching.accounts import Accounts
from bot.matching.cash import exact

_NOTHING = Decimal(0)
_DIGIT = Decimal("1e-8")
"""The last digit that venues tell of a balance; trades move finer ones: 0.0351 ETH at 0.03712 BTC has nine."""
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
        self._accepted: set[_Place] = set()

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
        """Take what is told next of an asset as it is."""
        self._accepted.add((wallet, asset))

    @exact
    def begin(self, told: Iterable[Balance]) -> None:
        """Take what lies there now as it is."""
        traded = self._traded()
        self._beside = {
            (one.wallet, one.asset): one.total - traded.get((one.wallet, one.asset), _NOTHING) for one in told
        }

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
            if one.asset in moving or abs(missing) < _DIGIT:
                continue
            if missing and place in self._accepted:
                self._beside[place] = self._beside.get(place, _NOTHING) + missing
            elif missing and suspected.get(place) == missing:
                self._beside[place] = self._beside.get(place, _NOTHING) + missing
                figures = f"{one.total:f} told, {expected:f} by fills, fees, funding and transfers"
                words = f"{one.wallet} {one.asset}: {missing:+f} unexplained ({figures})"
                found.append(Unexplained(one.wallet, one.asset, missing, words))
            elif missing:
                self._suspected[place] = missing
            self._accepted.discard(place)
        return found

    def _traded(self) -> Mapping[_Place, Decimal]:
        return {(one.wallet, one.asset): one.total for one in self._accounts.balances()}
