"""Where Binance is: its own hosts unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from bot.errors import SettingsError
from bot.settings import Settings
from exchanges.common.own_hosts import configured

VENUE = "binance"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)
LINEAR = Feed(venue=VENUE, segment=Segment.LINEAR)
INVERSE = Feed(venue=VENUE, segment=Segment.INVERSE)

_REST = {Segment.SPOT: "https://api.binance.com", Segment.LINEAR: "https://fapi.binance.com"}
_STREAM = {Segment.SPOT: "wss://stream.binance.com:9443", Segment.LINEAR: "wss://fstream.binance.com"}
_ORDER_SOCKET = {Segment.SPOT: "wss://ws-api.binance.com", Segment.LINEAR: "wss://ws-fapi.binance.com"}

REFUSED = {
    451: "Binance does not serve this place (HTTP 451)",
    403: "Binance's firewall refuses this address (HTTP 403)",
}


def rest_url(feed: Feed, settings: Settings) -> str:
    """Base of the REST interface (`/api` or `/fapi` follows), without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    return (configured(feed, settings).rest_url or _own(feed, _REST)).rstrip("/")


def stream_url(feed: Feed, settings: Settings) -> str:
    """Base of the streams, without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    return (configured(feed, settings).stream_url or _own(feed, _STREAM)).rstrip("/")


def order_socket_url(feed: Feed, settings: Settings) -> str:
    """Base of the WebSocket API that takes orders, without a slash at the end.

    Raises:
        SettingsError: If the feed cannot be traded.
    """
    return (configured(feed, settings).stream_url or _own(feed, _ORDER_SOCKET)).rstrip("/")


def _own(feed: Feed, hosts: dict[Segment, str]) -> str:
    if feed.segment not in hosts:
        raise SettingsError(f"{feed} is decoded from recordings only; live feeds are {SPOT} and {LINEAR}")
    return hosts[feed.segment]
