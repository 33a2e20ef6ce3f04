"""Where Binance is: its own hosts, or those of its test systems, unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from bot.errors import SettingsError
from bot.settings import Settings
from exchanges.binance import hosts
from exchanges.common.requests.own_hosts import configured

VENUE = "binance"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)
LINEAR = Feed(venue=VENUE, segment=Segment.LINEAR)
INVERSE = Feed(venue=VENUE, segment=Segment.INVERSE)

REFUSED = {
    451: "Binance does not serve this place (HTTP 451)",
    403: "Binance's firewall refuses this address (HTTP 403)",
}


def rest_url(feed: Feed, settings: Settings) -> str:
    """Base of the REST interface (`/api` or `/fapi` follows), without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    return _base(feed, configured(feed, settings).rest_url, settings, hosts.REST, hosts.TEST_REST)


def stream_url(feed: Feed, settings: Settings) -> str:
    """Base of the public streams, without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    return _base(feed, configured(feed, settings).stream_url, settings, hosts.STREAM, hosts.TEST_STREAM)


def private_url(feed: Feed, settings: Settings) -> str:
    """Base of the private streams: spot's are on the WebSocket API, which has a host of its own.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    return _base(feed, configured(feed, settings).stream_url, settings, hosts.PRIVATE, hosts.TEST_PRIVATE)


def order_socket_url(feed: Feed, settings: Settings) -> str:
    """Base of the WebSocket API that takes orders, without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be traded.
    """
    return _base(feed, configured(feed, settings).stream_url, settings, hosts.ORDERS, hosts.TEST_ORDERS)


def _base(feed: Feed, named: str | None, settings: Settings, own: hosts.Hosts, test: hosts.Hosts) -> str:
    found = test if settings.market == "testnet" else own
    if feed.segment not in found:
        raise SettingsError(f"{feed} is decoded from recordings only; live feeds are {SPOT} and {LINEAR}")
    return (named or found[feed.segment]).rstrip("/")
