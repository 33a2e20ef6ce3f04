"""The supervised connection against a server on this machine that misbehaves in every way a venue has."""

import asyncio
import base64
import hashlib
import json
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bot.clock import SystemClock, Timer
from bot.domain.instrument import Feed
from bot.errors import Banned, ExitCode, GeoBlocked, VenueUnavailable
from bot.ports import FeedState
from bot.settings import ConnectionSettings
from exchanges.common.market.connection import StreamPlan, SupervisedConnection, backoff_s

FEED = Feed.parse("binance.linear")
GEO = {451: "Binance does not serve this place (HTTP 451)", 403: "Binance's firewall refuses this address (HTTP 403)"}
SHORT_S = 2.0
"""A patience that a test waits for, longer than a busy machine keeps a handshake waiting."""


def data(number: int) -> bytes:
    return b'{"stream":"ethusdt@bookTicker","data":{"u":%d}}' % number


class Peer(WSListener):
    """One accepted socket of the server."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.got: list[bytes] = []
        self.gone = asyncio.Event()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.server.peers.append(self)
        self.server.script(len(self.server.peers) - 1, self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
            return
        self.got.append(frame.get_payload_as_bytes())
        self.server.answer(self, self.got[-1])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()

    def send(self, payload: bytes, kind: WSMsgType = WSMsgType.TEXT, *, fin: bool = True) -> None:
        assert self.transport is not None
        self.transport.send(kind, payload, fin=fin)

    def drop(self) -> None:
        assert self.transport is not None
        self.transport.disconnect(graceful=False)


@dataclass
class Server:
    script: Callable[[int, Peer], None]
    answer: Callable[[Peer, bytes], None] = lambda peer, message: None
    refuse: Callable[[int], int | None] = lambda attempt: None
    peers: list[Peer] = field(default_factory=list)
    attempts: int = 0
    url: str = ""

    def accept(self, request: WSUpgradeRequest) -> Peer | WSUpgradeResponseWithListener:
        status = self.refuse(self.attempts)
        self.attempts += 1
        if status is None:
            return Peer(self)
        response = WSUpgradeResponse.create_error_response(
            HTTPStatus(status), b"no", {"Retry-After": "7"} if status == 418 else {}
        )
        return WSUpgradeResponseWithListener(response, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        server = await ws_create_server(self.accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self
            for peer in self.peers:
                peer.drop()
                await peer.gone.wait()


class Client:
    """A supervised connection and everything it said."""

    def __init__(self, url: str, *, clock: SystemClock | None = None, **overrides: object) -> None:
        plan_keys = {"subscribe", "heartbeat", "heartbeat_every_s"}
        plan_overrides = {key: overrides.pop(key) for key in list(overrides) if key in plan_keys}
        limits = {
            "first_frame_timeout_s": 30.0, "silence_timeout_s": 5.0, "stale_after_s": 2.0,
            "backoff_first_s": 0.01, "backoff_cap_s": 0.05,
        }  # fmt: skip
        self.frames: list[bytes] = []
        self.received_ns: list[int] = []
        self.batches: list[int] = []
        self.states: list[tuple[FeedState, str]] = []
        self.consume: Callable[[bytes], None] = lambda payload: None
        self.changed = asyncio.Event()
        self.connection = SupervisedConnection(
            StreamPlan(
                name="binance.linear /public", feed=FEED, url=url, streams=("ethusdt@bookTicker",),
                data_prefix=b'{"stream"', route_hint="book tickers are on /public", refused_status=GEO,
                **plan_overrides,
            ),
            settings=ConnectionSettings(**(limits | overrides)), clock=clock or SystemClock(), rng=random.Random(1),
            on_frame=self.on_frame, on_batch_end=self.on_batch_end, on_state=self.on_state,
        )  # fmt: skip

    def on_frame(self, payload: bytes, ts_recv_ns: int) -> None:
        self.frames.append(payload)
        self.received_ns.append(ts_recv_ns)
        self.consume(payload)
        self.changed.set()

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self.batches.append(len(self.frames))
        self.changed.set()

    def on_state(self, state: FeedState, detail: str) -> None:
        self.states.append((state, detail))
        self.changed.set()

    def seen(self, state: FeedState) -> list[str]:
        return [detail for known, detail in self.states if known is state]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def started(server: Server, **overrides: object) -> AsyncIterator[Client]:
    async with server.running():
        client = Client(server.url, **overrides)
        try:
            await client.connection.start()
            yield client
        finally:
            await client.connection.stop()


async def test_start_returns_with_the_first_data_frame_and_every_frame_is_delivered_in_order() -> None:
    def script(_: int, peer: Peer) -> None:
        peer.send(b'{"result":null,"id":1}')
        for number in range(50):
            peer.send(data(number))

    before = SystemClock().now_ns()
    async with started(Server(script)) as client:
        await client.until(lambda: len(client.frames) == 51 and client.batches[-1:] == [51])
        assert client.frames == [b'{"result":null,"id":1}', *map(data, range(50))]
        assert before <= client.received_ns[0] <= client.received_ns[-1] <= SystemClock().now_ns()
        assert client.connection.last_frame_ns == client.received_ns[-1]
        assert [state for state, _ in client.states] == [FeedState.CONNECTING, FeedState.LIVE]
        assert client.connection.reconnects == 0
    assert client.states[-1][0] is FeedState.CLOSED


async def test_a_batch_that_a_ping_closes_still_ends_and_the_ping_is_answered() -> None:
    def script(_: int, peer: Peer) -> None:
        assert peer.transport is not None
        peer.send(data(1))
        peer.transport.send_ping(b"are you there")

    server = Server(script)
    async with started(server) as client:
        await client.until(lambda: client.batches[-1:] == [1])
        async with asyncio.timeout(60):
            while b"are you there" not in server.peers[0].got:
                await asyncio.sleep(0)


async def test_subscriptions_and_heartbeats_are_sent_and_sent_again_on_a_new_link() -> None:
    def answer(peer: Peer, message: bytes) -> None:
        if message == b"subscribe":
            peer.send(data(len(server.peers)))
        elif len(server.peers) == 1:
            peer.drop()
        else:
            peer.send(b'{"op":"pong"}')

    server = Server(lambda _, peer: None, answer)
    options = {"subscribe": (b"subscribe",), "heartbeat": b"ping", "heartbeat_every_s": 0.02}
    async with started(server, **options) as client:
        await client.until(lambda: b'{"op":"pong"}' in client.frames)
        assert [peer.got[0] for peer in server.peers] == [b"subscribe", b"subscribe"]
        assert client.connection.reconnects == 1


async def test_fault_02_acknowledged_and_silent_names_the_stream_and_the_route() -> None:
    def answer(peer: Peer, message: bytes) -> None:
        peer.send(b'{"result":null,"id":1}')

    async with Server(lambda _, peer: None, answer).running() as server:
        client = Client(server.url, subscribe=(b"subscribe",), first_frame_timeout_s=SHORT_S)
        with pytest.raises(VenueUnavailable) as caught:
            await client.connection.start()
        await client.connection.stop()
    words = str(caught.value)
    for part in ("acknowledged, but no frame", f"{SHORT_S:g} s", "ethusdt@bookTicker", "book tickers are on /public"):
        assert part in words
    assert client.seen(FeedState.FAILED) == [words]
    assert caught.value.exit_code is ExitCode.PREFLIGHT


@pytest.mark.parametrize("status", GEO)
async def test_a_geo_blocked_handshake_is_named_and_not_tried_again(status: int) -> None:
    async with Server(lambda _, peer: None, refuse=lambda attempt: status).running() as server:
        client = Client(server.url)
        with pytest.raises(GeoBlocked, match=str(status)):
            await client.connection.start()
        assert server.attempts == 1
        assert client.states[-1][0] is FeedState.FAILED
        await client.connection.stop()


async def test_a_geo_block_that_comes_later_ends_the_feed() -> None:
    server = Server(lambda _, peer: peer.send(data(1)), refuse=lambda attempt: 451 if attempt else None)
    async with started(server) as client:
        server.peers[0].drop()
        await client.until(lambda: bool(client.seen(FeedState.FAILED)))
        assert server.attempts == 2


class Hasty(SystemClock):
    """A hundred seconds in one."""

    def monotonic_ns(self) -> int:
        return 100 * super().monotonic_ns()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return super().call_later(delay_s / 100, callback)


async def test_fault_28_a_firewall_that_refuses_for_a_while_does_not_end_the_feed() -> None:
    """Bybit's 403 also means ten minutes of silence: each refusal is waited for longer than the one before."""
    server = Server(lambda _, peer: peer.send(data(1)), refuse=lambda attempt: 403 if 1 <= attempt <= 3 else None)
    patient = {"first_frame_timeout_s": 600.0, "silence_timeout_s": 600.0, "stale_after_s": 300.0}
    async with started(server, clock=Hasty(), **patient) as client:
        server.peers[0].drop()
        await client.until(lambda: len(server.peers) == 2 and client.states[-1][0] is FeedState.LIVE)
        told = [words for words in client.seen(FeedState.RECONNECTING) if "403" in words]
        waits_s = [float(words.rpartition("again in ")[2].removesuffix(" s")) for words in told]
        assert len(waits_s) == 3
        assert 1.0 < waits_s[0] < waits_s[1] < waits_s[2] <= 40.0
        assert not client.seen(FeedState.FAILED)


