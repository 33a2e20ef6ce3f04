"""One account's client of ccxt that orders are sent by, for as long as a run."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from bot.errors import InvariantError, VenueError
from exchanges.ccxt.client import opened
from exchanges.ccxt.errors import translated
from exchanges.ccxt.wire import Manners
from exchanges.common.requests.api_keys import ApiKeys


class Session:
    """Open it first, and close it."""

    def __init__(self, venue: str, base_url: str, keys: ApiKeys, manners: Manners) -> None:
        """Nothing is loaded or connected.

        Raises:
            SettingsError: If the key must not be used at `base_url`.
        """
        self._venue = venue
        self._base_url = keys.hosts.require(base_url)
        self._keys = keys
        self._manners = manners
        self._stack: AsyncExitStack | None = None
        self._client: Any = None
        self.on_error: Callable[[VenueError], None] = lambda error: None
        """Hears that our key is refused, and that an order was turned away."""

    async def open(self) -> None:
        """Load ccxt, and ask for the venue's markets: it sends no order on one that it does not know.

        Raises:
            SettingsError: If ccxt is not installed.
            VenueError: The venue cannot be asked.
        """
        async with AsyncExitStack() as stack:
            trading = opened(self._venue, self._base_url, self._keys, self._manners, may_trade=True)
            client = await stack.enter_async_context(trading)
            with translated(self._venue):
                await client.load_markets()
            self._stack, self._client = stack.pop_all(), client

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        stack, self._stack, self._client = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    @property
    def client(self) -> Any:
        """ccxt's.

        Raises:
            InvariantError: If it is not open.
        """
        if self._client is None:
            raise InvariantError(f"{self._venue} was asked while it was not connected")
        return self._client
