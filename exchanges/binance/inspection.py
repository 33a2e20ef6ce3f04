"""What Binance says of a key and an account before anything is traded.

Sources: https://developers.binance.com/docs/wallet/account/api-key-permission,
https://developers.binance.com/docs/derivatives/usds-margined-futures/account (position mode, multi-assets mode, symbol
configuration) and https://developers.binance.com/docs/binance-spot-api-docs (account information).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.clock import Clock
from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Feed, Instrument, Segment
from bot.settings import Settings
from exchanges.binance.endpoints import LINEAR, SPOT, VENUE, rest_url
from exchanges.binance.networks import WalletRest
from exchanges.binance.private_schemas import SpotAccount
from exchanges.binance.request_costs import rates
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import VenueHttp


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Restrictions(_Row):
    """`account/apiRestrictions`. What it does not say is not allowed, and a key that may withdraw has to say not."""

    may_read: bool = Field(validation_alias="enableReading")
    spot: bool = Field(default=False, validation_alias="enableSpotAndMarginTrading")
    linear: bool = Field(default=False, validation_alias="enableFutures")
    may_withdraw: bool = Field(validation_alias="enableWithdrawals")
    is_ip_bound: bool = Field(default=False, validation_alias="ipRestrict")
    ends_ms: int | None = Field(default=None, validation_alias="tradingAuthorityExpirationTime")


class _Dual(_Row):
    is_hedge: bool = Field(validation_alias="dualSidePosition")


class _Multi(_Row):
    is_multi: bool = Field(validation_alias="multiAssetsMargin")


class _SymbolConfig(_Row):
    symbol: str
    margin: str = Field(validation_alias="marginType")
    leverage: Decimal = Field(gt=0, allow_inf_nan=False)


class _FuturesBalance(_Row):
    asset: str
    available: Decimal = Field(validation_alias="availableBalance", allow_inf_nan=False)


_RESTRICTIONS, _DUAL, _MULTI = TypeAdapter(Restrictions), TypeAdapter(_Dual), TypeAdapter(_Multi)
_CONFIGS: TypeAdapter[list[_SymbolConfig]] = TypeAdapter(list[_SymbolConfig])
_BALANCES: TypeAdapter[list[_FuturesBalance]] = TypeAdapter(list[_FuturesBalance])
_SPOT = TypeAdapter(SpotAccount)
_MS = 1_000_000


class BinanceInspector:
    """An `AccountInspector`."""

    venue = VENUE

    def __init__(
        self, by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock, keys: ApiKeys
    ) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: If the key must not be used at an endpoint.
        """
        self._listed = {feed: listed for feed, listed in by_feed.items() if feed in (SPOT, LINEAR)}
        self._http = VenueHttp(VENUE, clock, RequestBudget(VENUE, rates(), clock), keys.hosts)
        self._rests = {
            feed: SignedRest(feed, rest_url(feed, settings), keys, self._http, clock) for feed in self._listed
        }
        self._wallet: WalletRest | None = None
        if settings.market != "testnet":  # which has no `/sapi`
            self._wallet = WalletRest(rest_url(SPOT, settings), keys, self._http, clock)

    async def rights(self) -> KeyRights | None:
        """What the key may do; None on the testnet, which cannot say.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        if self._wallet is None:
            return None
        async with self._open():
            await self._wallet.open()
            told = await self._wallet.read("/sapi/v1/account/apiRestrictions", _RESTRICTIONS, {})
        trades = {Segment.SPOT: told.spot, Segment.LINEAR: told.linear}
        return KeyRights(
            may_read=told.may_read,
            may_trade=frozenset(segment for segment, may in trades.items() if may),
            may_withdraw=told.may_withdraw,
            is_ip_bound=told.is_ip_bound,
            expires_ns=None if told.ends_ms is None else told.ends_ms * _MS,
        )

    async def modes(self) -> AccountModes:
        """How the account is set, and what it holds.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        async with self._open():
            for rest in self._rests.values():
                await rest.open()
            spot = {} if SPOT not in self._rests else await _spot_balances(self._rests[SPOT])
            if LINEAR not in self._rests:
                return AccountModes(balances=spot)
            return await self._linear_modes(self._rests[LINEAR], spot)

    async def _linear_modes(self, rest: SignedRest, spot: Mapping[tuple[str, str], Decimal]) -> AccountModes:
        dual = await rest.read("/v1/positionSide/dual", _DUAL, {})
        multi = await rest.read("/v1/multiAssetsMargin", _MULTI, {})
        rows = {row.symbol: row for row in await rest.read("/v1/symbolConfig", _CONFIGS, {})}
        held = await rest.read("/v3/balance", _BALANCES, {})
        ids = {symbol: one.id for symbol, one in self._listed[LINEAR].items() if symbol in rows}
        return AccountModes(
            is_one_way=not dual.is_hedge,
            is_multi_asset=multi.is_multi,
            is_cross={ids[symbol]: rows[symbol].margin == "CROSSED" for symbol in ids},
            leverage={ids[symbol]: rows[symbol].leverage for symbol in ids},
            balances={**spot, **{(str(LINEAR), row.asset): row.available for row in held}},
        )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        self._http.open()
        try:
            yield
        finally:
            await self._http.close()


async def _spot_balances(rest: SignedRest) -> Mapping[tuple[str, str], Decimal]:
    account = await rest.read("/v3/account", _SPOT, {"omitZeroBalances": "true"})
    return {(str(SPOT), row.asset): row.free for row in account.balances}
