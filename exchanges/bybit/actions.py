"""Orders at Bybit: spot and linear on the unified account, by socket or REST, the truth by private stream."""

import random
from collections.abc import Mapping
from urllib.parse import urlsplit

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.errors import SettingsError
from bot.ports import OrderListener
from bot.settings import Settings
from exchanges.bybit.account_history import BybitHistory
from exchanges.bybit.account_requests import WALLET, BybitAccount
from exchanges.bybit.dead_man import BybitDeadMan
from exchanges.bybit.endpoints import rest_url, stream_url
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE
from exchanges.bybit.order_requests import BybitOrders
from exchanges.bybit.private_stream import BybitPrivateStream, PrivateTopics
from exchanges.bybit.request_costs import new_order_cost, rates
from exchanges.bybit.signed_rest import SignedRest
from exchanges.bybit.trade_socket import BybitTrade
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk, OnFunding
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.socket_orders import SocketOrders
from exchanges.common.account.streamed_actions import StreamedActions, instruments_of
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import VenueHttp


class BybitActions(StreamedActions):
    """`Actions` on one Bybit unified account: limit and market orders on spot and linear, one-way position mode."""

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
            by_feed: Feed -> Bybit's symbol -> instrument; feeds of other venues are left aside.
            keys: Of the account.
            settings: `venues.bybit.*` says where Bybit is.
            clock: Stamps requests and drives every timer.
            rng: Jitter of reconnects.
            fees: What a trade costs, for `affordable_notional`.
            log: Takes lines for a person.
            listener: Hears of orders and fills; may be set later, before the first order.
            on_funding: Hears of funding payments; may be set later.
            budget: What may be asked, where somebody else asks too; None: one of its own.

        Raises:
            SettingsError: If the key must not be used at an endpoint, or endpoints differ between the feeds.
        """
        own = instruments_of(VENUE, by_feed)
        rest_base, stream_base = _endpoints(own, settings)
        private_url = f"{stream_base}/v5/private"
        budget = budget or RequestBudget(VENUE, rates(), clock)
        http = VenueHttp(VENUE, clock, budget, keys.hosts)
        rest = SignedRest(rest_base, keys, http, clock)
        state = VenueState(budget, [new_order_cost(feed) for feed in own], clock, log)
        state.announce(settings.execution.maintenance.get(VENUE, ()), settings.execution.maintenance_lead_s)
        rest.on_error = state.on_error
        desk = OrderDesk(clock, listener)
        # Bybit itself counts what positions tie up.
        wallets = WalletBook(lambda _: WALLET, fees, settings.paper.initial_margin_ratio, locks_margin=False)
        funding = FundingDesk(on_funding)
        symbols = {instrument.id: symbol for listed in own.values() for symbol, instrument in listed.items()}
        sockets: list[TradeSocket] = []
        if settings.execution.order_entry == "socket":
            protocol = BybitTrade(f"{stream_base}/v5/trade", rest, symbols)
            connection = settings.connection
            sockets = [TradeSocket(protocol, budget=budget, settings=connection, clock=clock, rng=rng, log=log)]
        orders = BybitOrders(rest, symbols)
        account = BybitAccount(rest, own, http, wallets, clock)
        history = BybitHistory(rest, own, clock)
        stream = BybitPrivateStream(private_url, rest, http, PrivateTopics(own, desk, wallets, funding, log))
        super().__init__(
            desk=desk,
            wallets=wallets,
            funding=funding,
            orders=SocketOrders(orders, {feed: socket for feed in own for socket in sockets}),
            account=account,
            questions=AskedAccount(VENUE, history, orders, account, wallets, desk),
            protocols=[stream],
            state=state,
            dead_man=BybitDeadMan(rest, stream),
            settings=settings.connection,
            clock=clock,
            rng=rng,
            log=log,
            trade_sockets=sockets,
        )
        stream.on_unprotected = self.switch.on_refused


def _endpoints(own: Mapping[Feed, object], settings: Settings) -> tuple[str, str]:
    """Bases of REST and of the streams of the one account that all feeds share."""
    feeds = [feed for feed in (LINEAR, SPOT) if feed in own] or [LINEAR]
    bases = {rest_url(feed, settings) for feed in feeds}
    streams = {urlsplit(stream_url(feed, settings)) for feed in feeds}
    hosts = {f"{stream.scheme}://{stream.netloc}" for stream in streams}
    if len(bases) > 1 or len(hosts) > 1:
        raise SettingsError("venues.bybit: spot and linear are one account and must have the same URLs")
    return bases.pop(), hosts.pop()
