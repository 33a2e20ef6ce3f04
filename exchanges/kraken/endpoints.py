"""Where Kraken is: its own hosts unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from bot.settings import Settings
from exchanges.common.own_hosts import OwnHosts

VENUE = "kraken"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)

HOSTS = OwnHosts(rest="https://api.kraken.com", stream="wss://ws.kraken.com/v2")


def rest_url(settings: Settings) -> str:
    """Base of the REST interface (`/0/public` follows), without a slash at the end.

    Raises:
        SettingsError: If it would lead to the real exchange where nothing may leave the machine.
    """
    return HOSTS.rest_url(SPOT, settings)


def stream_url(settings: Settings) -> str:
    """The public stream, protocol version 2.

    Raises:
        SettingsError: If it would lead to the real exchange where nothing may leave the machine.
    """
    return HOSTS.stream_url(SPOT, settings)
