"""Simulated Binance and Bybit on loopback ports, with faults between them and the bot on command.

Requests go straight to the exchanges, through `Requests`, which loses them or their answers. Private streams go through
`Relay`, which drops, repeats and swallows messages.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.account import FundingPayment
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill, Order, OrderType, Side, TimeInForce
from bot.settings import EndpointSettings, Settings
from exchanges.binance.actions import BinanceActions
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests import venue_http
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import PriceBand, VenueRules, rules_of
from exchanges.simulator.binance.app import BinanceServer
from exchanges.simulator.bybit.gateway import BybitGateway
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.core.values import Listing
from tests.unit.sim_account_market import FixedMarket

D = Decimal
VENUES = ("binance", "bybit")
venue_http._CONNECT_S = 30.0  # a busy machine takes its time to accept
PATIENCE_S = 60
UNLIMITED = BybitOptions(limit_factor=0, requests_per_ip=0, withdraw_interval_s=0)


def instrument(venue: str, segment: Segment) -> Instrument:
    is_spot = segment is Segment.SPOT
    return Instrument(
        venue=venue, segment=segment, symbol="BTC/USDT" if is_spot else "BTC/USDT:USDT", base="BTC", quote="USDT",
        settle=None if is_spot else "USDT", tick_size=D("0.1"), lot_size=D("0.001"), min_quantity=D("0.001"),
        min_notional=D("5"),
    )  # fmt: skip


INSTRUMENTS = [instrument(venue, segment) for venue in VENUES for segment in (Segment.SPOT, Segment.LINEAR)]
BY_FEED = {one.feed: {"BTCUSDT": one} for one in INSTRUMENTS}
FEES = {feed: FeeSchedule(feed=feed, maker_bps=D(10), taker_bps=D(10), source="settings") for feed in BY_FEED}


def of(venue: str, segment: Segment) -> Instrument:
    return next(one for one in INSTRUMENTS if one.feed == Feed(venue=venue, segment=segment))


class ShownMarket(FixedMarket):
    """Books of what `show` put there."""

    def __init__(self) -> None:
        super().__init__()
        self.listings: Sequence[Listing] = [Listing(one, "BTCUSDT", 1, 3) for one in INSTRUMENTS]

    def show(self, what: Instrument, bid: str, ask: str, quantity: str = "1") -> None:
        lots = int(D(quantity) / what.lot_size)
        ticks = [int(D(price) / what.tick_size) for price in (bid, ask)]
        mark = (D(bid) + D(ask)) / 2
        self.quote(INSTRUMENTS.index(what), {ticks[0]: lots}, {ticks[1]: lots}, mark)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Requests:
    """What happens to requests; each fault happens once, to the next request whose path ends so."""

    def __init__(self) -> None:
        self.lose: list[str] = []
        self.lose_answer: list[str] = []
        self.fail: list[tuple[str, int]] = []
        self.answer: dict[str, Callable[[], web.Response]] = {}
        """By method and path: said instead of what the exchange would say, as long as it stands here."""
        self.hold: dict[str, asyncio.Event] = {}
        self.seen: list[tuple[str, str]] = []
        self.too_many: list[str] = []
        """What an exchange answered with: too many requests."""

    def count(self, method: str, end: str) -> int:
        return sum(1 for seen, path in self.seen if seen == method and path.endswith(end))

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        key = f"{request.method} {request.path}"
        if self._due(self.lose, key):
            return _cut(request)
        if key in self.answer:
            return self.answer[key]()
        response = await handler(request)
        if response.status in (403, 418, 429) or _is_limited(response):
            self.too_many.append(key)
        if self._due(self.lose_answer, key):
            return _cut(request)
        for ending, status in list(self.fail):
            if key.endswith(ending):
                self.fail.remove((ending, status))
                return web.Response(status=status, text="oops")
        held = next((event for end, event in self.hold.items() if key.endswith(end)), None)
        if held is not None:
            await held.wait()
        return response

    def _due(self, faults: list[str], key: str) -> bool:
        ending = next((one for one in faults if key.endswith(one)), None)
        if ending is not None:
            faults.remove(ending)
        return ending is not None


def _is_limited(response: web.StreamResponse) -> bool:
    return isinstance(response, web.Response) and '"retCode":10006' in (response.text or "")


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class Relay:
    """Carries private sockets; `change` says what becomes of each message from the venue."""

    def __init__(self) -> None:
        self.upstream = ""
        self.change: Callable[[str], list[str]] = lambda text: [text]
        self.is_refusing = False
        self.refuses: Callable[[str], bool] = lambda path: False
        self.heard: Callable[[str], object] = lambda text: None
        self.connects = 0
        self._open: list[web.Request] = []
        self.told: list[str] = []

    def cut(self) -> None:
        for request in list(self._open):
            if request.transport is not None:
                request.transport.abort()

    async def carry(self, request: web.Request) -> web.StreamResponse:
        if self.is_refusing or self.refuses(request.path):
            return web.Response(status=503)
        self.connects += 1
        near = web.WebSocketResponse(compress=False)
        await near.prepare(request)
        self._open.append(request)
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self.upstream}{request.path_qs}") as far,
            ):
                await self._both_ways(near, far)
        finally:
            self._open.remove(request)
        return near

    async def _both_ways(self, near: web.WebSocketResponse, far: aiohttp.ClientWebSocketResponse) -> None:
        async def up() -> None:
            async for message in near:
                self.heard(message.data)
                await far.send_str(message.data)

        async def down() -> None:
            async for message in far:
                self.told.append(message.data)
                for text in self.change(message.data):
                    await near.send_str(text)

        ways = {asyncio.create_task(up()), asyncio.create_task(down())}
        _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


class Heard:
    """A listener that keeps everything, in order."""

    def __init__(self) -> None:
        self.events: list[Order | Fill] = []
        self.funding: list[FundingPayment] = []

    def on_order(self, order: Order) -> None:
        self.events.append(order)

    def on_fill(self, fill: Fill) -> None:
        self.events.append(fill)

    def fills(self, client_order_id: str) -> list[Fill]:
        return [e for e in self.events if isinstance(e, Fill) and e.client_order_id == client_order_id]

    def finals(self, client_order_id: str) -> list[Order]:
        return [e for e in self.events if isinstance(e, Order) and e.client_order_id == client_order_id]


@dataclass
class Rig:
    market: ShownMarket
    exchanges: dict[str, SimulatedExchange]
    pump: Pump
    port: int
    relay_port: int
    requests: Requests
    relay: Relay
    bybit: BybitGateway
    heard: Heard = field(default_factory=Heard)
    log: list[tuple[str, str]] = field(default_factory=list)
    way: str = "rest"
    """How orders go to the venue: `rest` or `socket`."""

    def settings(self, rest: str | None = None, stream: str | None = None) -> Settings:
        endpoint = EndpointSettings(
            rest_url=rest or f"http://127.0.0.1:{self.port}", stream_url=stream or f"ws://127.0.0.1:{self.relay_port}"
        )
        connection = {"backoff_first_s": 0.05, "backoff_cap_s": 0.1}
        venues = {venue: {"spot": endpoint, "linear": endpoint} for venue in VENUES}
        execution = {"order_entry": self.way}
        return Settings.model_validate({"venues": venues, "connection": connection, "execution": execution})

    def keys(self, venue: str) -> ApiKeys:
        found = self.exchanges[venue].credentials
        return ApiKeys(key=SecretStr(found.api_key), secret=SecretStr(found.secret))

    def actions(self, venue: str, settings: Settings | None = None, keys: ApiKeys | None = None, **more: Any) -> Any:
        kind = {"binance": BinanceActions, "bybit": BybitActions}[venue]
        return kind(AccountSetup(
            BY_FEED, keys or self.keys(venue), settings or self.settings(), SystemClock(), random.Random(1), FEES,
            lambda level, text: self.log.append((level, text)), self.heard, self.heard.funding.append, **more,
        ))  # fmt: skip

    def move(self, events: list[Any]) -> None:
        """Let the market do this now."""
        for exchange in self.exchanges.values():
            exchange.on_market(events)


def _rules(venue: str) -> VenueRules:
    rules = rules_of(venue)
    funded = {"USDT": D(100_000), "BTC": D(2)}
    balances = {name: dict(funded) if name in ("spot", "unified") else {"USDT": D(100_000)} for name in rules.balances}
    if "fund" in balances:
        balances["fund"] = {}
    fees = {segment: FEES[Feed(venue=venue, segment=segment)] for segment in (Segment.SPOT, Segment.LINEAR)}
    # Tests name prices that every order meets, or none.
    bands = dict.fromkeys(rules.bands, PriceBand(D(10), D("0.01")))
    return replace(rules, balances=balances, fees=fees, bands=bands)


@contextlib.asynccontextmanager
async def rig(limits: BybitOptions = UNLIMITED, chain: Chain | None = None) -> AsyncIterator[Rig]:
    """Both exchanges; `limits` are Bybit's, Binance always counts. `chain` is what they send to one another over."""
    clock, market = SystemClock(), ShownMarket()
    for one in INSTRUMENTS:
        market.show(one, "50000", "50000.1")
    exchanges = {venue: SimulatedExchange(venue, market, rules=_rules(venue), chain=chain, seed=3) for venue in VENUES}
    pump = Pump(list(exchanges.values()), market, clock)
    requests, relay = Requests(), Relay()

    @web.middleware
    async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)
        return await requests.handle(request, handler)

    binance, bybit = BinanceServer(exchanges["binance"], clock), BybitGateway(exchanges["bybit"], clock, limits)
    venues = web.Application(middlewares=[faulty])
    venues.add_routes([*binance.routes(), *bybit.routes()])
    between = web.Application()
    between.add_routes([web.get("/{path:.*}", relay.carry)])
    async with _served(venues) as port, _served(between) as relay_port:
        relay.upstream = f"ws://127.0.0.1:{port}"
        try:
            yield Rig(market, exchanges, pump, port, relay_port, requests, relay, bybit)
        finally:
            relay.cut()
            binance.close()
            await bybit.close()


@contextlib.asynccontextmanager
async def _served(application: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def started(here: Rig, venue: str) -> AsyncIterator[Any]:
    actions = here.actions(venue)
    await actions.start()
    try:
        yield actions
    finally:
        await actions.stop()


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.002)


def an_order(client_order_id: str, what: Instrument, side: Side = Side.BUY, quantity: str = "0.5",
             price: str | None = "51000", **more: object) -> Order:  # fmt: skip
    fields = {"client_order_id": client_order_id, "instrument": what, "side": side, "quantity": D(quantity),
              "type": OrderType.MARKET if price is None else OrderType.LIMIT, "time_in_force": TimeInForce.IOC,
              "price": None if price is None else D(price), "ts_decision_ns": 1} | more  # fmt: skip
    return Order(**fields)  # type: ignore[arg-type]
