"""Settings of what is looked at and not traded: the break-even surface, and the scan over all instruments."""

from typing import Annotated

from pydantic import Field

from bot.settings.section import SEGMENT_PATTERN, VENUE_PATTERN, Positive, Section

FEED_PATTERN = VENUE_PATTERN.removesuffix("$") + r"\." + SEGMENT_PATTERN.removeprefix("^")
FeedName = Annotated[str, Field(pattern=FEED_PATTERN)]


class BreakEvenSettings(Section):
    """What each route needs and is offered, size by size."""

    notionals: list[Positive] = Field(
        default=[100.0, 1_000.0, 10_000.0, 100_000.0],
        min_length=1,
        max_length=16,
        description="Sizes that are priced, quote units of the first trade.",
    )
    refresh_s: Positive = Field(
        default=2.0, description="A route is priced anew after this time, while somebody looks."
    )


class ScanSettings(Section):
    """`--mode scan`: what two venues list both, ranked."""

    feeds: list[FeedName] = Field(
        default_factory=list, description="Feeds (binance.spot) that are scanned; none: every one that can be read."
    )
    rows: int = Field(default=20, gt=0, description="Shown, the best ones; --limit shows others.")
    refresh_s: Positive = Field(default=2.0, description="Between two rankings.")
    holding_days: Positive = Field(
        default=30.0, description="Carry and funding are priced over this time: the mean of how long it is held."
    )
    suspect_pct: Positive = Field(
        default=5.0, description="Prices that differ by more are SUSPECT: another coin under the same ticker."
    )
    max_age_s: Positive = Field(
        default=120.0, description="An older quote is stale; venues say nothing where nothing changes."
    )
