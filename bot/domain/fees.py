"""What a venue charges for a trade."""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Side


class FeeSource(StrEnum):
    """Who said what a trade costs: shown beside every figure that uses it."""

    ACCOUNT = "account"
    """The venue, for this account."""
    PUBLISHED = "published"
    """The venue's price list: its lowest tier, unless the schedule names another."""
    SETTING = "setting"


def _of_earlier_words(word: object) -> object:
    # What runs before this version wrote: `settings`, `published lowest tier`, `published vip3`.
    if word in ("", "settings"):
        return FeeSource.SETTING
    return FeeSource.PUBLISHED if isinstance(word, str) and word.startswith("published ") else word


def _short(bps: Decimal) -> Decimal:
    """Without the zeros that a ratio in percent brings along: a rate is shown as it stands here."""
    return Decimal(f"{bps.normalize():f}") if bps else Decimal(0)


_Bps = Annotated[Decimal, Field(allow_inf_nan=False), AfterValidator(_short)]


class FeeSchedule(BaseModel):
    """Maker and taker rates of one feed, in bps of notional, before any discount; negative is a rebate."""

    model_config = ConfigDict(frozen=True)

    feed: Feed
    maker_bps: _Bps
    taker_bps: _Bps
    source: Annotated[FeeSource, BeforeValidator(_of_earlier_words)]
    tier: str = ""
    """As the venue calls it; empty where it was not told."""
    token: str | None = None
    """The venue's own asset that this account pays fees in; None: it pays as `fee_asset` says."""
    token_discount: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    """Share of a fee that paying in `token` saves: 0.1 is a tenth. Rebates are not made smaller."""
    ts_ns: int | None = None
    """When it was told, UTC ns; None for what does not age: settings and price lists."""

    def rate_bps(self, *, is_maker: bool) -> Decimal:
        """Of one trade, in bps of notional, before any discount."""
        return self.maker_bps if is_maker else self.taker_bps

    def discount_bps(self, *, is_maker: bool) -> Decimal:
        """What paying in the token changes, in bps of notional: negative, for it is a cost that is saved; 0 without."""
        return -max(Decimal(0), self.rate_bps(is_maker=is_maker)) * self.token_discount

    def charged_bps(self, *, is_maker: bool) -> Decimal:
        """What a trade is charged in the end, in bps of notional, in whatever asset: the discount is taken off."""
        return self.rate_bps(is_maker=is_maker) + self.discount_bps(is_maker=is_maker)

    @property
    def words(self) -> str:
        """Source and tier, for a person: `account`, `published, Regular User`."""
        return f"{self.source}, {self.tier}" if self.tier else str(self.source)


FeesOf = Callable[[Instrument], FeeSchedule | None]
"""What a trade on an instrument costs at the moment of the call; None where that is not known."""


class FeeTier(BaseModel):
    """One row of a venue's price list of one feed."""

    model_config = ConfigDict(frozen=True)

    name: str
    """As the venue calls it: `VIP 3`."""
    maker_bps: _Bps
    taker_bps: _Bps
    as_of: str
    """Date of the price list, ISO; one without a date says when it was read."""
    url: str
    """Where it stands."""

    def schedule(self, feed: Feed) -> FeeSchedule:
        """The fees of an account on this tier."""
        return FeeSchedule(
            feed=feed, maker_bps=self.maker_bps, taker_bps=self.taker_bps, source=FeeSource.PUBLISHED, tier=self.name
        )


def is_own_asset(instrument: Instrument, asset: str) -> bool:
    """Whether a fee in `asset` can be counted in trades of `instrument` by their own prices: a venue's token cannot."""
    return asset in (instrument.base, instrument.quote)


def fee_asset(instrument: Instrument, side: Side) -> str:
    """The asset that the venue takes the fee in, fee tokens aside.

    Spot takes it from what is received (Binance and Bybit alike); a derivative from the settle asset.
    """
    if instrument.segment is Segment.SPOT:
        return instrument.base if side is Side.BUY else instrument.quote
    assert instrument.settle is not None, f"{instrument.id}: a derivative settles in something"
    return instrument.settle
