"""Over a real socket on this machine: sent by a process of its own, decided here; ours against `websockets`."""

import asyncio
import multiprocessing
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter_ns

import uvloop
from websockets.asyncio.client import connect

from benchmarks import loopback_server
from benchmarks.frames import market
from benchmarks.measure import interleaved, progress
from benchmarks.peers import named
from benchmarks.rig import Rig, temporary_journal
from benchmarks.rows import Row, Target, against
from bot.clock import SystemClock
from bot.settings import ConnectionSettings
from bot.storage.journal import SqliteJournal
from exchanges.common.market.connection import StreamPlan, SupervisedConnection

_TARGET = Target("ratio", at_most=True, limit=0.7, unit="us")
_A_SECOND = 1_000
_BURST = 2_000
_WARM_UP = 300


def rows(rounds: int) -> list[Row]:
    """From just before a frame is sent to its decision: the median of each burst; the clients take turns."""
    with _server() as (port, server), temporary_journal() as journal:
        turn = partial(_burst, port, server, journal)
        ours, theirs, theirs_on_uvloop = interleaved(
            rounds,
            lambda: uvloop.run(turn(_supervised)),
            lambda: asyncio.run(turn(_websockets)),
            lambda: uvloop.run(turn(_websockets)),
        )
    name = f"loopback socket to decision, p50 at {_A_SECOND:,} frames/s ({market().source})"
    note = "ours: supervised picows on uvloop; both: the same decoder and engine, plain ws without compression"
    peer = named("websockets")
    return [
        against(f"{name}, websockets on asyncio", "us", ours, peer, theirs, _TARGET, note),
        against(f"{name}, websockets on uvloop", "us", ours, peer, theirs_on_uvloop, None, note),
    ]


async def _burst(port: int, server: Connection, journal: SqliteJournal, client: "_Connect") -> float:
    """One client's median, connected anew with an engine of its own, after a burst that warms it up."""
    desk = _Desk(server, journal)
    async with client(desk, port):
        await desk.burst(_WARM_UP)
        progress("loopback: a burst")
        return await desk.burst(_BURST)


class _Desk:
    """An engine, and when it had decided about each frame."""

    def __init__(self, server: Connection, journal: SqliteJournal) -> None:
        self._server = server
        self.clock = SystemClock()
        source = market()
        rig = Rig(source, self.clock, journal)
        rig.engine.start()
        self._decode, self._decide = rig.on_frame[-1], rig.engine.on_batch_end
        # Only the last feed comes through the socket; one quote of the other is enough for the route to be compared.
        ts_ns, raw = source.feeds[0].lines[0]
        rig.on_frame[0](raw, ts_ns)
        self._in_batch = 0
        self._wanted = 0
        self._decided_ns: list[int] = []
        self._enough = asyncio.Event()

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        self._decode(raw, ts_recv_ns)
        self._in_batch += 1

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self._decide(ts_recv_ns)
        self._decided_ns.extend([perf_counter_ns()] * self._in_batch)
        self._in_batch = 0
        if len(self._decided_ns) >= self._wanted:
            self._enough.set()

    async def burst(self, frames: int) -> float:
        """Have a burst sent to this client; its median from sending to deciding, us."""
        self._decided_ns.clear()
        self._enough.clear()
        self._wanted = frames
        self._server.send(frames)
        sent_ns: list[int] = await asyncio.to_thread(self._server.recv)
        await self._enough.wait()
        return median(after - before for before, after in zip(sent_ns, self._decided_ns, strict=True)) / 1e3


@contextmanager
def _server() -> Iterator[tuple[int, Connection]]:
    """The server's process: its port, and the pipe that commands it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    payloads = market().feeds[-1].payloads[: 1 + _WARM_UP + _BURST]
    process = context.Process(target=loopback_server.serve, args=(there, payloads, _A_SECOND), daemon=True)
    process.start()
    try:
        yield here.recv(), here
    finally:
        process.terminate()
        process.join()


@asynccontextmanager
async def _supervised(desk: _Desk, port: int) -> AsyncIterator[None]:
    """Our client, as a run has it."""
    plan = StreamPlan(
        name="loopback",
        feed=market().feeds[-1].instrument.feed,
        url=f"ws://127.0.0.1:{port}/",
        streams=("quotes",),
        data_prefix=b"{",
        route_hint="",
    )
    connection = SupervisedConnection(
        plan,
        settings=ConnectionSettings(silence_timeout_s=600.0, stale_after_s=600.0),
        clock=desk.clock,
        rng=random.Random(1),
        on_frame=desk.on_frame,
        on_batch_end=desk.on_batch_end,
        on_state=lambda state, detail: None,
    )
    await connection.start()
    try:
        yield
    finally:
        await connection.stop()


@asynccontextmanager
async def _websockets(desk: _Desk, port: int) -> AsyncIterator[None]:
    """The peer: each message decoded and decided by the same code as soon as `websockets` hands it over."""
    async with connect(f"ws://127.0.0.1:{port}/", compression=None, proxy=None) as socket:
        await socket.recv()
        reading = asyncio.create_task(_read(socket, desk))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait({reading})


async def _read(socket: object, desk: _Desk) -> None:
    now_ns = desk.clock.now_ns
    while True:
        raw = await socket.recv(decode=False)  # type: ignore[attr-defined]
        ts_recv_ns = now_ns()
        desk.on_frame(raw, ts_recv_ns)
        desk.on_batch_end(ts_recv_ns)


_Connect = Callable[[_Desk, int], AbstractAsyncContextManager[None]]
