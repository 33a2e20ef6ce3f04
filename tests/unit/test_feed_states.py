"""What a feed of several connections says of itself; the feed and its state are told beside the words."""

from bot.domain.instrument import Feed, Segment
from bot.ports import FeedState
from exchanges.common.market.feed_state import FeedStates

LINEAR = Feed(venue="binance", segment=Segment.LINEAR)


def test_the_feed_is_named_once_and_so_is_a_state_that_is_the_whole_feeds() -> None:
    told: list[tuple[FeedState, str]] = []
    states = FeedStates(LINEAR, lambda state, words: told.append((state, words)))
    public, market = states.of("binance.linear /public"), states.of("binance.linear /market")
    public(FeedState.CONNECTING, "btcusdt@bookTicker")
    market(FeedState.CONNECTING, "btcusdt@markPrice")
    public(FeedState.LIVE, "btcusdt@bookTicker")
    market(FeedState.LIVE, "btcusdt@markPrice")
    assert told == [
        (FeedState.CONNECTING, "/public: btcusdt@bookTicker"),
        (FeedState.CONNECTING, "/market: btcusdt@markPrice"),
        (FeedState.CONNECTING, "/public live: btcusdt@bookTicker"),
        (FeedState.LIVE, "/market: btcusdt@markPrice"),
    ]
