"""A simulated Kraken on a loopback port, spoken to by the real ccxt, with faults on command between the two."""

import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.settings import EndpointSettings, Settings
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.kraken.actions import KrakenActions
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import PriceBand, rules_of
from exchanges.simulator.core.values import Listing
from exchanges.simulator.kraken.gateway import KrakenGateway
from tests.integration.actions_rig import Heard, Requests
from tests.unit.sim_account_market import FixedMarket

D = Decimal
BTC = Instrument(
    venue="kraken", segment=Segment.SPOT, symbol="BTC/USDT", base="BTC", quote="USDT", tick_size=D("0.1"),
    lot_size=D("0.00000001"), min_quantity=D("0.00005"), min_notional=D("0.5"),
)  # fmt: skip
OLD = BTC.model_copy(update={"symbol": "BTC/USD", "quote": "USD"})
"""Of two assets with old names: `XXBTZUSD` in lists of trades, `XBTUSD` in those of orders."""
BY_FEED = {BTC.feed: {"BTC/USDT": BTC, "BTC/USD": OLD}}
FEES = {BTC.feed: FeeSchedule(feed=BTC.feed, maker_bps=D(25), taker_bps=D(40), source="settings")}
PRIVATE = "POST /0/private/"


class ShownMarket(FixedMarket):
    """One book, as `show` put it there."""

    def __init__(self) -> None:
        super().__init__()
        self.listings: Sequence[Listing] = [Listing(BTC, "XBTUSDT", 1, 8), Listing(OLD, "XXBTZUSD", 1, 8)]

    def show(self, bid: str, ask: str, quantity: str = "1") -> None:
        lots = int(D(quantity) / BTC.lot_size)
        ticks = [int(D(price) / BTC.tick_size) for price in (bid, ask)]
        for index in range(2):
            self.quote(index, {ticks[0]: lots}, {ticks[1]: lots}, (D(bid) + D(ask)) / 2)


@dataclass
class Kraken:
    """The exchange, and what a test needs of it."""

    market: ShownMarket
    exchange: SimulatedExchange
    requests: Requests
    url: str = ""
    heard: Heard = field(default_factory=Heard)
    log: list[tuple[str, str]] = field(default_factory=list)

    def keys(self) -> ApiKeys:
        found = self.exchange.credentials
        return ApiKeys(key=SecretStr(found.api_key), secret=SecretStr(found.secret))

    def settings(self) -> Settings:
        here = EndpointSettings(rest_url=self.url, stream_url=f"ws{self.url.removeprefix('http')}/kraken/v2")
        return Settings.model_validate({"venues": {"kraken": {"spot": here}}, "market": "simulated"})

    def actions(self, keys: ApiKeys | None = None, **more: Any) -> KrakenActions:
        return KrakenActions(AccountSetup(
            BY_FEED, keys or self.keys(), self.settings(), SystemClock(), random.Random(1), FEES,
            lambda level, text: self.log.append((level, text)), self.heard, **more,
        ))  # fmt: skip

    def balance(self, asset: str) -> Decimal:
        """By the exchange's own books."""
        account = self.exchange.account(self.exchange.credentials.api_key)
        assert account is not None
        return next(one.total for one in account.balances() if one.asset == asset)

    def orders(self) -> int:
        account = self.exchange.account(self.exchange.credentials.api_key)
        assert account is not None
        return len(account.orders(None))


@contextlib.asynccontextmanager
async def kraken(*, is_counting: bool = False) -> AsyncIterator[Kraken]:
    """Kraken with a bid of 50,000 and an ask of 50,000.1; `is_counting`: its counter of requests is on."""
    clock, market = SystemClock(), ShownMarket()
    market.show("50000", "50000.1")
    rules = rules_of("kraken")
    rules = replace(rules, bands=dict.fromkeys(rules.bands, PriceBand(D(10), D("0.01"))),
                    balances={"spot": {"USDT": D(100_000), "USD": D(100_000), "BTC": D(2)}})  # fmt: skip
    exchange = SimulatedExchange("kraken", market, rules=rules, seed=3)
    Pump([exchange], market, clock)
    requests, gateway = Requests(), KrakenGateway(exchange, clock, is_counting=is_counting)

    @web.middleware
    async def faulty(request: web.Request, handler: Any) -> web.StreamResponse:
        return await requests.handle(request, handler)

    app = web.Application(middlewares=[faulty])
    app.add_routes(gateway.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Kraken(market, exchange, requests, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await gateway.close()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def trading(here: Kraken, **more: Any) -> AsyncIterator[KrakenActions]:
    """Its account, started."""
    actions = here.actions(**more)
    await actions.start()
    try:
        yield actions
    finally:
        await actions.stop()
