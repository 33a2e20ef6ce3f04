"""Where a venue without a simulated exchange is: its own hosts, unless the settings name others."""

from dataclasses import dataclass

from bot.domain.instrument import Feed
from bot.errors import SettingsError
from bot.settings import EndpointSettings, Settings
from exchanges.common.loopback import require_loopback


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """As the venue publishes them."""

    rest: str
    stream: str

    def rest_url(self, feed: Feed, settings: Settings) -> str:
        """Base of the REST interface, without a slash at the end.

        Raises:
            SettingsError: If it would lead to the real exchange where nothing may leave the machine.
        """
        return _checked(feed, (_of(feed, settings).rest_url or self.rest).rstrip("/"), settings)

    def stream_url(self, feed: Feed, settings: Settings) -> str:
        """The public stream, without a slash at the end.

        Raises:
            SettingsError: If it would lead to the real exchange where nothing may leave the machine.
        """
        return _checked(feed, (_of(feed, settings).stream_url or self.stream).rstrip("/"), settings)


def _of(feed: Feed, settings: Settings) -> EndpointSettings:
    return settings.venues.get(feed.venue, {}).get(str(feed.segment), EndpointSettings())


def _checked(feed: Feed, url: str, settings: Settings) -> str:
    if settings.market == "simulated":
        # The simulated market promises that nothing leaves the machine, and there is no simulated exchange of these.
        try:
            require_loopback(url)
        except SettingsError:
            raise SettingsError(
                f"{feed} has no simulated exchange: leave it out of instruments, or watch it with --market live"
            ) from None
    return url
