"""Questions that are asked over REST, through python-binance: instruments, funding and the time."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from pydantic import ValidationError

from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import MalformedPayload, SettingsError, VenueUnavailable
from bot.settings import Settings
from bot.suggestion import nearest_word
from exchanges.binance.endpoints import VENUE, rest_url
from exchanges.binance.errors import translated
from exchanges.binance.library import AsyncClient
from exchanges.binance.normalize import SymbolRow, instrument, venue_symbol
from exchanges.common.market.wanted import wants_all

_PATIENCE_S = 10.0


class BinanceRest:
    """One segment of Binance. Made by `connected`, which closes it."""

    def __init__(self, client: AsyncClient, feed: Feed) -> None:
        self._client = client
        self._is_spot = feed.segment is Segment.SPOT
        self._feed = feed

    async def server_time_ms(self) -> int:
        """Binance's clock, UTC ms.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        with translated():
            answer = await (self._client.get_server_time() if self._is_spot else self._client.futures_time())
        try:
            return int(answer["serverTime"])
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(VENUE, "the answer to `time` has no serverTime") from error

    async def instruments(self, wanted: Collection[str]) -> dict[str, Instrument]:
        """The instruments with these unified symbols (`ALL`: all that trade), by Binance's symbol.

        Raises:
            SettingsError: If one of them does not exist or does not trade; the nearest known one is named.
            VenueError: It cannot be asked, or refuses.
        """
        if wants_all(wanted):
            return self._trading(await self._rows())
        symbols = {venue_symbol(unified, self._feed): unified for unified in wanted}
        rows = await self._rows()
        return {symbol: self._instrument(symbol, unified, rows) for symbol, unified in symbols.items()}

    async def funding_rows(self) -> tuple[object, object]:
        """The answers of `premiumIndex`, for every symbol, and of `fundingInfo`, as they came.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        with translated():
            return await self._client.futures_mark_price(), await self._client.futures_v1_get_funding_info()

    def _trading(self, rows: Mapping[str, Any]) -> dict[str, Instrument]:
        """Every pair and perpetual that trades, but for what cannot be asked for by a plain name in a URL.

        Dated contracts, and rows of a kind not known, are left out.
        """
        found: dict[str, Instrument] = {}
        for symbol, raw in rows.items():
            with suppress(ValidationError, MalformedPayload, SettingsError):
                row = SymbolRow.model_validate(raw)
                described = instrument(row, self._feed)
                is_plain = symbol.isascii() and symbol.isalnum()
                if is_plain and row.status == "TRADING" and venue_symbol(described.symbol, self._feed) == symbol:
                    found[symbol] = described
        return found

    async def _rows(self) -> Mapping[str, Any]:
        with translated():
            ask = self._client.get_exchange_info if self._is_spot else self._client.futures_exchange_info
            answer = await ask()
        try:
            return {row["symbol"]: row for row in answer["symbols"]}
        except (KeyError, TypeError) as error:
            raise VenueUnavailable(VENUE, "exchangeInfo has no rows of symbols") from error

    def _instrument(self, symbol: str, unified: str, rows: Mapping[str, Any]) -> Instrument:
        if symbol not in rows:
            near = nearest_word(symbol, rows)
            hint = f"; the nearest that it knows is {near}" if near is not None else ""
            raise SettingsError(f"{self._feed} has no {unified} ({symbol}){hint}")
        try:
            row = SymbolRow.model_validate(rows[symbol])
            described = instrument(row, self._feed)
        except (ValidationError, MalformedPayload) as error:
            raise VenueUnavailable(VENUE, f"exchangeInfo describes {symbol} in an unknown way") from error
        if described.symbol != unified or row.status != "TRADING":
            raise SettingsError(f"{self._feed}: {symbol} is {described.symbol} with status {row.status}, not TRADING")
        return described


@asynccontextmanager
async def connected(feed: Feed, settings: Settings) -> AsyncIterator[BinanceRest]:
    """A client of one segment; closed at the end of the block, whatever happens.

    It is not made by `AsyncClient.create`, which asks spot for its time even where only futures are wanted.

    Raises:
        SettingsError: If the feed cannot be read live.
    """
    base = rest_url(feed, settings)
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    client = AsyncClient(requests_params={"timeout": timeout, "allow_redirects": False})
    client.API_URL, client.FUTURES_URL = f"{base}/api", f"{base}/fapi"
    try:
        yield BinanceRest(client, feed)
    finally:
        await client.close_connection()
