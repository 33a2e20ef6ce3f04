"""What this account pays at Bybit for a trade.

Source: https://bybit-exchange.github.io/docs/v5/account/fee-rate.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument
from bot.domain.terms import Told
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.told import bps_of, by_key, read_each

Rate = Annotated[Decimal, Field(ge=Decimal("-0.002"), le=Decimal("0.02"), allow_inf_nan=False)]
"""As a ratio. Two percent is more than any tier has ever cost: such a figure is of another unit."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class FeeRates(_Row):
    """A row of `account/fee-rate`."""

    maker: Rate = Field(validation_alias="makerFeeRate")
    taker: Rate = Field(validation_alias="takerFeeRate")


class _FeePage(_Row):
    rows: list[Any] = Field(validation_alias="list")


async def account_fees(
    rest: SignedRest, feed: Feed, listed: Mapping[str, Instrument], now_ns: int
) -> Told[FeeSchedule]:
    """Fees of a feed, by instrument id; `listed` is by Bybit's symbol. Bybit has no fee token for API trades.

    Raises:
        VenueError: Bybit cannot be asked, or refuses.
    """
    page = await rest.read("/v5/account/fee-rate", _FeePage, {"category": str(feed.segment)})
    rows = by_key(page.rows, "symbol")

    def read(_: str, row: Any) -> FeeSchedule:
        rates = FeeRates.model_validate(row)
        return FeeSchedule(
            feed=feed,
            maker_bps=bps_of(rates.maker),
            taker_bps=bps_of(rates.taker),
            source=FeeSource.ACCOUNT,
            ts_ns=now_ns,
        )

    by_id = {instrument.id: rows[symbol] for symbol, instrument in listed.items() if symbol in rows}
    return read_each((instrument.id for instrument in listed.values()), by_id, read, now_ns)
