"""`Actions` at a venue whose private stream is not read: what a stream would tell is asked for.

    an order                           asked for as soon as it is acknowledged, and then as every order is
    balances                           after fills, and now and then

A venue that cannot be asked for a while is one that is not heard: nothing new is risked there (`VenueState`).
"""

import asyncio
import random
from collections.abc import Sequence

from bot.clock import Clock
from bot.domain.order import Fill, Order
from bot.ports import AccountQuestions
from bot.settings import ConnectionSettings
from exchanges.common.account.account_poll import AccountPoll
from exchanges.common.account.dead_man import DeadManGateway
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_carrier import OrderGateway
from exchanges.common.account.order_desk import OrderDesk, OrderReport
from exchanges.common.account.streamed_actions import AccountGateway, StreamedActions
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log, report_failure


class PolledActions(StreamedActions):
    """One venue's account: `StreamedActions` without streams."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        wallets: WalletBook,
        funding: FundingDesk,
        orders: OrderGateway,
        account: AccountGateway,
        state: VenueState,
        dead_man: DeadManGateway,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        log: Log,
        questions: AccountQuestions,
        never_comes_s: float,
    ) -> None:
        told = _ToldByAnswers(orders, desk)
        super().__init__(
            desk=desk,
            wallets=wallets,
            funding=funding,
            orders=told,
            account=account,
            protocols=(),
            state=state,
            dead_man=dead_man,
            settings=settings,
            clock=clock,
            rng=rng,
            log=log,
            questions=questions,
            never_comes_s=never_comes_s,
            asks_together=True,
        )
        self._poll = told.poll = AccountPoll(account, state, clock, log, self._carrier.look_again)
        self._polling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and ask for balances; from then on they are kept new.

        Raises:
            VenueError: Why it cannot; everything is closed again.
        """
        await super().start()
        self._polling = asyncio.get_running_loop().create_task(self._poll.run())
        self._polling.add_done_callback(report_failure)

    async def stop(self) -> None:
        """Close everything. Idempotent."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})
        await super().stop()


class _ToldByAnswers:
    """An `OrderGateway` whose answers are the news that a stream would bring."""

    def __init__(self, inner: OrderGateway, desk: OrderDesk) -> None:
        self._inner = inner
        self._desk = desk
        self.poll: AccountPoll | None = None

    async def place(self, order: Order) -> None:
        await self._inner.place(order)
        flight = self._desk.find(order.client_order_id)
        if flight is not None:
            flight.news.set()

    async def cancel(self, order: Order) -> None:
        await self._inner.cancel(order)

    async def find(self, order: Order) -> OrderReport | None:
        return await self._inner.find(order)

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        fills = await self._inner.fills(order, report)
        if fills and self.poll is not None:
            self.poll.on_fill()
        return fills
