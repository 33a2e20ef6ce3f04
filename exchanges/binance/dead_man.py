"""Binance's dead-man switch: USDⓈ-M counts down for each symbol, and cancels its orders at zero. Spot has none.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders.
"""

from collections.abc import Mapping

from bot.domain.instrument import Instrument
from bot.errors import AuthenticationFailed, VenueError
from exchanges.binance.endpoints import LINEAR
from exchanges.binance.signed_rest import SignedRest

_PATH = "/v1/countdownCancelAll"


class BinanceDeadMan:
    """A `DeadManGateway` over USDⓈ-M's signed REST client."""

    def __init__(self, rest: SignedRest | None, symbols: Mapping[str, str]) -> None:
        """Guard orders of `rest`'s account; `symbols` is Binance's symbol by instrument id. None: spot alone."""
        self._rest = rest
        self._symbols = symbols

    def guards(self, instrument: Instrument) -> bool:
        """Whether it is traded on USDⓈ-M."""
        return self._rest is not None and instrument.feed == LINEAR

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        """Start the countdown of each anew; 0 ends it. One that cannot be set keeps none of the others from it.

        Raises:
            Refusal: Binance refused.
            VenueError: It could not be asked; some may have been set.
        """
        assert self._rest is not None, "nothing is guarded without"
        trouble: VenueError | None = None
        for instrument in sorted(instruments, key=lambda one: one.id):
            symbol = self._symbols[instrument.id]
            try:
                await self._rest.set_switch(_PATH, {"symbol": symbol, "countdownTime": str(round(within_s * 1e3))})
            except AuthenticationFailed:
                raise
            except VenueError as error:
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    def scope(self, instrument: Instrument) -> str:
        """A countdown is a symbol's."""
        return instrument.id
