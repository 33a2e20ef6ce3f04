"""Where Coinbase is: Advanced Trade's own hosts unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from bot.settings import Settings
from exchanges.common.own_hosts import OwnHosts

VENUE = "coinbase"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)

HOSTS = OwnHosts(rest="https://api.coinbase.com", stream="wss://advanced-trade-ws.coinbase.com")


def rest_url(settings: Settings) -> str:
    """Base of the REST interface (`/api/v3/brokerage` follows), without a slash at the end.

    Raises:
        SettingsError: If it would lead to the real exchange where nothing may leave the machine.
    """
    return HOSTS.rest_url(SPOT, settings)


def stream_url(settings: Settings) -> str:
    """The public stream.

    Raises:
        SettingsError: If it would lead to the real exchange where nothing may leave the machine.
    """
    return HOSTS.stream_url(SPOT, settings)
