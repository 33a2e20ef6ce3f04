"""What this account pays at Binance for a trade: rates by symbol, and whether it pays in BNB.

Sources: https://developers.binance.com/docs/wallet/asset/trade-fee and
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/User-Commission-Rate.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument
from bot.domain.terms import Told
from bot.errors import RateLimited
from exchanges.binance.fee_tiers import TOKEN, TOKEN_DISCOUNT
from exchanges.binance.private_schemas import FUTURES_BALANCES, SpotAccount
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.requests.refusals import Refusal
from exchanges.common.requests.request_pool import Lane
from exchanges.common.told import bps_of, by_key, read_each

Rate = Annotated[Decimal, Field(ge=Decimal("-0.002"), le=Decimal("0.02"), allow_inf_nan=False)]
"""As a ratio. Two percent is more than any tier has ever cost: such a figure is of another unit."""

_ROWS: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
_ANY: TypeAdapter[Any] = TypeAdapter(Any)
_SPOT_ACCOUNT = TypeAdapter(SpotAccount)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class SpotRates(_Row):
    """A row of `asset/tradeFee`."""

    maker: Rate = Field(validation_alias="makerCommission")
    taker: Rate = Field(validation_alias="takerCommission")


class FuturesRates(_Row):
    """`commissionRate`."""

    maker: Rate = Field(validation_alias="makerCommissionRate")
    taker: Rate = Field(validation_alias="takerCommissionRate")


class _SpotBurn(_Row):
    is_on: bool = Field(validation_alias="spotBNBBurn")


class _FuturesBurn(_Row):
    is_on: bool = Field(validation_alias="feeBurn")


_SPOT_BURN = TypeAdapter(_SpotBurn)
_FUTURES_BURN = TypeAdapter(_FuturesBurn)


async def spot_fees(
    spot: SignedRest, wallet: SignedRest, feed: Feed, listed: Mapping[str, Instrument], now_ns: int
) -> Told[FeeSchedule]:
    """Fees of spot, by instrument id; `listed` is by Binance's symbol.

    Raises:
        VenueError: Binance cannot be asked, or refuses.
    """
    rows = await wallet.read("/sapi/v1/asset/tradeFee", _ROWS, {})
    burns = (await wallet.read("/sapi/v1/bnbBurn", _SPOT_BURN, {})).is_on
    account = await spot.read("/v3/account", _SPOT_ACCOUNT, {"omitZeroBalances": "true"})
    holds = any(row.asset == TOKEN and row.free > 0 for row in account.balances)
    return _fees(feed, listed, by_key(rows, "symbol"), SpotRates, pays_in_token=burns and holds, now_ns=now_ns)


async def futures_fees(
    rest: SignedRest, feed: Feed, listed: Mapping[str, Instrument], now_ns: int
) -> Told[FeeSchedule]:
    """Fees of USDⓈ-M, by instrument id; one question a symbol, for Binance answers no others.

    Raises:
        VenueError: Binance cannot be asked, or refuses.
    """
    rows: dict[str, Any] = {}
    for symbol in listed:
        try:
            rows[symbol] = await _commission(rest, symbol)
        except Refusal:
            continue  # this symbol's own trouble: it is told as not in the answer
    burns = (await rest.read("/v1/feeBurn", _FUTURES_BURN, {})).is_on
    balances = await rest.read("/v3/balance", FUTURES_BALANCES, {})
    holds = any(row.asset == TOKEN and row.total > 0 for row in balances)
    return _fees(feed, listed, rows, FuturesRates, pays_in_token=burns and holds, now_ns=now_ns)


async def _commission(rest: SignedRest, symbol: str) -> Any:
    """One symbol's rates; where a minute's share of questions is used up, it waits for the next one's."""
    try:
        return await rest.read("/v1/commissionRate", _ANY, {"symbol": symbol})
    except RateLimited:
        return await rest.read("/v1/commissionRate", _ANY, {"symbol": symbol}, Lane.IDLE)


def _fees(
    feed: Feed,
    listed: Mapping[str, Instrument],
    rows: Mapping[str, Any],
    kind: type[SpotRates] | type[FuturesRates],
    *,
    pays_in_token: bool,
    now_ns: int,
) -> Told[FeeSchedule]:
    def read(_: str, row: Any) -> FeeSchedule:
        rates = kind.model_validate(row)
        return FeeSchedule(
            feed=feed,
            maker_bps=bps_of(rates.maker),
            taker_bps=bps_of(rates.taker),
            source=FeeSource.ACCOUNT,
            token=TOKEN if pays_in_token else None,
            token_discount=TOKEN_DISCOUNT[feed] if pays_in_token else Decimal(0),
            ts_ns=now_ns,
        )

    by_id = {instrument.id: rows[symbol] for symbol, instrument in listed.items() if symbol in rows}
    return read_each((instrument.id for instrument in listed.values()), by_id, read, now_ns)
