"""How Kraken lists its pairs now, and what an account pays there: a `TermsSource`. Networks are not asked for."""

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import ListingStatus
from bot.domain.terms import Listing, Told
from exchanges.common.account.terms_source import NoAccount, TermsSetup
from exchanges.common.market.listings import asked, listing_status, rows_under
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
    """One account at Kraken, or none. Connections live as long as a question."""

    venue = VENUE

    def __init__(self, setup: TermsSetup) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: If there are keys and they must not be used at the endpoint.
        """
        super().__init__(setup.clock)
        self._setup = setup
        self._listed = setup.by_feed.get(SPOT, {})
        if setup.keys is not None:
            setup.keys.hosts.require(rest_url(setup.settings))

    async def fees(self) -> Told[FeeSchedule] | None:
        """What this account pays, by instrument id; None without keys.

        Raises:
            VenueError: Kraken cannot be asked, or refuses.
        """
        setup = self._setup
        if setup.keys is None:
            return None
        # Imported here: ccxt takes seconds to load and changes aiohttp, and only its venues need it.
        from exchanges.kraken.account_terms import account_fees

        instruments = list(self._listed.values())
        return await account_fees(instruments, setup.settings, setup.clock, setup.keys, setup.budget)

    async def listings(self) -> Told[Listing]:
        """By the id of every pair.

        Raises:
            VenueError: Kraken cannot be asked, or refuses.
        """
        (answer,) = await asked(VENUE, [f"{rest_url(self._setup.settings)}/0/public/AssetPairs"])
        rows = {stream_symbol(name): row for name, row in by_key(rows_under(VENUE, answer, "result"), "wsname").items()}
        by_id = {one.id: rows[symbol] for symbol, one in self._listed.items() if symbol in rows}
        return read_each([one.id for one in self._listed.values()], by_id, _read, self._clock.now_ns())


def _read(_: str, row: object) -> Listing:
    return Listing(status=listing_status(_Pair.model_validate(row).status, _STATUS, None))
