"""One socket of a plan, from its handshake to its end; `connection.py` decides when there is a new one."""

import asyncio
from collections.abc import Callable

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport

from bot.clock import Clock, Timer
from exchanges.common.market.plan import StreamPlan, printable

_TEXT = WSMsgType.TEXT
_MESSAGE = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION})


class Link(WSListener):
    """Hands over every message, whole, in order and at once, until it is closed.

    Nothing is queued: while the consumer works, nobody reads the socket, and TCP holds the venue back.
    """

    def __init__(
        self,
        plan: StreamPlan,
        *,
        clock: Clock,
        max_message_bytes: int,
        on_frame: Callable[[bytes, int], None],
        on_batch_end: Callable[[int], None],
        on_first_data: Callable[["Link"], None],
    ) -> None:
        self._plan = plan
        self._prefix = plan.data_prefix
        self._alive_prefix = plan.alive_prefix
        self._clock = clock
        self._now_ns = clock.now_ns
        self._max_bytes = max_message_bytes
        self._on_frame = on_frame
        self._on_batch_end = on_batch_end
        self._on_first_data = on_first_data
        self._fragments: bytearray | None = None
        self._muted = False
        self._has_data = False
        self._heartbeat: Timer | None = None
        self._reason = ""
        self._transport: WSTransport | None = None
        self.last_data_ns = 0
        """When market data came last, UTC ns; 0 before the first."""
        self.first_data: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Ask for the streams; a link that was given up meanwhile goes away again."""
        self._transport = transport
        if self._muted:
            transport.disconnect(graceful=False)
            return
        for message in self._plan.subscribe:
            transport.send(_TEXT, message)
        self._arm_heartbeat()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Deliver a message and, after the last one that was there to read, the end of the batch."""
        if self._muted:
            return
        ts_recv_ns = self._now_ns()
        try:
            if frame.msg_type is _TEXT and frame.fin and self._fragments is None:
                self._deliver(frame.get_payload_as_bytes(), ts_recv_ns)
            else:
                self._on_other(transport, frame, ts_recv_ns)
            if frame.last_in_buffer:
                self._on_batch_end(ts_recv_ns)
        except BaseException:  # whatever it is, it is raised again
            # A consumer that fails is our bug: not one more frame of this buffer may reach it. picows closes the
            # socket and hands the exception to `ended`.
            self._muted = True
            raise

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Fall silent."""
        self._mute()

    async def ended(self) -> str:
        """Why the socket is gone, once it is.

        Raises:
            Exception: Whatever the consumer of the frames raised.
        """
        assert self._transport is not None, "only a link that was connected can end"
        try:
            await self._transport.wait_disconnected()
        except WSError as error:
            return printable(error)
        return self._reason or _farewell(self._transport)

    def close(self) -> None:
        """Deliver nothing more and say goodbye."""
        self._mute()
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def abort(self, reason: str) -> None:
        """Deliver nothing more and let go of the socket at once; `ended` answers `reason`."""
        self._mute()
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _mute(self) -> None:
        self._muted = True
        self._fragments = None
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    def _deliver(self, payload: bytes, ts_recv_ns: int) -> None:
        if len(payload) > self._max_bytes:
            # picows refuses a larger frame by its header, and still hands it over if the rest comes very quickly.
            self._refuse_size()
            return
        if payload.startswith(self._prefix):
            self.last_data_ns = ts_recv_ns
            if not self._has_data:
                self._begin()
        elif self._has_data and self._alive_prefix is not None and payload.startswith(self._alive_prefix):
            # The market is quiet, not the connection; before the first data it proves nothing.
            self.last_data_ns = ts_recv_ns
        self._on_frame(payload, ts_recv_ns)

    def _begin(self) -> None:
        self._has_data = True
        self._on_first_data(self)
        if not self.first_data.done():
            self.first_data.set_result(None)

    def _on_other(self, transport: WSTransport, frame: WSFrame, ts_recv_ns: int) -> None:
        # picows would answer pings by itself, and then swallow the end of a batch that one of them closes.
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type in _MESSAGE:
            self._assemble(frame, ts_recv_ns)

    def _assemble(self, frame: WSFrame, ts_recv_ns: int) -> None:
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += frame.get_payload_as_bytes()
        if len(self._fragments) > self._max_bytes:
            self._refuse_size()
        elif frame.fin:
            payload, self._fragments = bytes(self._fragments), None
            self._deliver(payload, ts_recv_ns)

    def _refuse_size(self) -> None:
        self.abort(f"a message of more than {self._max_bytes} bytes")

    def _arm_heartbeat(self) -> None:
        if self._plan.heartbeat is not None:
            self._heartbeat = self._clock.call_later(self._plan.heartbeat_every_s, self._beat)

    def _beat(self) -> None:
        if self._transport is not None and self._plan.heartbeat is not None and not self._muted:
            self._transport.send(_TEXT, self._plan.heartbeat)
            self._arm_heartbeat()


def _farewell(transport: WSTransport) -> str:
    handshake = transport.close_handshake
    if handshake is None or handshake.recv is None:
        return "the connection broke without a goodbye"
    words = printable(handshake.recv.reason or "")
    return f"the venue closed it with code {handshake.recv.code.value} {words}".rstrip()
