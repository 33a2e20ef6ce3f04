"""A venue's private stream kept alive: heartbeats, back-off, a login for every connection, and word of every gap."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import aiohttp

from bot.clock import Clock
from bot.errors import AuthenticationFailed, MalformedPayload, VenueError, VenueUnavailable
from bot.settings import ConnectionSettings
from exchanges.common.background import Log, pause, report_failure
from exchanges.common.market.connection import backoff_s
from exchanges.common.market.plan import printable

PROTOCOL_PING_S = 10.0
"""WebSocket pings: a peer that does not answer one within half of this is gone."""
_ENDS = frozenset({aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED})


class PrivateProtocol(Protocol):
    """How one venue's private stream is spoken."""

    venue: str
    name: str
    """For messages."""
    beat_every_s: float

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that is logged in and subscribed.

        Raises:
            VenueError: Why there is none.
            MalformedPayload: What came meanwhile is not understood.
            ClientError: The socket broke.
            OSError: The socket broke.
        """

    async def beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """What keeps it alive, every `beat_every_s`.

        Raises:
            VenueError: It is no longer served, and has to be replaced.
        """

    def on_text(self, text: str) -> bool:
        """Take one message; False where the stream has ended and a new connection is needed.

        Raises:
            MalformedPayload: If it is not understood.
        """


class StreamWatch(Protocol):
    """Hears whether a private stream is heard."""

    def on_unheard(self, stream: str, why: str) -> None:
        """It is gone."""

    def on_heard(self, stream: str) -> None:
        """It is there again."""

    def on_error(self, error: VenueError) -> None:
        """Our key was refused."""


class PrivateStream:
    """One protocol, connected again and again until it is stopped. All calls come on the loop's thread."""

    def __init__(
        self,
        protocol: PrivateProtocol,
        *,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        on_gap: Callable[[], None],
        watch: StreamWatch,
        log: Log,
    ) -> None:
        """Nothing happens before `start`. `on_gap` is called after every reconnect, and after a message that was not
        understood: something may have been missed. `watch` hears of the time without a stream."""
        self._protocol = protocol
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._on_gap = on_gap
        self._watch = watch
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self.reconnects = 0

    async def start(self) -> None:
        """Connect and log in; from then on it looks after itself.

        Raises:
            VenueError: Why it cannot be connected.
        """
        socket = await self._connected()
        self._task = asyncio.get_running_loop().create_task(self._supervise(socket))
        self._task.add_done_callback(report_failure)

    async def stop(self) -> None:
        """Close it; nothing is delivered afterwards. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _supervise(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            why = await self._serve(socket)
            self._watch.on_unheard(self._protocol.name, why)
            self._log("warning", f"{self._protocol.name}: {why}; connecting again")
            again = await self._reconnect()
            if again is None:
                return
            socket = again
            self.reconnects += 1
            self._log("info", f"{self._protocol.name}: connected again, asking for what was missed")
            self._watch.on_heard(self._protocol.name)
            self._on_gap()

    async def _reconnect(self) -> aiohttp.ClientWebSocketResponse | None:
        """A new socket; None where only a person can help."""
        attempt = 0
        while True:
            try:
                return await self._connected()
            except AuthenticationFailed as error:
                self._log("error", f"{self._protocol.name}: {error}; the account is no longer heard")
                self._watch.on_error(error)
                return None
            except VenueError as error:
                wait_s = max(backoff_s(attempt, self._settings, self._rng), error.retry_after_s or 0.0)
                self._log("warning", f"{self._protocol.name}: {error}; again in {wait_s:.1f} s")
            attempt += 1
            await pause(self._clock, wait_s)

    async def _connected(self) -> aiohttp.ClientWebSocketResponse:
        """A new socket; whatever goes wrong with one is no bug of ours, and another one may do.

        Raises:
            VenueError: Why there is none.
        """
        try:
            return await self._protocol.connect()
        except MalformedPayload as error:
            words = f"a message during the login to the private stream is not understood: {printable(error)}"
            raise VenueUnavailable(self._protocol.venue, words) from error
        except (aiohttp.ClientError, OSError) as error:
            words = f"the private stream broke during its login ({type(error).__name__})"
            raise VenueUnavailable(self._protocol.venue, words) from None

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """Why it ended."""
        beats = asyncio.create_task(self._beat(socket))
        try:
            return await self._read(socket) or (beats.result() if beats.done() else "closed by the venue")
        finally:
            beats.cancel()
            await asyncio.wait({beats})
            # The venue may be gone without a word: a goodbye that is not answered must not hold up the next login.
            with suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(1.0):
                    await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                if not self._take(message.data):
                    return "the venue ended it"
            elif message.type in _ENDS:
                return ""
            elif message.type is aiohttp.WSMsgType.ERROR:
                return f"broken ({type(message.data).__name__})"

    def _take(self, text: str) -> bool:
        try:
            return self._protocol.on_text(text)
        except MalformedPayload as error:
            self._log("error", f"{self._protocol.name}: not understood: {printable(error)}; asking instead")
            self._on_gap()
            return True

    async def _beat(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        while True:
            await pause(self._clock, self._protocol.beat_every_s)
            try:
                await self._protocol.beat(socket)
            except VenueError as error:
                await socket.close()
                return str(error)
            except (aiohttp.ClientError, OSError) as error:
                return f"broken ({type(error).__name__})"
