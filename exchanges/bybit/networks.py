"""On what networks money goes in and out of Bybit, and what past withdrawals and deposits took.

Sources: https://bybit-exchange.github.io/docs/v5/asset/coin-info, .../withdraw/withdraw-record and
.../deposit/deposit-record.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.domain.network import AssetNetwork
from bot.domain.terms import Told, WalletMove
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import MsTextAsNs
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.account.wallet_rows import TxId, past_moves, read_networks_of
from exchanges.common.figures import Amount
from exchanges.common.told import by_key, first_fault

CHAINS: Mapping[str, str] = {
    "BTC": "bitcoin",
    "ETH": "ethereum",
    "BSC": "bsc",
    "TRX": "tron",
    "SOL": "solana",
    "ARBI": "arbitrum",
    "OP": "optimism",
}
"""Bybit's `chain` -> our id of the chain. Spellings as in `coin/query-info` of 2026."""

_MOST_PAGES = 10
"""Of past moves, which teach how long the next may take: the newest do."""
_ON_CHAIN = "0"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


def _blank_is_untold(text: object) -> object:
    return None if text == "" else text


_Untold = Annotated[Amount | None, BeforeValidator(_blank_is_untold)]
"""Bybit leaves empty what does not apply: without a fee, nothing can be withdrawn."""
_Blocks = Annotated[int | None, BeforeValidator(_blank_is_untold)]


def _switch(text: object) -> bool:
    # Anything else than the two words is no answer to whether money gets through.
    if str(text) not in ("0", "1"):
        raise ValueError("neither 0 nor 1")
    return str(text) == "1"


_Switch = Annotated[bool, BeforeValidator(_switch)]


class ChainRow(_Row):
    """A row of `chains`."""

    chain: str
    can_deposit: _Switch = Field(validation_alias="chainDeposit")
    can_withdraw: _Switch = Field(validation_alias="chainWithdraw")
    fee: _Untold = Field(validation_alias="withdrawFee")
    fee_ratio: Amount = Field(validation_alias="withdrawPercentageFee")
    least: _Untold = Field(validation_alias="withdrawMin")
    least_deposit: _Untold = Field(default=None, validation_alias="depositMin")
    digits: int = Field(ge=0, le=18, validation_alias="minAccuracy")
    confirmations: _Blocks = Field(validation_alias="confirmation")
    safe: _Blocks = Field(default=None, validation_alias="safeConfirmNumber")
    contract: str | None = Field(default=None, validation_alias="contractAddress")


class _CoinRow(_Row):
    coin: str
    left: _Untold = Field(default=None, validation_alias="remainAmount")
    chains: list[Any]


class _CoinPage(_Row):
    rows: list[Any]


def asset_network(asset: str, raw: object, left: Decimal | None, now_ns: int) -> AssetNetwork:
    """What a row of `chains` says; `left` is what may still be withdrawn of the coin.

    Raises:
        ValidationError: If something that a transfer needs is missing or makes no sense.
    """
    row = ChainRow.model_validate(raw)
    return AssetNetwork(
        venue=VENUE,
        asset=asset,
        name=row.chain,
        chain=CHAINS.get(row.chain),
        contract=row.contract or None,
        can_deposit=row.can_deposit,
        can_withdraw=row.can_withdraw and row.fee is not None,
        withdraw_fee=row.fee,
        withdraw_fee_ratio=row.fee_ratio,
        min_withdraw=row.least,
        max_withdraw=left,
        step=Decimal(1).scaleb(-row.digits),
        min_deposit=row.least_deposit or Decimal(0),
        confirmations=row.confirmations,
        unlock_confirmations=row.safe or 0,
        ts_ns=now_ns,
    )


async def read_networks(rest: SignedRest, assets: Collection[str], now_ns: int) -> Told[Sequence[AssetNetwork]]:
    """The networks of each asset; what is wrong is named by asset and network (`USDT ETH`).

    Raises:
        VenueError: Bybit cannot be asked, or refuses.
    """
    rows: list[Any] = []
    for asset in assets:
        rows += (await rest.read("/v5/asset/coin/query-info", _CoinPage, {"coin": asset})).rows
    return networks_of(by_key(rows, "coin"), assets, now_ns)


def networks_of(coins: Mapping[str, Any], assets: Collection[str], now_ns: int) -> Told[Sequence[AssetNetwork]]:
    """The networks of `assets` in rows of `coin/query-info`, by coin."""
    values: dict[str, Sequence[AssetNetwork]] = {}
    wrong: dict[str, str] = {}
    for asset in assets:
        try:
            coin = _CoinRow.model_validate(coins.get(asset))
        except ValidationError as error:
            wrong[asset] = first_fault(error) if asset in coins else "not in the answer"
            continue
        read = partial(asset_network, asset, left=coin.left, now_ns=now_ns)
        values[asset], odd = read_networks_of(asset, coin.chains, "chain", read)
        wrong |= odd
    return Told(values=values, wrong=wrong, ts_ns=now_ns)


class _Withdrawal(_Row):
    asset: str = Field(validation_alias="coin")
    network: str = Field(validation_alias="chain")
    tx_id: TxId = Field(validation_alias="txID")
    kind: str = Field(default=_ON_CHAIN, validation_alias="withdrawType")
    status: str = Field(pattern="^success$")
    begun_ns: MsTextAsNs = Field(validation_alias="createTime")
    done_ns: MsTextAsNs = Field(validation_alias="updateTime")


class _Deposit(_Row):
    asset: str = Field(validation_alias="coin")
    network: str = Field(validation_alias="chain")
    tx_id: TxId = Field(validation_alias="txID")
    kind: str = Field(default=_ON_CHAIN, validation_alias="depositType")
    status: str = Field(pattern="^3$")
    done_ns: MsTextAsNs = Field(validation_alias="successAt")

    @property
    def begun_ns(self) -> int:
        """Bybit does not tell when it first saw a deposit."""
        return self.done_ns


class _Page(_Row):
    rows: list[Any]
    next_cursor: str = Field(default="", validation_alias="nextPageCursor")


async def read_moves(rest: SignedRest) -> list[WalletMove]:
    """Completed withdrawals and deposits of the last thirty days; rows that lack a time are left out.

    Raises:
        VenueError: Bybit cannot be asked, or refuses.
    """
    sent = await _pages(rest, "/v5/asset/withdraw/query-record", {"withdrawType": _ON_CHAIN, "limit": "50"})
    received = await _pages(rest, "/v5/asset/deposit/query-record", {"limit": "50"})
    return [*moves_of(sent, is_deposit=False), *moves_of(received, is_deposit=True)]


async def _pages(rest: SignedRest, path: str, values: dict[str, str]) -> list[Any]:
    rows: list[Any] = []
    for _ in range(_MOST_PAGES):
        page = await rest.read(path, _Page, values)
        rows += page.rows
        if not page.next_cursor or not page.rows:
            break
        values = {**values, "cursor": page.next_cursor}
    return rows


def moves_of(rows: Sequence[Any], *, is_deposit: bool) -> list[WalletMove]:
    """Rows of the histories that went over a chain and have ended."""
    read = _Deposit.model_validate if is_deposit else _Withdrawal.model_validate
    return past_moves(VENUE, rows, read, CHAINS, on_chain=_ON_CHAIN, is_deposit=is_deposit)
