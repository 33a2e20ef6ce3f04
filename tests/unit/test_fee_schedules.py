"""Rates as they stand on screens and in reports."""

from decimal import Decimal

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Segment


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("40.000", "40"),
        ("25.0000", "25"),
        ("4E+1", "40"),
        ("100", "100"),
        ("-0.50", "-0.5"),
        ("-0.000", "0"),
        ("3.2", "3.2"),
    ],
)
def test_a_rate_is_shown_without_padding_zeros(told: str, shown: str) -> None:
    rate = Decimal(told)
    spot = Feed(venue="kraken", segment=Segment.SPOT)
    fees = FeeSchedule(feed=spot, maker_bps=rate, taker_bps=rate, source=FeeSource.PUBLISHED)
    assert (fees.maker_bps, fees.taker_bps) == (rate, rate)
    assert f"{fees.taker_bps} {fees.maker_bps:f}" == f"{shown} {shown}"