async def test_fault_27_a_planned_reconnect_that_is_refused_waits_as_long_as_the_venue_says() -> None:
    clock, asked_s = Hasty(), list[float]()

    def refuse(attempt: int) -> int | None:
        asked_s.append(clock.monotonic_ns() / 1e9)
        return 418 if 1 <= attempt <= 2 else None  # Retry-After: 7

    server = Server(lambda _, peer: peer.send(data(1)), refuse=refuse)
    patient = {"first_frame_timeout_s": 600.0, "silence_timeout_s": 600.0, "stale_after_s": 300.0}
    async with started(server, clock=clock, planned_reconnect_h=0.01, **patient) as client:
        await client.until(lambda: len(server.peers) == 2)
        assert len(asked_s) == 4
        assert min(asked_s[2] - asked_s[1], asked_s[3] - asked_s[2]) >= 7.0
        assert not client.seen(FeedState.RECONNECTING)


@pytest.mark.parametrize("goodbye", [WSCloseCode.OK, None])
async def test_fault_03_after_a_close_a_link_that_takes_the_subscription_and_serves_nothing_is_replaced_too(
    goodbye: WSCloseCode | None,
) -> None:
    def answer(peer: Peer, message: bytes) -> None:
        peer.send(b'{"result":null,"id":1}')
        index = server.peers.index(peer)
        if index != 1:
            peer.send(data(index))
        if index == 0 and goodbye is None:
            peer.drop()  # what a client sees as 1006
        elif index == 0:
            assert peer.transport is not None
            peer.transport.send_close(goodbye)
            peer.transport.disconnect()

    server = Server(lambda _, peer: None, answer)
    async with started(server, subscribe=(b"subscribe",), first_frame_timeout_s=SHORT_S) as client:
        await client.until(lambda: data(2) in client.frames)
        assert [peer.got[:1] for peer in server.peers] == [[b"subscribe"]] * 3
        kinds = [state for state, _ in client.states]
        away = kinds[kinds.index(FeedState.RECONNECTING) : -1]
        assert set(away) == {FeedState.RECONNECTING}, "not called live while no data came"
        assert kinds[-1] is FeedState.LIVE
        assert "acknowledged, but no frame" in client.seen(FeedState.RECONNECTING)[-1]


