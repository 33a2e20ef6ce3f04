"""Paper money asked for as a venue's account is: it lies in this process, and knows nothing of any before it."""

from collections.abc import Callable, Collection, Sequence

from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order
from bot.ports import Holdings, OrderFound
from bot.ports.account import KnownFill
from exchanges.paper.wallets import wallet_of


class PaperAccount:
    """Implements `bot.ports.AccountQuestions` for one venue that paper money plays.

    After a restart it holds what it was told of (`PaperActions.rebuild`). An order of an earlier process died with it.
    """

    unknown_for_s = 0.0
    between_s = 0.0

    def __init__(
        self,
        venue: str,
        balances: Callable[[], Sequence[Balance]],
        positions: Callable[[], Sequence[Position]],
        resting: Callable[[], Sequence[Order]],
    ) -> None:
        """Answer for `venue` from what these tell of all venues."""
        self.venue = venue
        self._balances = balances
        self._positions = positions
        self._resting = resting

    def wallet_of(self, instrument: Instrument) -> str:
        """Which wallet trades of it are paid from."""
        return wallet_of(instrument)

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every order of this process that has not met the quotes, or rests."""
        return [
            OrderFound(order.client_order_id, order.instrument, order.status, order.filled_quantity)
            for order in self._resting()
            if order.instrument.venue == self.venue
        ]

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """None: every fill is told, and nothing gets lost on the way."""
        return ()

    async def holdings(self) -> Holdings:
        """As it is now."""
        prefix = f"{self.venue}."
        return Holdings(
            [balance for balance in self._balances() if balance.wallet.startswith(prefix)],
            [position for position in self._positions() if position.instrument.venue == self.venue],
        )

    async def order(self, order: Order) -> OrderFound | None:
        """None: it is of an earlier process, and ended with it."""
        return None

    async def fills(self, order: Order, found: OrderFound) -> Sequence[Fill]:
        """None of them is kept."""
        return ()

    async def cancel(self, order: Order) -> None:
        """There is nothing left of it."""

    def take(self, fill: Fill) -> bool:
        """None is ever found by asking."""
        return False
