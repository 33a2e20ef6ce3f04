"""What Kraken says of a key and an account before anything is traded.

Source: https://docs.kraken.com/api-reference/account-data/get-api-key-info (which asks for no right at all).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.clock import Clock
from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import VenueUnavailable
from bot.settings import Settings
from exchanges.ccxt.account import CcxtAccount
from exchanges.ccxt.client import opened
from exchanges.ccxt.errors import translated
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.told import first_fault
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url
from exchanges.kraken.manners import manners
from exchanges.kraken.request_costs import rates

_READING = frozenset({"query-funds", "query-open-trades", "query-closed-trades"})
_TRADING = "modify-trades"
"""Lets orders be sent and cancelled; `close-trades` alone only the latter."""
_S = 1_000_000_000


class _KeyInfo(BaseModel):
    """`GetApiKeyInfo`. What it does not say is not allowed, and a key that says no rights at all says nothing."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    permissions: frozenset[str]
    addresses: tuple[str, ...] = Field(default=(), validation_alias="ipAllowlist")
    ends_s: int = Field(default=0, validation_alias="validUntil")
    """0: never."""

    @property
    def may_withdraw(self) -> bool:
        """To have an address put on the list of withdrawals is half of a withdrawal (`add-withdraw-address`)."""
        return any("withdraw" in one for one in self.permissions)

    @property
    def is_ip_bound(self) -> bool:
        """A network of the whole internet is no bound."""
        return bool(self.addresses) and not any(one.endswith("/0") for one in self.addresses)


class KrakenInspector:
    """An `AccountInspector`, by a client that lets no order out."""

    venue = VENUE

    def __init__(
        self, by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock, keys: ApiKeys
    ) -> None:
        """Nothing is asked yet; spot is the same account whatever is in `by_feed`.

        Raises:
            SettingsError: If the key must not be used at the endpoint.
        """
        self._url = keys.hosts.require(rest_url(settings))
        self._keys = keys
        self._manners = manners(RequestBudget(VENUE, rates(), clock), clock)

    async def rights(self) -> KeyRights | None:
        """What the key may do.

        Raises:
            VenueError: Kraken cannot be asked, refuses, or answers what is not understood.
        """
        async with self._asking() as client:
            answer = await client.private_post_getapikeyinfo()
        try:
            told = _KeyInfo.model_validate(answer.get("result"))
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"what the key may do: {first_fault(error)}") from None
        return KeyRights(
            may_read=told.permissions >= _READING,
            may_trade=frozenset({Segment.SPOT} if _TRADING in told.permissions else ()),
            may_withdraw=told.may_withdraw,
            is_ip_bound=told.is_ip_bound,
            expires_ns=told.ends_s * _S or None,
        )

    async def modes(self) -> AccountModes:
        """What the account holds; spot has no modes.

        Raises:
            VenueError: Kraken cannot be asked, or refuses.
        """
        async with self._asking() as client:
            held = await CcxtAccount(SPOT, client).balances()
        return AccountModes(balances={(str(SPOT), one.asset): one.available for one in held})

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        async with opened(VENUE, self._url, self._keys, self._manners) as client:
            with translated(VENUE):
                yield client
