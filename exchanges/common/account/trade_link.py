"""One socket for orders, from its handshake to its end; `trade_socket.py` decides when there is a new one.

A request is written by the call that makes it, and its answer found by the number that the venue repeats:

    ask -> answered                     done, or raises what the venue says
        -> no answer in time            AnswerLost; the socket is in doubt and takes nothing new until it is heard again
        -> the socket is gone           AnswerLost
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from bot.clock import Clock, Timer
from bot.domain.order import Order
from bot.errors import MalformedPayload, VenueError, VenueUnavailable
from exchanges.common.background import Log
from exchanges.common.market.plan import printable
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.signing_hosts import SigningHosts
from exchanges.common.requests.venue_http import Answer, AnswerLost, of_handshake

PING_EVERY_S = 10.0
PONG_WITHIN_S = 5.0
_MAX_ANSWER_BYTES = 1_048_576
_TEXT = WSMsgType.TEXT
_MESSAGE = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION})


class Request(NamedTuple):
    """What is written, and what it takes of the venue's limits."""

    text: bytes
    cost: Cost


class Reply(NamedTuple):
    """What one message of the venue says."""

    number: str | None = None
    """Of the request that it answers; None where it answers none."""
    answer: Answer | None = None
    """The same as REST would have given it; None where it is no answer."""
    ends: str = ""
    """Why nothing more should be asked on this socket; empty where nothing speaks against it."""


class TradeProtocol(Protocol):
    """How one venue's socket for orders is spoken."""

    venue: str
    name: str
    """For messages."""
    url: str
    hosts: SigningHosts
    """Where the key that it speaks for may be used."""
    heartbeat: bytes | None
    """Sent every `PING_EVERY_S` beside the ping of WebSocket itself; None: that one is enough."""

    handshake: Cost
    """What a connection takes of the venue's limits."""

    def order(self, number: str, order: Order) -> Request | None:
        """The request that places it, good for `ORDER_WINDOW_MS`; None where its instrument is not traded here."""

    def cancel(self, number: str, order: Order) -> Request | None:
        """The request that cancels it; None where its instrument is not traded here."""

    def login(self, number: str) -> bytes | None:
        """The request that logs in; None where every request is signed."""

    def judge(self, cost: Cost, answer: Answer) -> VenueError | None:
        """Why the venue did not do what was asked for `cost`; None where it did. The budget is told of it."""

    def read(self, payload: bytes) -> Reply:
        """What a message says.

        Raises:
            MalformedPayload: If it is not understood.
        """


@dataclass(slots=True)
class _Asked:
    cost: Cost
    answered: asyncio.Future[None]
    deadline: Timer


