"""Fees and funding of a run: what the settings say, over what the venues tell."""

from collections.abc import Iterator, Mapping, Sequence

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Segment
from bot.settings import Settings


def effective_fees(feed: Feed, told: FeeSchedule | None, settings: Settings) -> FeeSchedule | None:
    """Fees of a feed: the settings override what the venue tells, each rate for itself; None where one is unknown.

    A rate that is set is what is paid: no token makes it cheaper.
    """
    own = settings.fees.get(feed.venue, {}).get(feed.segment)
    if own is None or (own.maker_bps is None and own.taker_bps is None):
        return told
    maker = own.maker_bps if own.maker_bps is not None else told.maker_bps if told else None
    taker = own.taker_bps if own.taker_bps is not None else told.taker_bps if told else None
    if maker is None or taker is None:
        return None
    return FeeSchedule(feed=feed, maker_bps=maker, taker_bps=taker, source=FeeSource.SETTING)


class FeeBook(Mapping[Feed, FeeSchedule]):
    """The fees of each feed as they are now: it follows the mapping it was made over. Unknown ones are left out."""

    def __init__(self, feeds: Sequence[Feed], told: Mapping[Feed, FeeSchedule], settings: Settings) -> None:
        """Fees of `feeds`; `told` is what the venues tell, and may change."""
        self._feeds = dict.fromkeys(feeds)
        self._told = told
        self._settings = settings

    def __getitem__(self, feed: Feed) -> FeeSchedule:
        found = effective_fees(feed, self._told.get(feed), self._settings) if feed in self._feeds else None
        if found is None:
            raise KeyError(feed)
        return found

    def __iter__(self) -> Iterator[Feed]:
        return (feed for feed in self._feeds if effective_fees(feed, self._told.get(feed), self._settings) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def fee_schedules(
    feeds: Sequence[Feed], published: Mapping[Feed, FeeSchedule], settings: Settings
) -> Mapping[Feed, FeeSchedule]:
    """Fees of each feed as they are now: the settings over `published`, which may change; unknown is left out."""
    return FeeBook(feeds, published, settings)


def assumed_funding(feeds: Sequence[Feed], settings: Settings) -> dict[Feed, float]:
    """Funding that the settings assume, bps per 8 h, for feeds of perpetuals."""
    assumed = {}
    for feed in feeds:
        own = settings.funding.get(feed.venue, {}).get(feed.segment)
        if feed.segment is not Segment.SPOT and own is not None and own.assumed_bps_per_8h is not None:
            assumed[feed] = float(own.assumed_bps_per_8h)
    return assumed
