"""Orders at Binance: spot and USDⓈ-M, by socket or REST, the truth by the user-data streams."""

from collections.abc import Mapping

from bot.domain.instrument import Feed, Instrument
from exchanges.binance.account_history import BinanceHistory
from exchanges.binance.account_requests import BinanceAccount
from exchanges.binance.dead_man import BinanceDeadMan
from exchanges.binance.endpoints import LINEAR, SPOT, VENUE, order_socket_url, private_url, rest_url
from exchanges.binance.order_requests import BinanceOrders
from exchanges.binance.private_streams import FuturesUserStream, SpotUserStream, UserEvents
from exchanges.binance.request_costs import new_order_cost, rates
from exchanges.binance.signed_rest import SignedRest
from exchanges.binance.trade_socket import BinanceTrade
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.private_stream import PrivateProtocol
from exchanges.common.account.socket_orders import SocketOrders
from exchanges.common.account.streamed_actions import StreamedActions
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import VenueHttp

_STREAMS: Mapping[Feed, type[SpotUserStream] | type[FuturesUserStream]] = {
    SPOT: SpotUserStream,
    LINEAR: FuturesUserStream,
}


class BinanceActions(StreamedActions):
    """`Actions` on one Binance account: limit and market orders on spot and USDⓈ-M, one-way position mode."""

    def __init__(self, setup: AccountSetup) -> None:
        """Nothing happens before `start`.

        Raises:
            SettingsError: If the key must not be used at an endpoint, or a feed cannot be traded.
        """
        settings, clock, rng, log = setup.settings, setup.clock, setup.rng, setup.log
        own = setup.listed_at(VENUE)
        budget = setup.budget_of(VENUE, rates())
        http = VenueHttp(VENUE, clock, budget, setup.keys.hosts)
        rests = {feed: SignedRest(feed, rest_url(feed, settings), setup.keys, http, clock) for feed in own}
        state = setup.state_of(budget, map(new_order_cost, own))
        for rest in rests.values():
            rest.on_error = state.on_error
        desk = OrderDesk(clock, setup.listener)
        # Balances of USDⓈ-M leave out what positions tie up; spot has no positions.
        wallets = WalletBook(_wallet, setup.fees, settings.paper.initial_margin_ratio, locks_margin=True)
        funding = FundingDesk(setup.on_funding)
        symbols = {instrument.id: symbol for listed in own.values() for symbol, instrument in listed.items()}
        protocols: list[PrivateProtocol] = [
            _STREAMS[feed](
                private_url(feed, settings),
                rest,
                http,
                UserEvents(feed, own[feed], desk, wallets, funding.due.set, log),
            )
            for feed, rest in rests.items()
        ]
        sockets: dict[Feed, TradeSocket] = {}
        if settings.execution.order_entry == "socket":
            for feed, rest in rests.items():
                protocol = BinanceTrade(feed, order_socket_url(feed, settings), rest, symbols)
                sockets[feed] = TradeSocket(
                    protocol, budget=budget, settings=settings.connection, clock=clock, rng=rng, log=log
                )
        orders = BinanceOrders(rests, symbols, clock)
        account = BinanceAccount(rests, own, http, wallets, clock)
        history = BinanceHistory(rests, own, clock)
        super().__init__(
            desk=desk,
            wallets=wallets,
            funding=funding,
            orders=SocketOrders(orders, sockets),
            account=account,
            questions=AskedAccount(VENUE, history, orders, account, wallets, desk, state),
            protocols=protocols,
            state=state,
            dead_man=BinanceDeadMan(rests.get(LINEAR), symbols),
            settings=settings.connection,
            clock=clock,
            rng=rng,
            log=log,
            trade_sockets=list(sockets.values()),
        )


def _wallet(instrument: Instrument) -> str:
    return str(instrument.feed)
