"""The two orders of a pair through ccxt: the same intents on the disk first, then both requests gathered."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from time import perf_counter_ns
from typing import Any

import aiohttp

from benchmarks.order_stamps import QUANTITY, Sent, StampingJournal
from bot.clock import SystemClock
from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.ports import RecordKind
from exchanges.simulator.market.listings import FIRST_PRICES
from exchanges.simulator.server import Address


class CcxtPair:
    """ccxt's asynchronous clients of both venues, connected and with their markets loaded."""

    def __init__(self, clients: dict[str, Any], written: dict[str, int], journal: StampingJournal) -> None:
        self._clients = clients
        self._written = written
        self._journal = journal

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: Address, journal: StampingJournal) -> AsyncIterator["CcxtPair"]:
        """On these exchanges, until the block ends."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ccxt and what it pins use what their own dependencies have deprecated
            import ccxt.async_support as ccxt
        url, written = address.url, dict[str, int]()
        own = {"apiKey": address.credentials.api_key, "secret": address.credentials.secret, "enableRateLimit": False}
        paths = {"public": "/api/v3", "private": "/api/v3", "v1": "/api/v1", "sapi": "/sapi/v1", "sapiV2": "/sapi/v2"}
        clients = {
            "binance": ccxt.binance(
                {
                    **own,
                    "urls": {"api": {name: url + path for name, path in paths.items()}},
                    "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
                }
            ),
            "bybit": ccxt.bybit(
                {
                    **own,
                    "urls": {"api": dict.fromkeys(("public", "private", "spot", "futures", "v2"), url)},
                    "options": {"fetchMarkets": {"types": ["spot"]}},
                }
            ),
        }
        clients["binance"].has["fetchCurrencies"] = False
        try:
            for venue, client in clients.items():
                client.session = _stamping_session(venue, written)
                client.own_session = True
                await client.load_markets()
            yield cls(clients, written, journal)
        finally:
            for client in clients.values():
                await client.close()

    async def send(self, buy: Instrument, sell: Instrument, number: str) -> Sent:
        """Write the intents, wait for the disk, send both."""
        price = Decimal(FIRST_PRICES["BTC"])
        decided_ns = perf_counter_ns()
        orders = [
            Order(
                client_order_id=f"{number}{side}",
                instrument=instrument,
                side=side,
                type=OrderType.LIMIT,
                time_in_force=TimeInForce.IOC,
                quantity=QUANTITY,
                price=instrument.floor_price(price * factor),
                ts_decision_ns=SystemClock().now_ns(),
            )
            for instrument, side, factor in ((buy, Side.BUY, Decimal("1.01")), (sell, Side.SELL, Decimal("0.99")))
        ]
        for order in orders:
            self._journal.record(
                RecordKind.ORDER, order.client_order_id, order.ts_decision_ns, order.model_dump(mode="json")
            )
        durable = asyncio.get_running_loop().create_future()
        self._journal.when_durable(lambda: durable.set_result(None))
        await durable
        self._written.clear()
        await asyncio.gather(*(self._create(order) for order in orders))
        written_ns = (self._written[buy.venue], self._written[sell.venue])
        return Sent(decided_ns, self._journal.handed_ns, 0, self._journal.durable_ns, written_ns)

    async def _create(self, order: Order) -> None:
        more = {"timeInForce": "IOC", "clientOrderId": order.client_order_id}
        client, symbol = self._clients[order.instrument.venue], order.instrument.symbol
        await client.create_order(
            symbol, "limit", str(order.side), float(order.quantity), float(order.price or 0), more
        )


def _stamping_session(venue: str, written: dict[str, int]) -> aiohttp.ClientSession:
    """As ccxt makes its own, and it notes when a request has been written to its socket.

    aiohttp gives it to its transport right after it has called us, and uvloop's transport writes what it was given in a
    turn when the turn ends: the next thing that the loop calls comes after that.
    """
    trace = aiohttp.TraceConfig()

    def stamp() -> None:
        written[venue] = perf_counter_ns()

    async def on_chunk(session: object, context: object, params: object) -> None:
        asyncio.get_running_loop().call_soon(stamp)

    trace.on_request_chunk_sent.append(on_chunk)
    return aiohttp.ClientSession(trace_configs=[trace], connector=aiohttp.TCPConnector(limit=0), trust_env=False)
