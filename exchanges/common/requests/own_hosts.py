"""Where a venue is: its own hosts, unless the settings name others."""

from dataclasses import dataclass

from bot.domain.instrument import Feed
from bot.errors import SettingsError
from bot.settings import EndpointSettings, Settings
from exchanges.common.requests.loopback import refuse_metadata, require_loopback


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """Of a feed that the simulated market has not by itself, as the venue publishes them."""

    feed: Feed
    rest: str
    stream: str
    simulated_by: str = ""
    """The setting that has it simulated, and points the settings there; empty where nothing does."""

    def rest_url(self, settings: Settings) -> str:
        """Base of the REST interface, without a slash at the end.

        Raises:
            SettingsError: If it would lead to the real exchange where nothing may leave the machine.
        """
        return self._checked(configured(self.feed, settings).rest_url or self.rest, settings)

    def stream_url(self, settings: Settings) -> str:
        """The public stream, without a slash at the end.

        Raises:
            SettingsError: If it would lead to the real exchange where nothing may leave the machine.
        """
        return self._checked(configured(self.feed, settings).stream_url or self.stream, settings)

    def _checked(self, url: str, settings: Settings) -> str:
        if settings.market == "testnet":
            raise SettingsError(f"{self.feed} has no test system: leave it out of instruments")
        if settings.market == "simulated":
            # The simulated market promises that nothing leaves the machine.
            try:
                require_loopback(url)
            except SettingsError:
                unless = f" without {self.simulated_by}" if self.simulated_by else ""
                raise SettingsError(
                    f"{self.feed} has no simulated exchange{unless}: leave it out of instruments, or watch it with "
                    "--market live"
                ) from None
        return url.rstrip("/")


def configured(feed: Feed, settings: Settings) -> EndpointSettings:
    """What the settings say of a feed's addresses; nothing where they do not name it.

    Raises:
        SettingsError: If it is where a cloud tells a machine its own secrets: no exchange is there.
    """
    found = settings.venues.get(feed.venue, {}).get(str(feed.segment), EndpointSettings())
    for url in (found.rest_url, found.stream_url):
        if url is not None:
            refuse_metadata(url)
    return found
