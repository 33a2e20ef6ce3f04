"""What we have at a venue, in `Decimal`."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Instrument
from bot.domain.margin import PositionMargin


class Balance(BaseModel):
    """One asset in one wallet. A wallet is where collateral lies: `binance.spot`, `binance.linear`, `bybit.unified`."""

    model_config = ConfigDict(frozen=True)

    wallet: str
    asset: str
    total: Decimal
    locked: Decimal = Decimal(0)

    @property
    def available(self) -> Decimal:
        """What a new order may use."""
        return self.total - self.locked


class Position(BaseModel):
    """What we hold of a derivative: signed quantity in the venue's unit, + is long."""

    model_config = ConfigDict(frozen=True)

    instrument: Instrument
    quantity: Decimal
    average_price: Decimal
    """Quote units; 0 when flat."""
    realised: Decimal = Decimal(0)
    """Profit already booked to the wallet, in the settle asset, without fees and funding."""
    margin: PositionMargin | None = None
    """The venue's own figures; None where it tells none, or has not told them since the position changed."""


class FundingPayment(BaseModel):
    """One funding settlement of one position."""

    model_config = ConfigDict(frozen=True)

    instrument: Instrument
    wallet: str
    asset: str
    amount: Decimal
    """In `asset`; positive was received, negative was paid."""
    quantity: Decimal
    """The position that it was settled on: signed, venue units."""
    rate: Decimal
    """As a ratio; positive means longs pay. 0 beside an amount, as `mark_price`: the venue has not told it by then."""
    mark_price: Decimal
    ts_ns: int
