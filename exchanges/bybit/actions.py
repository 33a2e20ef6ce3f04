"""Orders at Bybit: spot and linear on the unified account, by socket or REST, the truth by private stream."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from bot.domain.instrument import Feed
from bot.errors import SettingsError
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
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.socket_orders import SocketOrders
from exchanges.common.account.streamed_actions import StreamedActions
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import VenueHttp


class BybitActions(StreamedActions):
    """`Actions` on one Bybit unified account: limit and market orders on spot and linear, one-way position mode."""

    def __init__(self, setup: AccountSetup) -> None:
        """Nothing happens before `start`.

        Raises:
            SettingsError: If the key must not be used at an endpoint, or endpoints differ between the feeds.
        """
        settings, clock, rng, log = setup.settings, setup.clock, setup.rng, setup.log
        own = setup.listed_at(VENUE)
        rest_base, stream_base = _endpoints(own, settings)
        private_url = f"{stream_base}/v5/private"
        budget = setup.budget_of(VENUE, rates())
        http = VenueHttp(VENUE, clock, budget, setup.keys.hosts)
        rest = SignedRest(rest_base, setup.keys, http, clock)
        state = setup.state_of(budget, map(new_order_cost, own))
        rest.on_error = state.on_error
        desk = OrderDesk(clock, setup.listener)
        # Bybit itself counts what positions tie up.
        wallets = WalletBook(lambda _: WALLET, setup.fees, settings.paper.initial_margin_ratio, locks_margin=False)
        funding = FundingDesk(setup.on_funding)
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
            questions=AskedAccount(VENUE, history, orders, account, wallets, desk, state),
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
