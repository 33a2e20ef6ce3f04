"""What Bybit says of itself over REST: its instruments, tickers and time. pybit blocks, so it runs in a thread."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP
from pydantic import ValidationError

from bot.domain.instrument import Feed, Instrument
from bot.errors import VenueUnavailable
from exchanges.bybit.errors import venue_error
from exchanges.bybit.normalize import VENUE, instrument
from exchanges.bybit.schemas import InstrumentPage, ServerTime, TickerPage

_TIMEOUT_S = 5
_PAGE_ROWS = 1000
_MOST_PAGES = 50
_MS = 1_000_000

_T = TypeVar("_T")


class BybitRest:
    """Bybit's public REST interface at one base URL. Calls are to be made one after another; `close` it."""

    def __init__(self, base_url: str) -> None:
        # retry_codes={0}: pybit replaces an empty set by codes that it retries with blocking sleeps, losing the code.
        self._http: Any = HTTP(timeout=_TIMEOUT_S, max_retries=1, retry_codes={0})
        self._http.endpoint = base_url
        # No proxy and no netrc from the environment: where facts come from is what the settings say, nothing else.
        self._http.client.trust_env = False
        # pybit hangs one more handler on its logger at every construction; logging is set up elsewhere.
        self._http.logger.handlers.clear()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.client.close()

    async def server_time_ms(self) -> int:
        """Bybit's clock, UTC ms.

        Raises:
            VenueError: See `venue_error`.
        """
        answer = await _ask(lambda: ServerTime.model_validate(self._http.get_server_time()))
        return answer.ts_ns // _MS

    async def instruments(self, feed: Feed) -> dict[str, Instrument]:
        """Every instrument of the feed that trades now, by Bybit's symbol.

        Raises:
            VenueError: See `venue_error`.
        """
        found: dict[str, Instrument] = {}
        for row in await self.instrument_rows(feed):
            read = instrument(feed, row)
            if read is not None:
                found[str(row["symbol"])] = read
        return found

    async def tickers(self, feed: Feed) -> tuple[list[Any], int]:
        """The rows of every ticker of the feed, as they came, and Bybit's time, UTC ns.

        Raises:
            VenueError: See `venue_error`.
        """
        category = str(feed.segment)
        page = await _ask(lambda: TickerPage.model_validate(self._http.get_tickers(category=category)))
        return list(page.rows), page.ts_ns

    async def instrument_rows(self, feed: Feed) -> list[Any]:
        """The rows of every instrument of the feed, as they came.

        Raises:
            VenueError: See `venue_error`.
        """
        rows: list[Any] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(feed, cursor)
            rows += page.rows
            cursor = page.next_cursor
            if not cursor:
                return rows
        raise VenueUnavailable(VENUE, f"{feed}: the list of instruments does not end")

    async def _page(self, feed: Feed, cursor: str) -> InstrumentPage:
        query: dict[str, Any] = {"category": str(feed.segment), "limit": _PAGE_ROWS}
        if cursor:
            query["cursor"] = cursor
        return await _ask(lambda: InstrumentPage.model_validate(self._http.get_instruments_info(**query)))


async def _ask(request: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(request)
    except (FailedRequestError, InvalidRequestError, OSError) as error:
        raise venue_error(error) from error
    except (ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        # pybit itself trips over an answer that is JSON and not an object.
        raise venue_error(error) from error
