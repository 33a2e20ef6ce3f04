"""An account at a ccxt venue, read and never changed: balances, and fees of its tier.

What is missing or not a number is an error that names it: a balance that is not understood is not zero.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.domain.account import Balance
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.errors import VenueUnavailable
from exchanges.ccxt.errors import translated

_BPS = Decimal(10_000)
_EARNING = ".F"
"""What Kraken adds to an asset that earns by itself (`XBT.F`, to ccxt `BTC.F`) and can be spent and withdrawn all the
same. `.S`, `.M` and `.B` are bound, and assets of their own here.

Source: https://docs.kraken.com/api-reference/account-data/get-account-balance.
"""
_MOST_BPS = Decimal(1_000)
"""A rate above 10 % is one in another unit: percent, or bps."""


class CcxtAccount:
    """Reads one account through a client that `exchanges.ccxt.client.opened` made with keys."""

    def __init__(self, feed: Feed, client: Any) -> None:
        self._feed = feed
        self._client = client

    async def balances(self) -> list[Balance]:
        """Every asset of the account that is not zero, in the wallet `<venue>.spot`.

        Raises:
            VenueError: It cannot be read, or an amount in it is not understood.
        """
        with translated(self._feed.venue):
            answer = await self._client.fetch_balance()
        totals = answer.get("total")
        if not isinstance(totals, dict):
            raise self._odd("the balances")
        read: dict[str, Balance] = {}
        for name in totals:
            found = self._balance(name, answer.get(name))
            if (other := read.get(found.asset)) is not None:
                sums = {"total": found.total + other.total, "locked": found.locked + other.locked}
                found = found.model_copy(update=sums)
            read[found.asset] = found
        return [balance for balance in read.values() if balance.total or balance.locked]

    async def fees(self, symbols: Iterable[str]) -> dict[str, FeeSchedule]:
        """The account's own rates by unified symbol; Kraken's differ from pair to pair.

        Raises:
            VenueError: They cannot be read, or one of them is missing or not understood.
        """
        with translated(self._feed.venue):
            if self._client.has["fetchTradingFees"] is True:
                answer = await self._client.fetch_trading_fees()
            else:
                answer = {symbol: await self._client.fetch_trading_fee(symbol) for symbol in symbols}
        return {symbol: self._schedule(symbol, answer.get(symbol)) for symbol in symbols}

    def _balance(self, asset: str, row: Any) -> Balance:
        what = f"the balance of {asset}"
        row = self._mapping(row, what)
        total, locked = self._number(row.get("total"), what), self._number(row.get("used"), what)
        return Balance(wallet=str(self._feed), asset=asset.removesuffix(_EARNING), total=total, locked=locked)

    def _schedule(self, symbol: str, row: Any) -> FeeSchedule:
        row = self._mapping(row, f"the fees of {symbol}")
        return FeeSchedule(
            feed=self._feed,
            maker_bps=self._rate(row.get("maker"), f"the maker fee of {symbol}"),
            taker_bps=self._rate(row.get("taker"), f"the taker fee of {symbol}"),
            source="account",
        )

    def _rate(self, value: Any, what: str) -> Decimal:
        bps = self._number(value, what) * _BPS
        if abs(bps) > _MOST_BPS:
            raise self._odd(what)
        return bps

    def _mapping(self, row: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(row, dict):
            raise self._odd(what)
        return row

    def _number(self, value: Any, what: str) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
            raise self._odd(what)
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise self._odd(what) from None
        if not number.is_finite():
            raise self._odd(what)
        return number

    def _odd(self, what: str) -> VenueUnavailable:
        return VenueUnavailable(self._feed.venue, f"{what} is missing or not understood")
