"""What a derivative position has booked, all of it and since it was opened: profit, fees, funding."""

from dataclasses import dataclass, field
from decimal import Decimal

from bot.matching.cash import exact, share

_NOTHING = Decimal(0)


@dataclass(slots=True)
class Earned:
    """Sums of one span of time, in the settle asset."""

    realised: Decimal = _NOTHING
    fees: Decimal = _NOTHING
    """Positive is paid; what was paid in the venue's token at the token's price."""
    funding: Decimal = _NOTHING
    """Positive was received."""

    @property
    @exact
    def net(self) -> Decimal:
        """Everything together."""
        return self.realised - self.fees + self.funding

    @exact
    def add(self, realised: Decimal, fee: Decimal) -> None:
        """What a fill booked."""
        self.realised += realised
        self.fees += fee


@dataclass(slots=True)
class Earnings:
    """One listing's."""

    ever: Earned = field(default_factory=Earned)
    own: Earned = field(default_factory=Earned)
    """Of the position that is open now: begins anew when it is flat or turns round."""

    def fill(self, realised: Decimal, fee: Decimal, *, opened: Decimal, traded: Decimal, held: Decimal) -> None:
        """Book a fill of `traded`, of which `opened` did not close anything; `held` is the size after it."""
        self.ever.add(realised, fee)
        if not held:
            self.own = Earned()
        elif opened == held:
            # A position of its own from here on: the closing part of the fee was the old one's.
            self.own = Earned(fees=share(fee, opened, traded))
        else:
            self.own.add(realised, fee)

    @exact
    def fund(self, amount: Decimal) -> None:
        """Book a funding settlement; + was received."""
        self.ever.funding += amount
        self.own.funding += amount
