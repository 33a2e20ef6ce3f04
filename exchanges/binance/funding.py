"""Funding schedules of USDⓈ-M perpetuals, from `premiumIndex` and `fundingInfo`.

Sources: https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Mark-Price and
.../Get-Funding-Rate-Info, which lists only the symbols whose interval, cap or floor was adjusted: every other one
settles each eight hours, and its bounds are not told.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument
from bot.domain.terms import Told
from bot.errors import VenueUnavailable
from exchanges.binance.endpoints import VENUE
from exchanges.binance.schemas import Finite, MsAsNs
from exchanges.common.told import by_key, read_each

_USUAL_H = 8.0
_HOUR_S = 3600.0
_OLD_NS = 300_000_000_000


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class PremiumRow(_Row):
    """A row of `premiumIndex`."""

    rate: Finite = Field(validation_alias="lastFundingRate")
    next_funding_ns: MsAsNs = Field(validation_alias="nextFundingTime")
    mark_price: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(validation_alias="markPrice")
    ts_ns: MsAsNs = Field(validation_alias="time")
    newest_ns: MsAsNs = Field(validation_alias="newest")
    """The newest `time` of the answer: by Binance's clock, since ours may be off."""

    @model_validator(mode="after")
    def _is_of_now(self) -> "PremiumRow":
        if self.newest_ns - self.ts_ns > _OLD_NS:
            raise ValueError("time: minutes behind the other symbols")
        return self


class ScheduleRow(_Row):
    """A row of `fundingInfo`: all of it, or it is wrong."""

    cap: Finite = Field(validation_alias="adjustedFundingRateCap")
    floor: Finite = Field(validation_alias="adjustedFundingRateFloor")
    interval_h: Finite = Field(validation_alias="fundingIntervalHours")


def funding_terms(
    listed: Mapping[str, Instrument], premiums: object, schedules: object, now_ns: int
) -> Told[FundingTerms]:
    """The terms of each instrument of `listed` (by Binance's symbol), by its id.

    Args:
        listed: The perpetuals that are wanted.
        premiums: The answer of `premiumIndex` without a symbol.
        schedules: The answer of `fundingInfo`.
        now_ns: When they came, UTC ns.

    Raises:
        VenueUnavailable: If an answer is no list, or none of all the schedules is there.
    """
    if not isinstance(premiums, list) or not isinstance(schedules, list) or not schedules:
        # An empty list would make every interval the usual one, whatever it is.
        raise VenueUnavailable(VENUE, "premiumIndex or fundingInfo has no rows")
    by_symbol, adjusted = by_key(premiums, "symbol"), by_key(schedules, "symbol")
    newest_ms = max((row["time"] for row in by_symbol.values() if isinstance(row.get("time"), int)), default=0)

    def read(_: str, rows: tuple[Any, Any]) -> FundingTerms:
        premium = PremiumRow.model_validate({**rows[0], "newest": newest_ms})
        schedule = None if rows[1] is None else ScheduleRow.model_validate(rows[1])
        return FundingTerms(
            rate=premium.rate,
            interval_s=(schedule.interval_h if schedule else _USUAL_H) * _HOUR_S,
            next_funding_ns=premium.next_funding_ns,
            cap=schedule.cap if schedule else None,
            floor=schedule.floor if schedule else None,
            mark_price=premium.mark_price,
            ts_ns=premium.ts_ns,
        )

    ids = {instrument.id: symbol for symbol, instrument in listed.items()}
    rows = {name: (by_symbol[symbol], adjusted.get(symbol)) for name, symbol in ids.items() if symbol in by_symbol}
    return read_each(ids, rows, read, now_ns)
