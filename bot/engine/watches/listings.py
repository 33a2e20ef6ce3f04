"""What venues say of instruments while a run goes on: a status that changes, a delivery that comes."""

from collections.abc import Callable, Mapping

from bot.domain.instrument import Instrument, ListingStatus
from bot.domain.route import Route
from bot.engine.portfolio import EnginePortfolio
from bot.engine.slot import InstrumentSlot

_ENDING = (ListingStatus.DELISTING, ListingStatus.SETTLING)


class ListingWatch:
    """Tells the limits and a person of it."""

    def __init__(
        self, slots: Mapping[str, InstrumentSlot], portfolio: EnginePortfolio, event: Callable[[str, str], None]
    ) -> None:
        """Watch the instruments of a run, by id; `event` takes a level and a line for a person."""
        self._slots = slots
        self._portfolio = portfolio
        self._event = event

    def take(self, instrument: Instrument) -> None:
        """An instrument as its venue lists it now; one that is not traded in this run changes nothing."""
        slot = self._slots.get(instrument.id)
        if slot is None:
            return
        before = self._portfolio.listing(slot.instrument)
        if (before.status, before.delivery_ns) != (instrument.status, instrument.delivery_ns):
            self._event("warning", f"{instrument.id} is {instrument.status}{_delivered(instrument)}")
        self._portfolio.on_listing(instrument)

    def is_ending(self, route: Route) -> bool:
        """Whether soon nobody trades one of a route's instruments any more: what is held on it has to go before."""
        return any(self._portfolio.listing(leg.instrument).status in _ENDING for leg in route.opening)


def _delivered(instrument: Instrument) -> str:
    return "" if instrument.delivery_ns is None else f", to be delivered at {instrument.delivery_ns // 10**9} (UTC s)"
