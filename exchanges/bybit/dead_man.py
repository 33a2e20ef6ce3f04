"""Bybit's disconnection protection (DCP): orders of a product are cancelled when its private sockets stay away.

It runs on a socket that has joined a `dcp` topic, from the last sign of life on it. Bybit enables it for an account
when it is asked to.

Source: https://bybit-exchange.github.io/docs/v5/order/dcp.
"""

from bot.domain.instrument import Instrument, Segment
from exchanges.bybit.private_stream import BybitPrivateStream
from exchanges.bybit.signed_rest import SignedRest

_PATH = "/v5/order/disconnected-cancel-all"
_PRODUCTS = {Segment.LINEAR: ("DERIVATIVES", "dcp.future"), Segment.SPOT: ("SPOT", "dcp.spot")}
_SHORTEST_S, _LONGEST_S = 3, 300


class BybitDeadMan:
    """A `DeadManGateway` over the signed REST client and the private stream."""

    def __init__(self, rest: SignedRest, stream: BybitPrivateStream) -> None:
        """Guard orders of `rest`'s account, heard on `stream`."""
        self._rest = rest
        self._stream = stream
        self._windows: dict[str, int] = {}

    def guards(self, instrument: Instrument) -> bool:
        """Whether Bybit protects orders on it."""
        return instrument.segment in _PRODUCTS

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        """Join the topics of these, with this window, and give a sign of life; 0 leaves them.

        Raises:
            Refusal: Bybit refused.
            VenueError: It could not be asked.
        """
        products = {_PRODUCTS[one.segment] for one in instruments}
        if not within_s:
            await self._stream.unprotect(frozenset(topic for _, topic in products))
            return
        window = min(max(round(within_s), _SHORTEST_S), _LONGEST_S)
        for product, topic in sorted(products):
            if self._windows.get(product) != window:
                await self._rest.set_switch(_PATH, {"product": product, "timeWindow": window})
                self._windows[product] = window
            await self._stream.protect(topic)
        await self._stream.sign_of_life()

    def scope(self, instrument: Instrument) -> str:
        """The protection is a product's."""
        product, _ = _PRODUCTS[instrument.segment]
        return product
