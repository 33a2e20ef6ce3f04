"""Where Bybit is: its own hosts, or those of its testnet, unless the settings name others; and what a 403 means."""

from bot.domain.instrument import Feed
from bot.settings import Settings
from exchanges.bybit import hosts
from exchanges.common.requests.own_hosts import configured

FORBIDDEN = (
    "refused with HTTP 403. Bybit says so for two reasons: it does not serve this place (the USA and others), or this "
    "IP address sent more than 600 requests in 5 s and has to be silent for 10 minutes"
)


def rest_url(feed: Feed, settings: Settings) -> str:
    """Base of the REST interface, without a slash at the end."""
    own = hosts.TEST_REST if settings.market == "testnet" else hosts.REST
    return (configured(feed, settings).rest_url or own).rstrip("/")


def stream_url(feed: Feed, settings: Settings) -> str:
    """The public stream of the feed's segment."""
    own = hosts.TEST_STREAM if settings.market == "testnet" else hosts.STREAM
    base = (configured(feed, settings).stream_url or own).rstrip("/")
    return f"{base}/v5/public/{feed.segment}"
