"""What holding a perpetual pays, when, and between which bounds: the venue's own schedule of one instrument."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.domain.market import FundingRate

_NS = 1_000_000_000
_HOUR_S = 3600.0
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class FundingTerms(BaseModel):
    """Funding of one perpetual as its venue tells it. Rates are ratios per interval; positive: longs pay shorts."""

    model_config = ConfigDict(frozen=True)

    rate: Annotated[float, Field(ge=-0.1, le=0.1, allow_inf_nan=False)]
    """Of the next settlement. A tenth in one interval is more than any venue allows: such a figure is wrong."""
    interval_s: Annotated[float, Field(gt=0, le=86_400)]
    next_funding_ns: Annotated[int, Field(gt=0)]
    """By the venue's clock."""
    cap: _Finite | None = None
    """The highest rate that the venue's rules allow; None where it does not tell."""
    floor: _Finite | None = None
    """The lowest."""
    mark_price: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    ts_ns: int
    """When it was told, UTC ns."""

    @model_validator(mode="after")
    def _is_possible(self) -> "FundingTerms":
        if self.cap is not None and self.floor is not None and self.floor > self.cap:
            raise ValueError("the lowest funding rate is above the highest")
        ahead_s = (self.next_funding_ns - self.ts_ns) / _NS
        # A venue may still name the settlement of this second; further off, one of the two figures is wrong.
        if not -self.interval_s < ahead_s <= self.interval_s + 60:
            raise ValueError("the next settlement does not fit the interval")
        return self

    @property
    def bounded_rate(self) -> float:
        """The rate, within the cap and the floor."""
        high = self.rate if self.cap is None else min(self.rate, self.cap)
        return high if self.floor is None else max(high, self.floor)

    @property
    def bps_per_h(self) -> float:
        """What a long pays per hour, in bps, spread evenly over the interval."""
        return self.bounded_rate * 1e4 * _HOUR_S / self.interval_s

    def settlements(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """The settlements in (`after_ns`, `until_ns`], by the venue's clock; each is one interval from the last."""
        step_ns = round(self.interval_s * _NS)
        behind = max(0, (after_ns - self.next_funding_ns) // step_ns + 1)
        first_ns = self.next_funding_ns + behind * step_ns
        return tuple(range(first_ns, until_ns + 1, step_ns))

    def as_rate(self) -> FundingRate:
        """The same in the shape of the streams."""
        return FundingRate(
            rate=self.rate,
            next_funding_ns=self.next_funding_ns,
            interval_h=self.interval_s / _HOUR_S,
            mark_price=self.mark_price,
            ts_event_ns=self.ts_ns,
        )


def on_schedule(funding: FundingRate, before: FundingTerms | None) -> FundingTerms | None:
    """A rate with the interval and the bounds that are known; None where no interval is, or they do not fit."""
    interval_s = funding.interval_h * _HOUR_S if funding.interval_h else before.interval_s if before else None
    if interval_s is None:
        return None
    try:
        return FundingTerms(
            rate=funding.rate,
            interval_s=interval_s,
            next_funding_ns=funding.next_funding_ns,
            cap=before.cap if before else None,
            floor=before.floor if before else None,
            mark_price=funding.mark_price,
            ts_ns=funding.ts_event_ns,
        )
    except ValidationError:
        return None
