"""One derivative position: one-way, so a trade against it closes first and opens the other way with the rest."""

from decimal import Decimal

from bot.domain.account import Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.matching.cash import cash_flow, exact, ratio, share

_NOTHING = Decimal(0)


class OpenPosition:
    """What is held, what it cost, and what it has earned.

    The cost is kept as the sum of the opening cash flows and not as an average price, which most sums have no exact
    decimal for: `Σ cash_flow = realised + entry_flow` holds to the last digit at any time.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.quantity = _NOTHING
        """Signed, venue units; + is long."""
        self.entry_flow = _NOTHING
        """Cash flow of what is open: negative for a linear long. In the settle asset."""
        self.realised = _NOTHING
        """Profit booked so far, in the settle asset, without fees and funding."""

    def opening_part(self, side: Side, quantity: Decimal) -> Decimal:
        """How much of a trade would increase the position or turn it round; the rest reduces it."""
        against = self.quantity * side.sign < 0
        return max(_NOTHING, quantity - abs(self.quantity)) if against else quantity

    @exact
    def trade(self, side: Side, price: Decimal, quantity: Decimal) -> Decimal:
        """Change the position by one fill; returns the profit that it realises, in the settle asset."""
        opening = self.opening_part(side, quantity)
        closing = quantity - opening
        flow = cash_flow(self.instrument, side, price, quantity)
        closing_flow = flow if opening == 0 else cash_flow(self.instrument, side, price, closing)
        profit = closing_flow + self._release(closing) if closing else _NOTHING
        self.entry_flow += flow - closing_flow
        self.quantity += side.sign * quantity
        self.realised += profit
        return profit

    def _release(self, closing: Decimal) -> Decimal:
        held = abs(self.quantity)
        released = self.entry_flow if closing == held else share(self.entry_flow, closing, held)
        self.entry_flow -= released
        return released

    @property
    def average_price(self) -> Decimal:
        """Of what is open, quote units; 0 when flat."""
        if self.quantity == 0 or self.entry_flow == 0:
            return _NOTHING
        contracts = abs(self.quantity) * self.instrument.contract_multiplier
        if self.instrument.segment is Segment.INVERSE:
            return ratio(contracts, abs(self.entry_flow))
        return ratio(abs(self.entry_flow), contracts)

    def view(self) -> Position:
        """It as a value."""
        return Position(
            instrument=self.instrument,
            quantity=self.quantity,
            average_price=self.average_price,
            realised=self.realised,
        )
