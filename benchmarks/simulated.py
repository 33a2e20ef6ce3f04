"""The simulated exchanges in a process of their own on one core, for what is measured from another one."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import NamedTuple

import uvloop

from benchmarks.apart import apart
from bot.clock import SystemClock
from bot.domain.instrument import Segment
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.binance.app import Options
from exchanges.simulator.binance.limits import Limits, limits_of
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.core.values import NewOrder, OrderView, Refusal
from exchanges.simulator.server import Address, SimulatorServer

SCENARIO = "lively"
_MANY = 10**9


class Usage(NamedTuple):
    """What a process has used of its core by a moment."""

    at_ns: int
    cpu_ns: int

    def since(self, earlier: "Usage") -> float:
        """The part of the core that was used in between: CPU seconds a second."""
        return (self.cpu_ns - earlier.cpu_ns) / (self.at_ns - earlier.at_ns)


def usage() -> Usage:
    """Of this process, now."""
    return Usage(time.perf_counter_ns(), time.process_time_ns())


@dataclass(frozen=True, slots=True)
class Simulated:
    """The running exchanges."""

    address: Address
    commands: Connection

    def usage(self) -> Usage:
        """What the server has used of its core; asking costs it nothing that counts."""
        self.commands.send("usage")
        told: Usage = self.commands.recv()
        return told

    def arrivals(self) -> list[int]:
        """When each order since the last call reached the matching engines, perf_counter ns, in their order."""
        self.commands.send("arrivals")
        told: list[int] = self.commands.recv()
        return told


@contextmanager
def simulated(seed: int = 1, rate: float = 1.0, best_interval_ms: int = 10) -> Iterator[Simulated]:
    """Serve until the block ends.

    Args:
        seed: Of the day.
        rate: Multiple of the rates at which books change.
        best_interval_ms: The least between two frames of Bybit's best prices; its own is 10, 0 sends every change.
    """
    with apart(_serve, seed, rate, best_interval_ms) as commands:
        yield Simulated(commands.recv(), commands)


def _serve(commands: Connection, seed: int, rate: float, best_interval_ms: int) -> None:
    uvloop.run(_run(commands, seed, rate, best_interval_ms))


async def _run(commands: Connection, seed: int, rate: float, best_interval_ms: int) -> None:
    # More orders a second are sent than the exchanges allow; everything else is as shipped.
    limits = {segment: _unlimited(limits_of(segment)) for segment in (Segment.SPOT, Segment.LINEAR)}
    bybit = BybitOptions(limit_factor=0, requests_per_ip=0, best_interval_ms=best_interval_ms)
    server = SimulatorServer(SCENARIO, seed, SystemClock(), rate=rate, binance=Options(limits), bybit=bybit)
    stop = asyncio.Event()

    def on_command() -> None:
        try:
            asked = commands.recv()
        except EOFError:
            stop.set()
            return
        if asked == "usage":
            commands.send(usage())
        else:
            commands.send(list(arrived))
            arrived.clear()

    address = await server.start(0)
    arrived: list[int] = []
    for exchange in (server.binance, server.bybit):
        _note_arrivals(exchange, arrived)
    # As `--mode simulate` does.
    gc.collect()
    gc.freeze()
    commands.send(address)
    asyncio.get_running_loop().add_reader(commands.fileno(), on_command)
    await server.run(stop)


def _note_arrivals(exchange: SimulatedExchange, arrived: list[int]) -> None:
    """Put down when each order is placed. All processes of a machine read one monotonic clock."""
    account = exchange.accounts[0]
    place = account.place

    def noted(order: NewOrder, ts_ns: int) -> OrderView | Refusal:
        arrived.append(time.perf_counter_ns())
        return place(order, ts_ns)

    account.place = noted  # type: ignore[method-assign]


def _unlimited(limits: Limits) -> Limits:
    raw = None if limits.raw is None else replace(limits.raw, limit=_MANY)
    orders = tuple(replace(rate, limit=_MANY) for rate in limits.orders)
    return replace(limits, weight=replace(limits.weight, limit=_MANY), orders=orders, raw=raw)