async def test_fault_04_a_ban_is_obeyed_for_as_long_as_the_venue_says() -> None:
    server = Server(lambda _, peer: peer.send(data(1)), refuse=lambda attempt: 418 if attempt else None)
    async with started(server) as client:
        server.peers[0].drop()
        await client.until(lambda: any("418" in words for words in client.seen(FeedState.RECONNECTING)))
        assert client.states[-1][1].endswith("again in 7.0 s")


async def test_handshakes_refused_again_and_again_at_the_start_are_told() -> None:
    async with Server(lambda _, peer: None, refuse=lambda attempt: 503).running() as server:
        client = Client(server.url, first_frame_timeout_s=SHORT_S)
        with pytest.raises(VenueUnavailable, match="HTTP 503"):
            await client.connection.start()
        await client.connection.stop()
        assert server.attempts > 2


async def test_a_ban_at_the_start_is_told_at_once() -> None:
    async with Server(lambda _, peer: None, refuse=lambda attempt: 418).running() as server:
        client = Client(server.url, first_frame_timeout_s=SHORT_S)
        with pytest.raises(Banned) as caught:
            await client.connection.start()
        await client.connection.stop()
        assert caught.value.retry_after_s == 7.0
        assert server.attempts == 1


async def test_one_refused_handshake_at_the_start_does_no_harm() -> None:
    server = Server(lambda _, peer: peer.send(data(1)), refuse=lambda attempt: None if attempt else 503)
    async with started(server) as client:
        assert client.frames == [data(1)]
        assert server.attempts == 2


async def test_nobody_listening_is_told_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"ws://127.0.0.1:{free.getsockname()[1]}", first_frame_timeout_s=SHORT_S)
        with pytest.raises(VenueUnavailable, match="cannot connect"):
            await client.connection.start()
        await client.connection.stop()


