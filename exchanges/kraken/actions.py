"""Orders at Kraken, spot, through ccxt; there is no stream of the account: what became of them is asked for."""

import random
from collections.abc import Mapping

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.ports import OrderListener
from bot.settings import Settings
from exchanges.ccxt.gateway import CcxtGateway
from exchanges.ccxt.history import CcxtHistory
from exchanges.ccxt.orders import CcxtOrders
from exchanges.ccxt.session import Session
from exchanges.ccxt.wire import Manners
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk, OnFunding
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.polled_actions import PolledActions
from exchanges.common.account.streamed_actions import instruments_of
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.dead_man import KrakenDeadMan
from exchanges.kraken.dialect import KrakenDialect
from exchanges.kraken.endpoints import SPOT, VENUE, rest_url
from exchanges.kraken.refusals import complaint
from exchanges.kraken.request_costs import cost, new_order_cost, rates

COMPARED_EVERY_S = 45.0
"""A look at the account takes up to five of a counter that has fifteen and gives back one in three seconds."""


class KrakenActions(PolledActions):
    """`Actions` on one Kraken account: limit and market orders on spot."""

    def __init__(
        self,
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        keys: ApiKeys,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        fees: Mapping[Feed, FeeSchedule],
        log: Log,
        listener: OrderListener | None = None,
        on_funding: OnFunding | None = None,
        budget: RequestBudget | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            by_feed: Feed -> Kraken's symbol -> instrument; feeds of other venues are left aside.
            keys: Of the account.
            settings: `venues.kraken.*` says where Kraken is.
            clock: Stamps requests and drives every timer.
            rng: Not used: there is nothing to connect again.
            fees: What a trade costs, for `affordable_notional`.
            log: Takes lines for a person.
            listener: Hears of orders and fills; may be set later, before the first order.
            on_funding: Never hears anything: spot is paid none.
            budget: What may be asked, where somebody else asks too; None: one of its own.

        Raises:
            SettingsError: If the key must not be used at the endpoint.
        """
        own = {one.id: one for listed in instruments_of(VENUE, by_feed).values() for one in listed.values()}
        budget = budget or RequestBudget(VENUE, rates(), clock)
        session = Session(VENUE, rest_url(settings), keys, Manners(budget, cost, complaint))
        state = VenueState(budget, [new_order_cost()], clock, log)
        state.announce(settings.execution.maintenance.get(VENUE, ()), settings.execution.maintenance_lead_s)
        session.on_error = state.on_error
        desk = OrderDesk(clock, listener)
        wallets = WalletBook(lambda _: str(SPOT), fees, settings.paper.initial_margin_ratio, locks_margin=False)
        dialect = KrakenDialect(clock)
        orders = CcxtOrders(session, dialect, own)
        account = CcxtGateway(session, SPOT, wallets)
        history = CcxtHistory(session, dialect, orders, own, clock)
        super().__init__(
            desk=desk,
            wallets=wallets,
            funding=FundingDesk(on_funding),
            orders=orders,
            account=account,
            state=state,
            dead_man=KrakenDeadMan(session),
            settings=settings.connection,
            clock=clock,
            rng=rng,
            log=log,
            questions=AskedAccount(VENUE, history, orders, account, wallets, desk, between_s=COMPARED_EVERY_S),
        )
