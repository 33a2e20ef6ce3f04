"""Where Coinbase is: Advanced Trade's own hosts unless the settings name others."""

from bot.domain.instrument import Feed, Segment
from exchanges.common.requests.own_hosts import OwnHosts

VENUE = "coinbase"
SPOT = Feed(venue=VENUE, segment=Segment.SPOT)

_HOSTS = OwnHosts(SPOT, rest="https://api.coinbase.com", stream="wss://advanced-trade-ws.coinbase.com")
rest_url = _HOSTS.rest_url
"""`/api/v3/brokerage` follows."""
stream_url = _HOSTS.stream_url
