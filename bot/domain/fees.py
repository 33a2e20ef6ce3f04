"""What a venue charges for a trade."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Side


class FeeSchedule(BaseModel):
    """Maker and taker rates of one feed, in bps of notional; negative is a rebate."""

    model_config = ConfigDict(frozen=True)

    feed: Feed
    maker_bps: Decimal
    taker_bps: Decimal
    source: str
    """`settings`, `published lowest tier`, or `account`: shown beside every figure that uses it."""


def fee_asset(instrument: Instrument, side: Side) -> str:
    """The asset that the venue takes the fee in, fee tokens aside.

    Spot takes it from what is received (Binance and Bybit alike); a derivative from the settle asset.
    """
    if instrument.segment is Segment.SPOT:
        return instrument.base if side is Side.BUY else instrument.quote
    assert instrument.settle is not None, f"{instrument.id}: a derivative settles in something"
    return instrument.settle