async def test_a_dropped_link_is_replaced_and_says_why() -> None:
    def script(index: int, peer: Peer) -> None:
        peer.send(data(index))
        if index == 0:
            assert peer.transport is not None
            peer.transport.send_close(WSCloseCode.GOING_AWAY, b"rest\x1b[2Jart")

    async with started(Server(script)) as client:
        await client.until(lambda: client.frames == [data(0), data(1)])
        assert client.connection.reconnects == 1
        assert "code 1001 rest?[2Jart" in client.seen(FeedState.RECONNECTING)[0]


async def test_fault_04_a_server_that_drops_every_link_is_dialled_at_a_bounded_rate() -> None:
    def script(_: int, peer: Peer) -> None:
        peer.send(data(1))
        assert peer.transport is not None
        peer.transport.disconnect()

    async with started(Server(script), backoff_cap_s=0.04, backoff_first_s=0.005) as client:
        begun = time.monotonic()
        await client.until(lambda: len(client.seen(FeedState.RECONNECTING)) == 12)
    waits = [float(words.split()[-2]) for words in client.seen(FeedState.RECONNECTING)]
    assert waits[-1] <= 0.04
    assert time.monotonic() - begun >= 0.0025 + 0.005 + 0.01 + 8 * 0.02


async def test_fault_01_silence_is_told_first_and_then_reconnected_even_while_pings_come() -> None:
    async def keep_pinging(peer: Peer) -> None:
        while not peer.gone.is_set():
            assert peer.transport is not None
            peer.transport.send_ping(b"x")
            await asyncio.sleep(0.01)

    def script(index: int, peer: Peer) -> None:
        peer.send(data(index))
        pinging.append(asyncio.create_task(keep_pinging(peer)))

    pinging: list[asyncio.Task[None]] = []
    async with started(Server(script), stale_after_s=0.05, silence_timeout_s=SHORT_S) as client:
        await client.until(lambda: data(1) in client.frames)
        kinds = [state for state, _ in client.states]
        assert kinds[1:5] == [FeedState.LIVE, FeedState.SILENT, FeedState.RECONNECTING, FeedState.LIVE]
        assert f"no data for {SHORT_S:g} s" in client.seen(FeedState.RECONNECTING)[0]
    await asyncio.gather(*pinging)


async def test_a_feed_that_speaks_again_is_live_again() -> None:
    server = Server(lambda index, peer: peer.send(data(index)))
    async with started(server, stale_after_s=0.05) as client:
        await client.until(lambda: bool(client.seen(FeedState.SILENT)))
        server.peers[0].send(data(7))
        await client.until(lambda: len(client.seen(FeedState.LIVE)) == 2)
        assert len(server.peers) == 1


async def test_fault_05_the_planned_reconnect_delivers_before_the_old_link_closes_and_nothing_twice() -> None:
    def script(index: int, peer: Peer) -> None:
        if index != 1:
            peer.send(data(index))
        else:
            still_open.append(not server.peers[0].gone.is_set())
            server.peers[0].send(data(10))
            asyncio.get_running_loop().call_later(0.03, hand_over, peer)

    def hand_over(peer: Peer) -> None:
        server.peers[0].send(data(11))
        peer.send(data(12))

    still_open: list[bool] = []
    server = Server(script)
    async with started(server, planned_reconnect_h=0.05 / 3600) as client:
        await client.until(lambda: data(12) in client.frames)
        await asyncio.wait_for(server.peers[0].gone.wait(), 60)
        assert still_open == [True]
        assert client.frames[:4] == [data(0), data(10), data(11), data(12)]
        assert not client.seen(FeedState.RECONNECTING)


async def test_fault_05_a_planned_reconnect_that_fails_keeps_the_old_link() -> None:
    server = Server(lambda index, peer: peer.send(data(index)), refuse=lambda attempt: 503 if attempt == 1 else None)
    async with started(server, planned_reconnect_h=0.05 / 3600) as client:
        await client.until(lambda: len(client.seen(FeedState.LIVE)) >= 2)
        assert "planned reconnect has to wait" in client.seen(FeedState.LIVE)[1]
        assert not server.peers[0].gone.is_set()
        assert not client.seen(FeedState.RECONNECTING)


async def test_fragments_are_assembled() -> None:
    def script(_: int, peer: Peer) -> None:
        whole = data(3)
        peer.send(whole[:5], fin=False)
        peer.send(b"beat", WSMsgType.PING)
        peer.send(whole[5:9], WSMsgType.CONTINUATION, fin=False)
        peer.send(whole[9:], WSMsgType.CONTINUATION)
        peer.send(data(4))

    async with started(Server(script)) as client:
        await client.until(lambda: len(client.frames) == 2)
        assert client.frames == [data(3), data(4)]


