"""Orders at Kraken, spot, through ccxt; there is no stream of the account: what became of them is asked for."""

from functools import partial

from bot.domain.order import Order
from bot.errors import ClockSkew, VenueError, VenueUnavailable
from exchanges.ccxt.gateway import CcxtGateway
from exchanges.ccxt.history import CcxtHistory
from exchanges.ccxt.orders import CcxtOrders
from exchanges.ccxt.session import Session
from exchanges.ccxt.wire import in_lane
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.polled_actions import PolledActions
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.offset_watch import OffsetWatch
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import AnswerLost
from exchanges.kraken.clock import asking_time
from exchanges.kraken.dead_man import KrakenDeadMan
from exchanges.kraken.deadlines import NEVER_COMES_S, Deadlines
from exchanges.kraken.dialect import KrakenDialect
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url, stream_url
from exchanges.kraken.manners import manners
from exchanges.kraken.request_costs import new_order_cost, rates

COMPARED_EVERY_S = 45.0
"""A look at the account takes up to five of a counter that has fifteen and gives back one in three seconds."""


class KrakenActions(PolledActions):
    """`Actions` on one Kraken account: limit and market orders on spot."""

    def __init__(self, setup: AccountSetup) -> None:
        """Nothing happens before `start`.

        Raises:
            SettingsError: If the key must not be used at the endpoint.
        """
        settings, clock = setup.settings, setup.clock
        own = {one.id: one for listed in setup.listed_at(VENUE).values() for one in listed.values()}
        budget = setup.budget_of(VENUE, rates())
        self._deadlines = Deadlines(clock)
        self._offsets = OffsetWatch(
            partial(asking_time, stream_url(settings)),
            clock,
            on_offset=self._deadlines.on_offset,
            on_trouble=lambda why: setup.log("warning", f"{VENUE}: {why}"),
        )
        session = Session(VENUE, rest_url(settings), setup.keys, manners(budget, clock, self._deadlines.terms))
        self._venue_state = state = setup.state_of(budget, [new_order_cost()])
        session.on_error = self._on_error
        desk = OrderDesk(clock, setup.listener)
        wallets = WalletBook(lambda _: str(SPOT), setup.fees, settings.paper.initial_margin_ratio, locks_margin=False)
        dialect = KrakenDialect(clock)
        orders = CcxtOrders(session, dialect, own)
        account = CcxtGateway(session, SPOT, wallets)
        history = CcxtHistory(session, dialect, orders, own, clock)
        super().__init__(
            desk=desk,
            wallets=wallets,
            funding=FundingDesk(setup.on_funding),
            orders=orders,
            account=account,
            state=state,
            dead_man=KrakenDeadMan(session),
            settings=settings.connection,
            clock=clock,
            rng=setup.rng,
            log=setup.log,
            questions=AskedAccount(
                VENUE, history, orders, account, wallets, desk, state, COMPARED_EVERY_S, unknown_for_s=NEVER_COMES_S
            ),
            never_comes_s=NEVER_COMES_S,
        )

    async def start(self) -> None:
        """Measure Kraken's clock, connect, and ask for balances.

        Raises:
            VenueError: Why it cannot; everything is closed again.
        """
        try:
            await self._offsets.begin()
            if not self._deadlines.is_measured:
                raise VenueUnavailable(VENUE, "does not tell its time, by which it would judge our orders")
            await super().start()
        except BaseException:  # a cancelled start too leaves nothing open
            await self._offsets.stop()
            raise

    async def stop(self) -> None:
        """Close everything. Idempotent."""
        await self._offsets.stop()
        await super().stop()

    def _on_error(self, error: VenueError) -> None:
        self._venue_state.on_error(error)
        if isinstance(error, ClockSkew | VenueUnavailable) and not isinstance(error, AnswerLost):
            self._offsets.begin()  # turned away, perhaps for its time

    async def _leaves_trace(self, order: Order) -> bool:
        # A small counter: in the lane of what can wait this would take longer than a leg may be uneven.
        with in_lane(Lane.REDUCE):
            return await super()._leaves_trace(order)
