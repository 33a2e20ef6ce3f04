"""How Kraken lists its pairs now: a `TermsSource` without an account, by the public `AssetPairs`."""

from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict, Field

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, ListingStatus
from bot.domain.terms import Listing, Told
from bot.settings import Settings
from exchanges.common.market.listings import NoAccount, asked, listing_status, rows_under
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.told import by_key, read_each
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url
from exchanges.kraken.metadata import stream_symbol

_STATUS = {
    "online": ListingStatus.TRADING,
    **dict.fromkeys(("cancel_only", "post_only", "limit_only", "reduce_only"), ListingStatus.HALTED),
}
"""https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs"""


class _Pair(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(validation_alias="wsname")
    status: str


class KrakenTerms(NoAccount):
    """Public facts alone."""

    venue = VENUE

    def __init__(
        self,
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        assets: Collection[str],
        settings: Settings,
        clock: Clock,
        keys: ApiKeys | None,
    ) -> None:
        """Nothing is asked yet; the account is not read, so that `assets` and `keys` are not used."""
        super().__init__(clock)
        self._listed = by_feed.get(SPOT, {})
        self._settings = settings

    async def listings(self) -> Told[Listing]:
        """By the id of every pair.

        Raises:
            VenueError: Kraken cannot be asked, or refuses.
        """
        (answer,) = await asked(VENUE, [f"{rest_url(self._settings)}/0/public/AssetPairs"])
        rows = {stream_symbol(name): row for name, row in by_key(rows_under(VENUE, answer, "result"), "wsname").items()}
        by_id = {one.id: rows[symbol] for symbol, one in self._listed.items() if symbol in rows}
        return read_each([one.id for one in self._listed.values()], by_id, _read, self._clock.now_ns())


def _read(_: str, row: object) -> Listing:
    return Listing(status=listing_status(_Pair.model_validate(row).status, _STATUS, None))
