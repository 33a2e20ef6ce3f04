"""Funding: of one symbol from ticker snapshots and partial deltas, and the schedules of all, from REST.

Sources: https://bybit-exchange.github.io/docs/v5/market/instrument and .../market/tickers.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument
from bot.domain.market import FundingRate
from bot.domain.terms import Told
from exchanges.bybit.schemas import TickerFrame
from exchanges.common.told import by_key, read_each

_MARK_EVERY_NS = 1_000_000_000
_MS = 1_000_000
_MINUTE_S = 60.0
_HOUR_MIN = 60


class FundingState:
    """Remembers what the newest ticker said of each field, and what of it has been delivered."""

    __slots__ = ("_delivered", "_delivered_ns", "_interval_h", "_mark_price", "_next_funding_ns", "_rate")

    def __init__(self) -> None:
        self._forget()
        self._delivered: FundingRate | None = None
        self._delivered_ns = 0

    def update(self, frame: TickerFrame, ts_recv_ns: int) -> FundingRate | None:
        """The funding rate if something of it is new; a mark price alone is new once a second (tickers come ten
        times as often). None also while the rate or its settlement time is unknown.
        """
        if frame.type == "snapshot":
            self._forget()
        self._take(frame)
        if self._rate is None or self._next_funding_ns is None:
            return None
        funding = FundingRate(
            rate=self._rate,
            next_funding_ns=self._next_funding_ns,
            interval_h=self._interval_h,
            mark_price=self._mark_price,
            ts_event_ns=frame.ts_ns,
        )
        return self._if_new(funding, ts_recv_ns)

    def _forget(self) -> None:
        self._rate: float | None = None
        self._next_funding_ns: int | None = None
        self._interval_h: float | None = None
        self._mark_price: float | None = None

    def _take(self, frame: TickerFrame) -> None:
        if frame.rate is not None:
            self._rate = frame.rate
        if frame.next_funding_ns is not None:
            self._next_funding_ns = frame.next_funding_ns
        if frame.interval_h is not None:
            self._interval_h = frame.interval_h
        if frame.mark_price is not None:
            self._mark_price = frame.mark_price

    def _if_new(self, funding: FundingRate, ts_recv_ns: int) -> FundingRate | None:
        last = self._delivered
        if last is not None and _terms(funding) == _terms(last):
            mark_is_due = ts_recv_ns - self._delivered_ns >= _MARK_EVERY_NS
            if funding.mark_price == last.mark_price or not mark_is_due:
                return None
        self._delivered = funding
        self._delivered_ns = ts_recv_ns
        return funding


def _terms(funding: FundingRate) -> tuple[float, int, float | None]:
    return funding.rate, funding.next_funding_ns, funding.interval_h


_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _ScheduleRow(BaseModel):
    """What a ticker and a row of `instruments-info` say of one perpetual, joined."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    rate: _Finite = Field(validation_alias="fundingRate")
    next_funding_ms: Annotated[int, Field(gt=0, lt=2**63 // _MS)] = Field(validation_alias="nextFundingTime")
    mark_price: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(validation_alias="markPrice")
    interval_h: _Finite | None = Field(default=None, validation_alias="fundingIntervalHour")
    """Of the ticker, since 2026."""
    interval_min: _Finite = Field(validation_alias="fundingInterval")
    cap: _Finite = Field(validation_alias="upperFundingRate")
    floor: _Finite = Field(validation_alias="lowerFundingRate")

    @model_validator(mode="after")
    def _agrees(self) -> "_ScheduleRow":
        if self.interval_h is not None and self.interval_h * _HOUR_MIN != self.interval_min:
            raise ValueError("the ticker and instruments-info name different funding intervals")
        return self


def funding_terms(
    listed: Mapping[str, Instrument], tickers: list[Any], infos: list[Any], venue_ns: int
) -> Told[FundingTerms]:
    """The terms of each instrument of `listed` (by Bybit's symbol), by its id.

    Args:
        listed: The perpetuals that are wanted.
        tickers: Rows of `market/tickers`.
        infos: Rows of `market/instruments-info`.
        venue_ns: When they were sent, by Bybit's clock, UTC ns: ours may be off.
    """
    by_symbol, schedules = by_key(tickers, "symbol"), by_key(infos, "symbol")

    def read(_: str, row: Any) -> FundingTerms:
        joined = _ScheduleRow.model_validate(row)
        return FundingTerms(
            rate=joined.rate,
            interval_s=joined.interval_min * _MINUTE_S,
            next_funding_ns=joined.next_funding_ms * _MS,
            cap=joined.cap,
            floor=joined.floor,
            mark_price=joined.mark_price,
            ts_ns=venue_ns,
        )

    ids = {instrument.id: symbol for symbol, instrument in listed.items()}
    rows = {
        name: {**schedules[symbol], **by_symbol[symbol]}
        for name, symbol in ids.items()
        if symbol in by_symbol and symbol in schedules
    }
    return read_each(ids, rows, read, venue_ns)
