"""On what networks money goes in and out of Binance, and what past withdrawals and deposits took.

Source: https://developers.binance.com/docs/wallet/capital (all coins' information, withdraw history, deposit history).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from bot.clock import Clock
from bot.domain.network import AssetNetwork
from bot.domain.terms import Told, WalletMove
from exchanges.binance.endpoints import SPOT, VENUE
from exchanges.binance.schemas import MsAsNs
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.account.wallet_rows import TxId, past_moves, read_networks_of
from exchanges.common.figures import Amount
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.common.told import by_key

CHAINS: Mapping[str, str] = {
    "BTC": "bitcoin",
    "ETH": "ethereum",
    "BSC": "bsc",
    "TRX": "tron",
    "SOL": "solana",
    "ARBITRUM": "arbitrum",
    "OPTIMISM": "optimism",
}
"""Binance's `network` -> our id of the chain. Spellings as in `capital/config/getall` of 2026."""

_ROWS: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
_COMPLETED, _CREDITED = "6", "1"
_ON_CHAIN = 0
_MINUTE_S = 60


class WalletRest(SignedRest):
    """`/sapi`, which lies beside spot: the same host, key and clock."""

    def __init__(self, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If the key must not be used at `base_url`.
        """
        super().__init__(SPOT, base_url, keys, http, clock)

    def _url(self, path: str) -> str:
        return f"{self._base}{path}" if path.startswith("/sapi/") else super()._url(path)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class NetworkRow(_Row):
    """A row of `networkList`."""

    network: str
    can_deposit: bool = Field(validation_alias="depositEnable")
    can_withdraw: bool = Field(validation_alias="withdrawEnable")
    busy: bool = False
    fee: Amount = Field(validation_alias="withdrawFee")
    least: Amount = Field(validation_alias="withdrawMin")
    most: Amount | None = Field(default=None, validation_alias="withdrawMax")
    step: Amount | None = Field(default=None, validation_alias="withdrawIntegerMultiple")
    dust: Amount | None = Field(default=None, validation_alias="depositDust")
    confirmations: int = Field(validation_alias="minConfirm")
    unlock: int = Field(default=0, validation_alias="unLockConfirm")
    arrival_min: float | None = Field(default=None, validation_alias="estimatedArrivalTime")
    contract: str | None = Field(default=None, validation_alias="contractAddress")


def asset_network(asset: str, raw: object, now_ns: int) -> AssetNetwork:
    """What a row of `networkList` says.

    Raises:
        ValidationError: If something that a transfer needs is missing or makes no sense.
    """
    row = NetworkRow.model_validate(raw)
    return AssetNetwork(
        venue=VENUE,
        asset=asset,
        name=row.network,
        chain=CHAINS.get(row.network),
        contract=row.contract or None,
        can_deposit=row.can_deposit,
        # `busy`: withdrawals on this network are congested, by Binance's own word.
        can_withdraw=row.can_withdraw and not row.busy,
        withdraw_fee=row.fee,
        min_withdraw=row.least,
        max_withdraw=row.most,
        step=row.step or None,
        min_deposit=row.dust or Decimal(0),
        confirmations=row.confirmations,
        unlock_confirmations=row.unlock,
        arrival_s=None if not row.arrival_min else row.arrival_min * _MINUTE_S,
        ts_ns=now_ns,
    )


async def read_networks(wallet: SignedRest, assets: Collection[str], now_ns: int) -> Told[Sequence[AssetNetwork]]:
    """The networks of each asset; what is wrong is named by asset and network (`USDT ETH`).

    Raises:
        VenueError: Binance cannot be asked, or refuses.
    """
    rows = await wallet.read("/sapi/v1/capital/config/getall", _ROWS, {})
    return networks_of(by_key(rows, "coin"), assets, now_ns)


def networks_of(coins: Mapping[str, Any], assets: Collection[str], now_ns: int) -> Told[Sequence[AssetNetwork]]:
    """The networks of `assets` in rows of `capital/config/getall`, by coin."""
    values: dict[str, Sequence[AssetNetwork]] = {}
    wrong: dict[str, str] = {}
    for asset in assets:
        listed = coins.get(asset, {}).get("networkList")
        if not isinstance(listed, list):
            wrong[asset] = "not in the answer"
            continue
        values[asset], odd = read_networks_of(asset, listed, "network", partial(asset_network, asset, now_ns=now_ns))
        wrong |= odd
    return Told(values=values, wrong=wrong, ts_ns=now_ns)


def _utc_text_ns(text: object) -> int:
    # To the second: Binance's withdrawal times have no more.
    moment = datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


_UtcTextAsNs = Annotated[int, BeforeValidator(_utc_text_ns)]


class _Withdrawal(_Row):
    asset: str = Field(validation_alias="coin")
    network: str
    tx_id: TxId = Field(validation_alias="txId")
    kind: int = Field(default=_ON_CHAIN, validation_alias="transferType")
    begun_ns: _UtcTextAsNs = Field(validation_alias="applyTime")
    done_ns: _UtcTextAsNs = Field(validation_alias="completeTime")


class _Deposit(_Row):
    asset: str = Field(validation_alias="coin")
    network: str
    tx_id: TxId = Field(validation_alias="txId")
    kind: int = Field(default=_ON_CHAIN, validation_alias="transferType")
    begun_ns: MsAsNs = Field(validation_alias="insertTime")
    done_ns: MsAsNs = Field(validation_alias="completeTime")


async def read_moves(wallet: SignedRest) -> list[WalletMove]:
    """Completed withdrawals and deposits of the last ninety days; rows that lack a time are left out.

    Raises:
        VenueError: Binance cannot be asked, or refuses.
    """
    sent = await wallet.read("/sapi/v1/capital/withdraw/history", _ROWS, {"status": _COMPLETED})
    received = await wallet.read("/sapi/v1/capital/deposit/hisrec", _ROWS, {"status": _CREDITED})
    return [*moves_of(sent, is_deposit=False), *moves_of(received, is_deposit=True)]


def moves_of(rows: Sequence[Any], *, is_deposit: bool) -> list[WalletMove]:
    """Rows of the histories that went over a chain and have ended."""
    read = _Deposit.model_validate if is_deposit else _Withdrawal.model_validate
    return past_moves(VENUE, rows, read, CHAINS, on_chain=_ON_CHAIN, is_deposit=is_deposit)
