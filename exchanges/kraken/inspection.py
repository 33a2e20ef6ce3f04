"""What Kraken says of a key and an account before anything is traded."""

from collections.abc import Mapping

from bot.clock import Clock
from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Feed, Instrument
from bot.settings import Settings
from exchanges.ccxt.account import CcxtAccount
from exchanges.ccxt.session import Session
from exchanges.ccxt.wire import Manners
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url
from exchanges.kraken.refusals import complaint
from exchanges.kraken.request_costs import cost, rates


class KrakenInspector:
    """An `AccountInspector`."""

    venue = VENUE

    def __init__(
        self, by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock, keys: ApiKeys
    ) -> None:
        """Nothing is asked yet; spot is the same account whatever is in `by_feed`.

        Raises:
            SettingsError: If the key must not be used at the endpoint.
        """
        budget = RequestBudget(VENUE, rates(), clock)
        self._session = Session(VENUE, rest_url(settings), keys, Manners(budget, cost, complaint))

    async def rights(self) -> KeyRights | None:
        """None: ccxt has no question for them, and what a venue does not say counts against the key."""
        return None

    async def modes(self) -> AccountModes:
        """What the account holds; spot has no modes.

        Raises:
            VenueError: Kraken cannot be asked, or refuses.
        """
        try:
            await self._session.open()
            held = await CcxtAccount(SPOT, self._session.client).balances()
        finally:
            await self._session.close()
        return AccountModes(balances={(str(SPOT), one.asset): one.available for one in held})
