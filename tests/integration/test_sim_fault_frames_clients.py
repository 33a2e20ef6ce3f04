"""Public client libraries while stream frames of the simulated exchanges go wrong."""

import warnings
from typing import Any

import pytest

from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.values import Fault
from tests.integration.sim_binance_server import SimBinance
from tests.integration.test_sim_binance_ccxt import venue, within
from tests.integration.test_sim_binance_library import connected, until

with warnings.catch_warnings():
    # ccxt and what it pins use calls that their own dependencies have deprecated.
    warnings.simplefilter("ignore")
    from ccxt.base.errors import InvalidNonce, NetworkError

# ccxt leaves sockets to the garbage collector when it is closed in the middle of an await.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def order(sim: SimBinance, kind: FaultKind, **fields: Any) -> int:
    return sim.server.faults.order(Fault(fault=kind, venue="binance", **fields))


async def test_ccxt_notices_a_gap_and_begins_anew() -> None:
    async with venue("binanceusdm") as (sim, exchange):
        await within(exchange.watch_order_book("BTC/USDT:USDT"))
        order(sim, FaultKind.GAP, amount=2, count=1, for_s=60, match="depthUpdate")

        async def until_it_breaks() -> None:
            while True:
                await exchange.watch_order_book("BTC/USDT:USDT")

        with pytest.raises(InvalidNonce):
            await within(until_it_breaks())
        book = await within(exchange.watch_order_book("BTC/USDT:USDT"))
        assert book["bids"][0][0] < book["asks"][0][0]


async def test_ccxt_sees_a_cut_as_a_network_error_and_comes_back() -> None:
    async with venue("binanceusdm") as (sim, exchange):
        await within(exchange.watch_bids_asks(["BTC/USDT:USDT"]))
        order(sim, FaultKind.CUT)

        async def until_it_breaks() -> None:
            while True:
                await exchange.watch_bids_asks(["BTC/USDT:USDT"])

        with pytest.raises(NetworkError):
            await within(until_it_breaks())
        assert await within(exchange.watch_bids_asks(["BTC/USDT:USDT"]))


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.DAY_CUT])
async def test_python_binance_reconnects_after_a_cut(kind: FaultKind) -> None:
    async with connected() as (sim, _client, manager), manager.symbol_book_ticker_socket("BTCUSDT") as socket:
        first = await until(socket, lambda message: "u" in message)
        (before,) = sim.server.sockets._open
        order(sim, kind)
        await until(socket, lambda _: sim.server.sockets._open and before not in sim.server.sockets._open)
        assert (await until(socket, lambda message: "u" in message))["u"] > first["u"]


async def test_python_binance_hands_on_what_is_spoiled() -> None:
    async with connected() as (sim, _client, manager), manager.symbol_book_ticker_socket("BTCUSDT") as socket:
        order(sim, FaultKind.NOT_A_NUMBER, count=1, for_s=60, match='"u"')
        spoiled = await until(socket, lambda message: message.get("b") == "NaN")
        assert (spoiled["s"], spoiled["A"]) == ("BTCUSDT", "NaN")
        order(sim, FaultKind.CROSSED, count=1, for_s=60, match='"u"')
        assert await until(socket, lambda message: float(message["b"]) > float(message["a"]))
