"""How we stand with the venues: told when it changes, and a halt where one does not take our key any more."""

from collections.abc import Callable, Iterable

from bot.clock import Clock, Timer
from bot.domain.standing import VenueStanding
from bot.execution.chain import Chain
from bot.execution.pair import Pair
from bot.ports import QuoteDrivenVenue, TellsStanding
from bot.risk.gate import RiskGate

LOOK_S = 0.25


class VenueWatch:
    """Looks four times a second. That nothing new is risked meanwhile is the gate's matter (`limits.OpenVenues`)."""

    def __init__(
        self,
        venue: QuoteDrivenVenue,
        gate: RiskGate,
        in_hand: Callable[[], Iterable[Pair | Chain]],
        event: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        """Build it.

        Args:
            venue: One that tells how we stand; another is not watched.
            gate: Is told to halt.
            in_hand: The pairs and chains that are not over.
            event: Takes a level and a line for a person; for the journal too.
            clock: Of the engine.
        """
        self._venue = venue if isinstance(venue, TellsStanding) else None
        self._gate = gate
        self._in_hand = in_hand
        self._event = event
        self._clock = clock
        self._blocked: set[str] = set()
        self._refused: set[str] = set()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._venue is not None:
            self._look_later()

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def standings(self) -> tuple[VenueStanding, ...]:
        """Every venue's that tells."""
        return () if self._venue is None else tuple(self._venue.standings())

    def look(self) -> None:
        """Look now."""
        for standing in self.standings():
            if standing.refused is not None:
                self._halt(standing)
            elif standing.blocked is not None:
                self._tell_blocked(standing)
            elif standing.venue in self._blocked:
                self._blocked.discard(standing.venue)
                self._event("info", f"{standing.venue}: new pairs may be opened there again")

    def _tick(self) -> None:
        self.look()
        self._look_later()

    def _look_later(self) -> None:
        self._timer = self._clock.call_later(LOOK_S, self._tick)

    def _halt(self, standing: VenueStanding) -> None:
        if standing.venue not in self._refused:
            self._refused.add(standing.venue)
            self._gate.halt(f"ALARM: {standing.refused}: look at the key, and at orders and positions there")

    def _tell_blocked(self, standing: VenueStanding) -> None:
        if standing.venue in self._blocked:
            return
        self._blocked.add(standing.venue)
        self._event("warning", f"{standing.venue}: nothing new is opened there: {standing.blocked}")
        for pair in self._in_hand():
            if any(one.venue == standing.venue for one in pair.opportunity.route.instruments):
                self._event("error", f"ALARM: {pair.id} is open at {standing.venue}, where {standing.blocked}")
