"""What an account pays at Kraken for a trade, through ccxt: by pair, from `TradeVolume`."""

from collections.abc import Sequence

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from bot.domain.terms import Told
from bot.settings import Settings
from exchanges.ccxt.account import CcxtAccount
from exchanges.ccxt.client import opened
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url
from exchanges.kraken.manners import manners
from exchanges.kraken.request_costs import rates


async def account_fees(
    instruments: Sequence[Instrument], settings: Settings, clock: Clock, keys: ApiKeys, budget: RequestBudget | None
) -> Told[FeeSchedule]:
    """By instrument id.

    Raises:
        SettingsError: If the key must not be used at the endpoint.
        VenueError: Kraken cannot be asked, refuses, or tells a fee that is not understood.
    """
    shared = budget or RequestBudget(VENUE, rates(), clock)
    async with opened(VENUE, rest_url(settings), keys, manners(shared, clock)) as client:
        found = await CcxtAccount(SPOT, client).fees([one.symbol for one in instruments])
    now_ns = clock.now_ns()
    values = {one.id: found[one.symbol].model_copy(update={"ts_ns": now_ns}) for one in instruments}
    return Told(values=values, ts_ns=now_ns)
