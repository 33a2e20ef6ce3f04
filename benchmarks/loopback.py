"""Over a real socket on this machine: sent by a process of its own, decided here; ours against `websockets`."""

import asyncio
import multiprocessing
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter_ns

import uvloop
from websockets.asyncio.client import connect

from benchmarks import loopback_server
from benchmarks.frames import market
from benchmarks.measure import progress
from benchmarks.peers import named
from benchmarks.rig import Rig, temporary_journal
from benchmarks.rows import Row, Target, against
from bot.clock import SystemClock
from bot.settings import ConnectionSettings
from bot.storage.journal import SqliteJournal
from exchanges.common.connection import StreamPlan, SupervisedConnection

_TARGET = Target("ratio", at_most=True, limit=0.7, unit="us")
_A_SECOND = 1_000
_BURST = 2_000


def rows(rounds: int) -> list[Row]:
    """From just before a frame is sent to its decision: the median of each burst; the two clients take turns."""
    ours, theirs = uvloop.run(_measure(rounds))
    name = f"loopback socket to decision, p50 at {_A_SECOND:,} frames/s ({market().source})"
    note = "both clients on uvloop in one process, with the same decoder and an engine each; plain ws, no compression"
    return [against(name, "us", ours, named("websockets"), theirs, _TARGET, note)]


class _Desk:
    """An engine, and when it had decided about each frame."""

    def __init__(self, name: str, server: Connection, journal: SqliteJournal) -> None:
        self._name = name
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
        self._decided_ns: list[int] = []
        self._enough = asyncio.Event()

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        self._decode(raw, ts_recv_ns)
        self._in_batch += 1

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self._decide(ts_recv_ns)
        self._decided_ns.extend([perf_counter_ns()] * self._in_batch)
        self._in_batch = 0
        if len(self._decided_ns) >= _BURST:
            self._enough.set()

    async def burst(self) -> float:
        """Have a burst sent to this client; its median from sending to deciding, us."""
        self._decided_ns.clear()
        self._enough.clear()
        self._server.send((self._name, _BURST))
        sent_ns: list[int] = await asyncio.to_thread(self._server.recv)
        await self._enough.wait()
        return median(after - before for before, after in zip(sent_ns, self._decided_ns, strict=True)) / 1e3


async def _measure(rounds: int) -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(temporary_journal())
        port, server = await stack.enter_async_context(_server(2 + (rounds + 1) * _BURST))
        desks = [_Desk(name, server, journal) for name in ("ours", "theirs")]
        clients: list[AbstractAsyncContextManager[None]] = [_supervised(desks[0], port), _websockets(desks[1], port)]
        for client in clients:
            await stack.enter_async_context(client)
        samples: list[list[float]] = [[], []]
        for turn in range(rounds + 1):
            progress(f"loopback: round {turn} of {rounds}" if turn else "loopback: warming up")
            for side in (0, 1) if turn % 2 else (1, 0):
                sample = await desks[side].burst()
                if turn:
                    samples[side].append(sample)
    return samples[0], samples[1]


@asynccontextmanager
async def _server(frames: int) -> AsyncIterator[tuple[int, Connection]]:
    """The server's process: its port, and the pipe that commands it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    payloads = market().feeds[-1].payloads[:frames]
    process = context.Process(target=loopback_server.serve, args=(there, payloads, _A_SECOND), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(here.recv), here
    finally:
        process.terminate()
        process.join()


@asynccontextmanager
async def _supervised(desk: _Desk, port: int) -> AsyncIterator[None]:
    """Our client, as a run has it."""
    plan = StreamPlan(
        name="loopback",
        feed=market().feeds[-1].instrument.feed,
        url=f"ws://127.0.0.1:{port}/ours",
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
    async with connect(f"ws://127.0.0.1:{port}/theirs", compression=None, proxy=None) as socket:
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