class TradeLink(WSListener):
    """A connection that writes requests and gives each its answer. All calls come on the loop's thread."""

    def __init__(self, protocol: TradeProtocol, clock: Clock, log: Log) -> None:
        self._protocol = protocol
        self._clock = clock
        self._log = log
        self._transport: WSTransport | None = None
        self._asked: dict[str, _Asked] = {}
        self._fragments = bytearray()
        self._is_in_doubt = False
        self._is_retired = False
        self._timers: dict[Callable[[], None], Timer] = {}
        self._reason = ""
        self.strays = 0
        """Answers that nobody waited for: late, doubled, or to a number that was never sent."""

    @property
    def is_ready(self) -> bool:
        """Whether what is asked now goes out at once, as far as can be told on this side of the wire."""
        transport = self._transport
        if transport is None or self._is_in_doubt or self._is_retired or transport.is_disconnected:
            return False
        # Bytes that wait are a peer that does not read.
        return not transport.is_close_frame_sent and not transport.underlying_transport.get_write_buffer_size()

    def ask(self, number: str, request: Request, within_s: float) -> asyncio.Future[None]:
        """Write a request, before this returns; the future tells what the venue said.

        Only while `is_ready`: picows swallows what is sent on a socket that is gone.

        Raises (the future):
            AnswerLost: It was written, and no answer came in time.
            VenueError: What the venue answered.
        """
        self.write(request)
        return self.answer(number, request, within_s)

    def write(self, request: Request) -> None:
        """Write a request, before this returns; `answer` has to be called for it before the loop turns."""
        assert self._transport is not None, "asked on a link that is connected"
        self._transport.send(_TEXT, request.text)

    def answer(self, number: str, request: Request, within_s: float) -> asyncio.Future[None]:
        """What the venue says to a request that has just been written; raises as that of `ask` does."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(_seen)
        deadline = self._clock.call_later(within_s, lambda: self._too_late(number, within_s))
        self._asked[number] = _Asked(request.cost, answered, deadline)
        return answered

    async def log_in(self, number: str, within_s: float) -> None:
        """Log in where the venue wants it.

        Raises:
            VenueError: Why the venue does not want us.
        """
        text = self._protocol.login(number)
        if text is not None:
            await self.ask(number, Request(text, {}), within_s)

    def retire(self, reason: str) -> None:
        """Take nothing new, and go once what was asked is answered; `ended` answers `reason`."""
        self._reason = self._reason or reason
        self._is_retired = True
        self._go_if_done()

    def abort(self, reason: str) -> None:
        """Let go of the socket at once; `ended` answers `reason`."""
        self._reason = self._reason or reason
        self._is_retired = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def ended(self) -> str:
        """Why the socket is gone, once it is."""
        assert self._transport is not None, "only a link that was connected can end"
        try:
            await self._transport.wait_disconnected()
        except WSError as error:
            return printable(error)
        return self._reason or "the venue closed it"

    # What picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin to look after it; a link that was given up meanwhile goes away again."""
        self._transport = transport
        if self._is_retired:
            transport.disconnect(graceful=False)
            return
        self._in(PING_EVERY_S, self._beat)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take what came."""
        self._is_in_doubt = False
        if (check := self._timers.pop(self._check, None)) is not None:
            check.cancel()
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            self._reason = self._reason or f"the venue closed it with code {frame.get_close_code().value}"
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type in _MESSAGE:
            self._fragments += frame.get_payload_as_bytes()
            if len(self._fragments) > _MAX_ANSWER_BYTES:
                self.abort(f"a message of more than {_MAX_ANSWER_BYTES} bytes")
            elif frame.fin:
                payload = bytes(self._fragments)
                self._fragments.clear()
                self._take(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Nobody answers any more."""
        for timer in self._timers.values():
            timer.cancel()
        for asked in self._asked.values():
            asked.deadline.cancel()
            if not asked.answered.done():
                words = f"the connection was lost: {self._protocol.name}"
                asked.answered.set_exception(AnswerLost(self._protocol.venue, words))
        self._asked.clear()

    # Answers

    def _take(self, payload: bytes) -> None:
        try:
            reply = self._protocol.read(payload)
        except MalformedPayload as error:
            # The request that it may have answered runs into its deadline, and is asked for.
            self._log("error", f"{self._protocol.name}: not understood: {printable(error)}")
            return
        if reply.answer is not None:
            self._settle(reply.number or "", reply.answer)
        if reply.ends:
            self.retire(reply.ends)

    def _settle(self, number: str, answer: Answer) -> None:
        asked = self._asked.pop(number, None)
        error = self._protocol.judge({} if asked is None else asked.cost, answer)
        if asked is None:
            self.strays += 1
            if self.strays == 1:
                words = f"an answer that nobody waits for ({printable(number, 40)}): {error or 'done'}"
                self._log("warning", f"{self._protocol.name}: {words}")
            return
        asked.deadline.cancel()
        if not asked.answered.done():
            if error is None:
                asked.answered.set_result(None)
            else:
                asked.answered.set_exception(error)
        self._go_if_done()

    def _too_late(self, number: str, within_s: float) -> None:
        asked = self._asked.pop(number)
        if not asked.answered.done():
            asked.answered.set_exception(AnswerLost(self._protocol.venue, f"no answer in {within_s:g} s"))
        self._is_in_doubt = True
        self._probe()
        self._go_if_done()

    def _go_if_done(self) -> None:
        transport = self._transport
        if self._is_retired and not self._asked and transport is not None and not transport.is_disconnected:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    # Whether the peer is there

    def _beat(self) -> None:
        assert self._transport is not None
        if self._protocol.heartbeat is not None:
            self._transport.send(_TEXT, self._protocol.heartbeat)
        self._probe()
        self._in(PING_EVERY_S, self._beat)

    def _probe(self) -> None:
        assert self._transport is not None
        self._transport.send_ping(b"")
        if self._check not in self._timers:
            self._in(PONG_WITHIN_S, self._check)

    def _check(self) -> None:
        self.abort(f"nothing was heard for {PONG_WITHIN_S:g} s after a ping")

    def _in(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._timers[callback] = self._clock.call_later(delay_s, callback)


def _seen(answered: asyncio.Future[None]) -> None:
    """Who asked may have been stopped meanwhile: an error that nobody waits for is no failure of the loop's."""
    if not answered.cancelled():
        answered.exception()


async def dial(link: TradeLink, protocol: TradeProtocol, patience_s: float) -> None:
    """Connect `link`.

    Raises:
        SettingsError: If the address is none that the key may be used at.
        VenueError: Why there is no connection.
    """
    venue, name = protocol.venue, protocol.name
    try:
        async with asyncio.timeout(patience_s):
            # No proxy and no redirect: where orders go is what the settings say, nothing else.
            _, listener = await ws_connect(
                lambda *_: link,
                protocol.hosts.require(protocol.url),
                max_frame_size=_MAX_ANSWER_BYTES,
                max_redirects=0,
                proxy=None,
                enable_auto_pong=False,
                websocket_handshake_timeout=patience_s,
            )
    except WSHandshakeError as error:
        if error.response is None:
            raise VenueUnavailable(venue, f"{name}: no WebSocket handshake") from error
        status, retry_after = int(error.response.status), error.response.headers.get("Retry-After", "")
        raise of_handshake(venue, name, status, retry_after) from error
    except TimeoutError as error:
        raise VenueUnavailable(venue, f"{name}: no handshake in {patience_s:g} s") from error
    except (OSError, WSError) as error:
        raise VenueUnavailable(venue, f"{name}: cannot be reached ({type(error).__name__})") from error
    if listener is None:
        raise VenueUnavailable(venue, f"{name}: hung up during the handshake")
