"""What Bybit says of a key and an account before anything is traded.

Sources: https://bybit-exchange.github.io/docs/v5/user/apikey-info, .../v5/account/account-info and .../v5/position.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clock import Clock
from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Feed, Instrument, Segment
from bot.settings import Settings
from exchanges.bybit.account_requests import WALLET, balance_of
from exchanges.bybit.endpoints import rest_url
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE
from exchanges.bybit.private_schemas import WalletRows
from exchanges.bybit.request_costs import rates
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import VenueHttp

_ANYWHERE = "*"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ApiKeyInfo(_Row):
    """`user/query-api`."""

    read_only: int = Field(validation_alias="readOnly")
    permissions: Mapping[str, list[str]]
    ips: list[str] = []
    ends: AwareDatetime | None = Field(default=None, validation_alias="expiredAt")

    def may_trade(self) -> frozenset[Segment]:
        """The segments in which it may place orders."""
        if self.read_only:
            return frozenset()
        contract = {"Order", "Position"} <= set(self.permissions.get("ContractTrade", ()))
        spot = "SpotTrade" in self.permissions.get("Spot", ())
        granted = {Segment.LINEAR: contract, Segment.SPOT: spot}
        return frozenset(segment for segment, may in granted.items() if may)


class _Info(_Row):
    margin: str = Field(validation_alias="marginMode")


class _Position(_Row):
    symbol: str
    index: int = Field(default=0, validation_alias="positionIdx")
    leverage: str = ""


class _Positions(_Row):
    rows: tuple[_Position, ...] = Field(validation_alias="list")


class BybitInspector:
    """An `AccountInspector`."""

    venue = VENUE

    def __init__(
        self, by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock, keys: ApiKeys
    ) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: If the key must not be used at the endpoint.
        """
        own = {feed: listed for feed, listed in by_feed.items() if feed.venue == VENUE}
        self._linear = own.get(LINEAR, {})
        self._http = VenueHttp(VENUE, clock, RequestBudget(VENUE, rates(), clock), keys.hosts)
        self._rest = SignedRest(rest_url(next(iter(own), SPOT), settings), keys, self._http, clock)

    async def rights(self) -> KeyRights | None:
        """What the key may do.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        async with self._open() as rest:
            told = await rest.read("/v5/user/query-api", ApiKeyInfo, {})
        is_bound = bool(told.ips) and _ANYWHERE not in told.ips
        return KeyRights(
            may_read=True,
            may_trade=told.may_trade(),
            may_withdraw="Withdraw" in told.permissions.get("Wallet", ()),
            is_ip_bound=is_bound,
            # Keys that are bound to an address do not expire, whatever date stands there.
            expires_ns=None if is_bound or told.ends is None else _ns(told.ends),
        )

    async def modes(self) -> AccountModes:
        """How the account is set, and what it holds.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        async with self._open() as rest:
            info = await rest.read("/v5/account/info", _Info, {})
            wallets = await rest.read("/v5/account/wallet-balance", WalletRows, {"accountType": "UNIFIED"})
            rows = [(symbol, row) for symbol in self._linear for row in await _positions(rest, symbol)]
        held = [balance_of(coin) for row in wallets.rows for coin in row.coins]
        is_cross = info.margin != "ISOLATED_MARGIN"
        return AccountModes(
            is_one_way=None if not self._linear else all(row.index == 0 for _, row in rows),
            is_cross={self._linear[symbol].id: is_cross for symbol in self._linear},
            leverage={self._linear[symbol].id: Decimal(row.leverage) for symbol, row in rows if row.leverage},
            balances={(WALLET, one.asset): one.total - one.locked for one in held},
        )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[SignedRest]:
        self._http.open()
        try:
            await self._rest.open()
            yield self._rest
        finally:
            await self._http.close()


async def _positions(rest: SignedRest, symbol: str) -> tuple[_Position, ...]:
    """A flat position is told too, where its symbol is named; in hedge mode there are two, numbered 1 and 2."""
    return (await rest.read("/v5/position/list", _Positions, {"category": "linear", "symbol": symbol})).rows


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000_000
