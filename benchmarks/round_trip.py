"""How long an order takes to the simulated exchanges and back, and how late their market is meanwhile."""

import asyncio
import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import count
from time import perf_counter_ns
from typing import NamedTuple

import uvloop

from benchmarks import echo
from benchmarks.apart import apart
from benchmarks.chains import ages_ms
from benchmarks.measure import progress, quantile
from benchmarks.order_wires import SYMBOL, Wire, order_wires
from benchmarks.rows import Row, Target, against, figure
from benchmarks.simulated import SCENARIO, Simulated, simulated
from benchmarks.subscribers import BareSocket, bare_reading
from bot.domain.instrument import Feed, Instrument
from bot.domain.order import Order, OrderType, Side, TimeInForce
from exchanges.binance import shipped as binance
from exchanges.bybit import shipped as bybit
from exchanges.simulator.market.listings import FIRST_PRICES

_A_SECOND = 200
_BURST_S = 3.0
_P50 = Target("value", at_most=True, limit=1.0, unit="ms")
_P99 = Target("value", at_most=True, limit=5.0, unit="ms")
_WATCHED = Feed.parse("binance.linear")
_QUANTITY = Decimal("0.002")
_SPENT = "what it used with orders less what it used without, an order: what else runs on the machine is not in it"
_IDLE, _ECHO = "no orders", "binance echo"


class _Burst(NamedTuple):
    """One burst over one wire, or the same time without orders."""

    p50_ms: float
    p99_ms: float
    longest_ms: float
    age_p50_ms: float
    age_p99_ms: float
    core: float
    """The server's part of its core."""


def rows(rounds: int) -> list[Row]:
    """Round trips of each wire beside those of an echo; the age of quotes on arrival with orders and without."""
    with simulated() as server, apart(echo.serve) as echoing:
        bursts = uvloop.run(_measure(server, echoing.recv(), rounds))
    note = (
        f"{_A_SECOND} IOC orders a second that fill, BTC spot and perpetual, buys and sells in turn, {_BURST_S:g} s a "
        f"round; {SCENARIO} at its own rate; server and client each on a core; from before signing to the answer read; "
        "echo: the same text to a picows server on the same core that sends it back"
    )
    idle, echoed = bursts.pop(_IDLE), bursts.pop(_ECHO)
    found: list[Row] = []
    for name, several in bursts.items():
        for part, at, target in (("p50", 0, _P50), ("p99", 1, _P99), ("longest", 2, None)):
            ours, theirs = [one[at] for one in several], [one[at] for one in echoed]
            found.append(against(f"order round trip, {name}, {part}", "ms", ours, "echo", theirs, target, note))
        spent = [(one.core - without.core) / _A_SECOND * 1e3 for one, without in zip(several, idle, strict=True)]
        found.append(figure(f"order, {name}, the server's own CPU time", "ms", spent, None, _SPENT))
    late = [one for several in bursts.values() for one in several]
    return [*found, *_ages(late, [one for one in idle for _ in bursts])]


def _ages(late: Sequence[_Burst], quiet: Sequence[_Burst]) -> Iterator[Row]:
    note = "Binance's perpetual quotes, from the exchange's time (whole ms, rounded down) to a bare socket"
    for part, at in (("p50", 3), ("p99", 4)):
        ours, without = [one[at] for one in late], [one[at] for one in quiet]
        yield against(f"age of quotes while orders come, {part}", "ms", ours, _IDLE, without, None, note)


async def _measure(server: Simulated, echo_port: int, rounds: int) -> dict[str, list[_Burst]]:
    bursts: defaultdict[str, list[_Burst]] = defaultdict(list)
    orders = _Orders()
    async with AsyncExitStack() as stack:
        watched = (await stack.enter_async_context(bare_reading(server.address, [_WATCHED])))[_WATCHED]
        wires = await stack.enter_async_context(order_wires(server.address, echo_port))
        for number in range(rounds + 1):
            progress(f"order round trip: round {number} of {rounds}")
            turn: list[Wire | None] = [None, *wires]
            for wire in turn if number % 2 else reversed(turn):
                burst = await _burst(server, wire, orders, watched)
                if number:  # the first one warms up
                    bursts[_IDLE if wire is None else f"{wire.venue} {wire.name}"].append(burst)
    return bursts


async def _burst(server: Simulated, wire: Wire | None, orders: "_Orders", watched: Sequence[BareSocket]) -> _Burst:
    gc.collect()
    await asyncio.sleep(0.2)  # what came during the collection is read
    for socket in watched:
        socket.take()
    used = await asyncio.to_thread(server.usage)
    took_ms = await _send(wire, orders.next(wire.venue)) if wire is not None else await _wait()
    core = (await asyncio.to_thread(server.usage)).since(used)
    ages = sorted(age for socket in watched for age in ages_ms(socket.take()))
    took_ms.sort()
    return _Burst(
        quantile(took_ms, 0.5), quantile(took_ms, 0.99), took_ms[-1], quantile(ages, 0.5), quantile(ages, 0.99), core
    )


async def _wait() -> list[float]:
    await asyncio.sleep(_BURST_S)
    return [0.0]


async def _send(wire: Wire, orders: Sequence[Order]) -> list[float]:
    """Each at its time, whether the one before it is answered or not."""
    took_ms: list[float] = []

    async def send(order: Order) -> None:
        begun_ns = perf_counter_ns()
        await wire.send(order)
        took_ms.append((perf_counter_ns() - begun_ns) / 1e6)

    begun_ns = perf_counter_ns()
    async with asyncio.TaskGroup() as group:
        for number, order in enumerate(orders):
            due_ns = begun_ns + number * 1_000_000_000 // _A_SECOND
            await asyncio.sleep(max(0.0, (due_ns - perf_counter_ns()) / 1e9))
            group.create_task(send(order))
    return took_ms


class _Orders:
    """Orders that the book fills at once, however far it has wandered meanwhile."""

    def __init__(self) -> None:
        self._numbers = count()
        feeds = {"binance": binance.INSTRUMENTS, "bybit": bybit.INSTRUMENTS}
        self._instruments: Mapping[str, Sequence[Instrument]] = {
            venue: [known[Feed.parse(f"{venue}.{segment}")][SYMBOL] for segment in ("linear", "spot")]
            for venue, known in feeds.items()
        }
        first = Decimal(FIRST_PRICES["BTC"])
        self._prices = {Side.BUY: first * Decimal("1.01"), Side.SELL: first * Decimal("0.99")}

    def next(self, venue: str) -> list[Order]:
        """A burst of them."""
        return [self._order(venue, number) for number in range(round(_A_SECOND * _BURST_S))]

    def _order(self, venue: str, number: int) -> Order:
        instrument = self._instruments[venue][number % 2]
        side = Side.BUY if number // 2 % 2 == 0 else Side.SELL
        return Order(
            client_order_id=f"b-{next(self._numbers)}",
            instrument=instrument,
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            quantity=_QUANTITY,
            price=instrument.floor_price(self._prices[side]),
            ts_decision_ns=0,
        )
