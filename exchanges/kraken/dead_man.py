"""Kraken's dead-man switch: every order of the account is cancelled when it is not set again in time.

Source: https://docs.kraken.com/exchange/api-reference/trading/cancel-all-orders-after-x (60 s, again in 15 to 30).
"""

from math import ceil

from bot.domain.instrument import Instrument
from exchanges.ccxt.errors import translated
from exchanges.ccxt.session import Session
from exchanges.ccxt.wire import in_lane
from exchanges.common.requests.request_pool import Lane
from exchanges.kraken.endpoints import VENUE


class KrakenDeadMan:
    """A `DeadManGateway` through ccxt."""

    def __init__(self, session: Session) -> None:
        """Guard the orders of the session's account."""
        self._session = session

    def guards(self, instrument: Instrument) -> bool:
        """All of them."""
        return True

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        """Cancel every order of the account after `within_s` without another word; 0: do not.

        Raises:
            Refusal: Kraken refused.
            VenueError: It could not be asked.
        """
        with translated(VENUE), in_lane(Lane.REDUCE):
            await self._session.client.cancel_all_orders_after(ceil(within_s) * 1_000)  # whole seconds; 0 disarms

    def scope(self, instrument: Instrument) -> str:
        """The switch is the account's."""
        return VENUE
