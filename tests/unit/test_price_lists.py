"""The venues' published fee tiers: each row with its source, cheaper from row to row, and reached by the break-even."""

import itertools
import re
from decimal import Decimal

import pytest

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from exchanges.price_lists import PRICE_LISTS
from exchanges.registry import all_venues

D = Decimal


@pytest.mark.parametrize("feed", PRICE_LISTS, ids=str)
def test_a_price_list_is_sourced_and_never_dearer_above(feed: Feed) -> None:
    rows = PRICE_LISTS[feed]
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.url.startswith("http")
        assert re.search(r"20\d\d", row.as_of)
        assert 0 <= row.maker_bps <= row.taker_bps < 130
    for low, high in itertools.pairwise(rows):
        assert (high.maker_bps, high.taker_bps) != (low.maker_bps, low.taker_bps)
        assert high.maker_bps <= low.maker_bps
        assert high.taker_bps <= low.taker_bps


@pytest.mark.parametrize("feed", PRICE_LISTS, ids=str)
def test_the_lowest_tier_is_what_is_charged_where_nobody_can_be_asked(feed: Feed) -> None:
    published = all_venues()[feed.venue].published_fees(feed)
    assert published is not None
    lowest = PRICE_LISTS[feed][0]
    assert (published.maker_bps, published.taker_bps) == (lowest.maker_bps, lowest.taker_bps)


@pytest.mark.parametrize(
    ("feed", "name", "maker", "taker"),
    [
        ("binance.spot", "VIP 3", "4.2", "6"),
        ("bybit.spot", "VIP 3", "6.25", "7.5"),
        ("bybit.spot", "Supreme VIP", "3", "4.5"),
        ("kraken.spot", "above 50,000 USD", "14", "24"),
    ],
)
def test_rows_as_their_sources_print_them(feed: str, name: str, maker: str, taker: str) -> None:
    rows = next(rows for one, rows in PRICE_LISTS.items() if str(one) == feed)
    (row,) = [one for one in rows if one.name == name]
    assert isinstance(row, FeeTier)
    assert (row.maker_bps, row.taker_bps) == (D(maker), D(taker))


def test_nothing_is_shown_of_a_venue_whose_list_is_not_known() -> None:
    assert not [feed for feed in PRICE_LISTS if feed.venue == "coinbase"]
