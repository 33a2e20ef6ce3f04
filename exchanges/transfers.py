"""Whose money can be moved: the venues whose libraries are let to, and nobody else's."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from bot.clock import Clock
from bot.errors import SettingsError
from bot.ports.transfers import AccountOperations
from bot.settings import Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget

Opener = Callable[[Settings, ApiKeys, Clock, RequestBudget | None], AbstractAsyncContextManager[AccountOperations]]
MOVES_MONEY = frozenset({"binance", "bybit"})


@asynccontextmanager
async def account_operations(
    venues: Collection[str],
    settings: Settings,
    keys: Mapping[str, ApiKeys],
    clock: Clock,
    budgets: Mapping[str, RequestBudget] | None = None,
) -> AsyncIterator[Mapping[str, AccountOperations]]:
    """By venue, for the length of the block; `budgets`: by venue, shared with who trades there.

    Raises:
        SettingsError: If money is not moved at one of them (Kraken and Coinbase: ccxt's door lets no transfer out),
            or a key must not be used there.
        VenueError: A venue cannot be asked for its time.
    """
    refused = sorted(set(venues) - MOVES_MONEY)
    if refused:
        raise SettingsError(f"{', '.join(refused)}: no transfers; money is moved at {', '.join(sorted(MOVES_MONEY))}")
    # Imported here, because the client libraries take a second to load.
    from exchanges.binance.transfers import connected_transfers as binance
    from exchanges.bybit.transfers import connected_transfers as bybit

    opened: Mapping[str, Opener] = {"binance": binance, "bybit": bybit}
    async with AsyncExitStack() as stack:
        found: dict[str, AccountOperations] = {}
        for venue in sorted(venues):
            budget = None if budgets is None else budgets.get(venue)
            found[venue] = await stack.enter_async_context(opened[venue](settings, keys[venue], clock, budget))
        yield found