@pytest.mark.parametrize("fragmented", [True, False])
async def test_fault_16_an_oversized_message_recycles_the_link(fragmented: bool) -> None:
    def script(index: int, peer: Peer) -> None:
        peer.send(data(index))
        if index == 0 and fragmented:
            peer.send(b"x" * 800, fin=False)
            peer.send(b"x" * 800, WSMsgType.CONTINUATION, fin=False)
        elif index == 0:
            peer.send(b"x" * 1600)

    async with started(Server(script), max_frame_bytes=1024) as client:
        await client.until(lambda: data(1) in client.frames)
        assert client.frames == [data(0), data(1)]
        assert "1024" in client.seen(FeedState.RECONNECTING)[0]


async def test_a_failing_consumer_gets_no_further_frame_and_is_not_a_network_fault() -> None:
    def script(_: int, peer: Peer) -> None:
        for number in range(3):
            peer.send(data(number))

    def fail(payload: bytes) -> None:
        if payload == data(1):
            raise ZeroDivisionError("a bug")

    async with Server(script).running() as server:
        reported: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        client = Client(server.url)
        client.consume = fail
        await client.connection.start()
        await client.until(lambda: bool(client.seen(FeedState.FAILED)) and bool(reported))
        assert isinstance(reported[0]["exception"], ZeroDivisionError)
        assert client.frames == [data(0), data(1)]
        assert server.attempts == 1
        await client.connection.stop()


async def test_nothing_is_delivered_after_stop_has_begun() -> None:
    def script(_: int, peer: Peer) -> None:
        peer.send(data(0))
        flood.append(asyncio.create_task(keep_sending(peer)))

    async def keep_sending(peer: Peer) -> None:
        while not peer.gone.is_set():
            peer.send(data(1))
            await asyncio.sleep(0)

    flood: list[asyncio.Task[None]] = []
    async with started(Server(script)) as client:
        await client.until(lambda: len(client.frames) > 10)
        stopping = asyncio.create_task(client.connection.stop())
        await asyncio.sleep(0)
        count = len(client.frames)
        await stopping
        assert len(client.frames) == count
        assert client.states[-1][0] is FeedState.CLOSED
        await client.connection.stop()
        assert len(client.seen(FeedState.CLOSED)) == 1
    await asyncio.gather(*flood)


class FloodingServer(threading.Thread):
    """Sends as fast as the socket takes it, on its own thread; `sent` counts what the network accepted."""

    def __init__(self, frames: int, frame: bytes) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}"
        self.frames, self.frame, self.sent = frames, frame, 0

    def run(self) -> None:
        peer, _ = self.listener.accept()
        with peer, self.listener:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            key = next(line for line in peer.recv(4096).split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            digest = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            peer.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            header = bytes([0x81, 126]) + len(self.frame).to_bytes(2, "big")
            for _ in range(self.frames):
                peer.sendall(header + self.frame)
                self.sent += 1
            peer.recv(4096)


async def test_fault_17_a_slow_consumer_holds_the_venue_back_and_nothing_piles_up() -> None:
    frame = json.dumps({"stream": "ethusdt@bookTicker", "data": "x" * 1950}).replace(" ", "").encode()
    total = 40_000  # 80 MB: ten times what the sockets of both sides may hold
    server = FloodingServer(total, frame)
    server.start()
    client = Client(server.url)
    ahead: list[int] = []

    def slow(payload: bytes) -> None:
        client.frames.clear()
        client.received_ns.clear()
        seen[0] += 1
        if seen[0] == 10:
            wait_until_stuck(server)
            ahead.append(server.sent - seen[0])

    seen = [0]
    client.consume = slow
    await client.connection.start()
    await client.until(lambda: seen[0] == total)
    await client.connection.stop()
    assert ahead[0] < total / 4, "the venue was not held back"


def wait_until_stuck(server: FloodingServer) -> None:
    sent = -1
    while server.sent != sent:
        sent = server.sent
        time.sleep(0.05)


def test_back_off_doubles_up_to_the_cap_and_is_jittered_down_only() -> None:
    settings = ConnectionSettings(backoff_first_s=0.25, backoff_cap_s=30.0)
    rng = random.Random(3)
    for attempt in (0, 1, 5, 50, 5000):
        full = min(30.0, 0.25 * 2.0 ** min(attempt, 20))
        waits = [backoff_s(attempt, settings, rng) for _ in range(200)]
        assert full / 2 <= min(waits) < full * 0.6
        assert full * 0.9 < max(waits) <= full
