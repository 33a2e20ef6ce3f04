"""A route that this run does not have: of a pair that an earlier run left open on it, and that is only to be closed."""

from bot.domain.route import Opportunity, Route
from bot.errors import InvariantError
from bot.ports import ExitBounds, Holding

GONE = "route_gone"
"""Why a pair is closed whose route is no route of this run."""


class LeavingWatch:
    """Implements `bot.ports.RouteWatch`: never takes the route, and leaves it at once."""

    gross_bps: float | None = None
    best_gross_bps: float | None = None
    needed_bps: float | None = None
    least_needed_bps: float | None = None
    assumed = False
    net_bps: float | None = None
    take_at_bps = float("inf")
    take_ratio: float | None = float("inf")
    rate = 1.0

    def __init__(self, route: Route) -> None:
        """Watch nothing."""
        self.route = route

    def exit_bounds(self, holding: Holding) -> ExitBounds | None:
        """Not known."""
        return None

    def refresh(self, now_ns: int) -> None:
        """Nothing changes it."""

    def assess(self) -> str | None:
        """It is no route of this run."""
        return GONE

    def figures(self, limit: str) -> tuple[float, float, str]:
        """It is not there; it would have to be."""
        return 0.0, 1.0, "routes"

    def opportunity(self, ts_ns: int, quantity: object, averages: object = None) -> Opportunity:
        """Never asked: `assess` refuses.

        Raises:
            InvariantError: Always.
        """
        raise InvariantError(f"{self.route.id} was to be opened, and is no route of this run")

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        """At once."""
        return GONE
