"""Where Bybit is: its own hosts unless the settings name others; and what it means when one says 403."""

from bot.domain.instrument import Feed
from bot.settings import Settings
from exchanges.common.own_hosts import configured

_REST = "https://api.bybit.com"
_STREAM = "wss://stream.bybit.com"

FORBIDDEN = (
    "refused with HTTP 403. Bybit says so for two reasons: it does not serve this place (the USA and others), or this "
    "IP address sent more than 600 requests in 5 s and has to be silent for 10 minutes"
)


def rest_url(feed: Feed, settings: Settings) -> str:
    """Base of the REST interface, without a slash at the end."""
    return (configured(feed, settings).rest_url or _REST).rstrip("/")


def stream_url(feed: Feed, settings: Settings) -> str:
    """The public stream of the feed's segment."""
    base = (configured(feed, settings).stream_url or _STREAM).rstrip("/")
    return f"{base}/v5/public/{feed.segment}"
