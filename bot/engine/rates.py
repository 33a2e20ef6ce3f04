"""Fees and funding of a run: what the settings say, over what the venues publish."""

from collections.abc import Mapping, Sequence

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Segment
from bot.settings import Settings


def fee_schedules(
    feeds: Sequence[Feed], published: Mapping[Feed, FeeSchedule], settings: Settings
) -> dict[Feed, FeeSchedule]:
    """Fees of each feed: the settings override what the venue publishes, each rate for itself; unknown is left out."""
    schedules = {}
    for feed in feeds:
        own = settings.fees.get(feed.venue, {}).get(feed.segment)
        base = published.get(feed)
        maker = own.maker_bps if own and own.maker_bps is not None else base.maker_bps if base else None
        taker = own.taker_bps if own and own.taker_bps is not None else base.taker_bps if base else None
        if maker is None or taker is None:
            continue
        overridden = own is not None and (own.maker_bps is not None or own.taker_bps is not None)
        source = "settings" if overridden or base is None else base.source
        schedules[feed] = FeeSchedule(feed=feed, maker_bps=maker, taker_bps=taker, source=source)
    return schedules


def assumed_funding(feeds: Sequence[Feed], settings: Settings) -> dict[Feed, float]:
    """Funding that the settings assume, bps per 8 h, for feeds of perpetuals."""
    assumed = {}
    for feed in feeds:
        own = settings.funding.get(feed.venue, {}).get(feed.segment)
        if feed.segment is not Segment.SPOT and own is not None and own.assumed_bps_per_8h is not None:
            assumed[feed] = float(own.assumed_bps_per_8h)
    return assumed
