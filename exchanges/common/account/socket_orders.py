"""Orders over a venue's socket while there is one, and by REST while there is none; never both for one order."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from bot.domain.instrument import Feed
from bot.domain.order import Fill, Order
from exchanges.common.account.order_carrier import OrderGateway
from exchanges.common.account.order_desk import OrderReport
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.requests.outcome import cancelling


class RestOrders(OrderGateway, Protocol):
    """A venue's orders over REST, which also knows what a socket's answer means for an order."""

    async def settle(self, order: Order, sending: Awaitable[object]) -> None:
        """What `sending` it over a socket came to.

        Raises:
            OrderRejected: The venue refused it.
            OrderOutcomeUnknown: It may have arrived, or not.
            VenueError: It did not arrive, or was turned away unread.
        """


class SocketOrders:
    """An `OrderGateway`: what must be quick over the sockets, what is asked afterwards over REST."""

    def __init__(self, rest: RestOrders, sockets: Mapping[Feed, TradeSocket]) -> None:
        """Feeds without a socket go over REST alone."""
        self._rest = rest
        self._sockets = {(feed.venue, feed.segment): socket for feed, socket in sockets.items()}
        """By what a feed is made of: to look for a feed is to compare models."""

    def _socket(self, order: Order) -> TradeSocket | None:
        return self._sockets.get((order.instrument.venue, order.instrument.segment))

    def prepare(self, order: Order) -> tuple[Callable[[], bool], Callable[[Order], Awaitable[None]]] | None:
        """Spell and sign what `place` of this order will write over a socket; nothing is sent.

        Returns what writes it, where it may still leave then, and what `write` returns; None: it was not prepared.
        """
        socket = self._socket(order)
        ready = None if socket is None else socket.prepare(order)
        return None if ready is None else (ready[0], partial(self._settle, ready[1]))

    def write(self, order: Order) -> Callable[[Order], Awaitable[None]]:
        """Write it over a socket, before this returns; what is returned goes on from there, or by REST.

        It is called before the loop turns, with the order as it was sent.
        """
        socket = self._socket(order)
        answer = None if socket is None else socket.write(order)
        # Whether it goes by REST is settled before a byte of it is written.
        return self._rest.place if answer is None else partial(self._settle, answer)

    def _settle(self, answer: Callable[[], Awaitable[None]], order: Order) -> Awaitable[None]:
        return self._rest.settle(order, answer())

    def place(self, order: Order) -> Awaitable[None]:
        """Send it; over a socket it has been written when this returns.

        Raises (what is awaited):
            OrderRejected: The venue refused it.
            OrderOutcomeUnknown: It was written, and what became of it is not known.
            VenueError: It did not arrive.
        """
        return self.write(order)(order)

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; an order that is final or unknown is left as it is.

        Raises:
            VenueError: It could not be asked, or nobody knows whether it was.
        """
        socket = self._socket(order)
        sending = None if socket is None else socket.cancel(order)
        if sending is None:
            await self._rest.cancel(order)
            return
        with cancelling():
            await sending

    async def find(self, order: Order) -> OrderReport | None:
        """What the venue knows of it; None where it knows no such order.

        Raises:
            VenueError: It could not be asked.
        """
        return await self._rest.find(order)

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Its fills so far.

        Raises:
            VenueError: It could not be asked.
        """
        return await self._rest.fills(order, report)
