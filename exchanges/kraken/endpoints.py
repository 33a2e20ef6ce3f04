"""Where Kraken is: its own hosts unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from exchanges.common.requests.own_hosts import OwnHosts

VENUE = "kraken"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)

_HOSTS = OwnHosts(
    SPOT, rest="https://api.kraken.com", stream="wss://ws.kraken.com/v2", simulated_by="simulator.kraken=true"
)
rest_url = _HOSTS.rest_url
"""`/0/public` follows."""
stream_url = _HOSTS.stream_url
"""Protocol version 2."""
