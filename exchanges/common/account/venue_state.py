"""Whether anything new may be risked at a venue: it serves us, it takes our key, and we hear what it does."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.clock import Clock
from bot.domain.standing import VenueStanding
from bot.errors import AuthenticationFailed, VenueError, VenueUnavailable
from bot.settings.maintenance import window
from exchanges.common.background import Log
from exchanges.common.requests.refusals import ServerFault
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import AnswerLost

OVERLOADED_S = 5.0
"""Nothing new is sent for so long to a venue that has turned an order away because it is overloaded or closed."""
_S = 1_000_000_000


class VenueState:
    """One account's, at one venue. All calls come on the loop's thread."""

    def __init__(self, budget: RequestBudget, orders: Sequence[Cost], clock: Clock, log: Log) -> None:
        """Nothing is in the way.

        Args:
            budget: The venue's.
            orders: What a new order takes of it, on each of its feeds.
            clock: Measures pauses.
            log: Takes a line for a person.
        """
        self._budget = budget
        self._orders = orders
        self._clock = clock
        self._log = log
        self._unheard: dict[str, str] = {}
        self._repairing = False
        self._rests_until_ns = 0
        self._refused: str | None = None
        self._windows: list[tuple[int, int]] = []

    # What happens

    def on_error(self, error: VenueError) -> None:
        """A request was refused: by whom, and for what, is in its class."""
        if isinstance(error, AuthenticationFailed) and self._refused is None:
            self._refused = str(error)
            self._log("error", f"{error}: nothing more is asked but what became of our orders, once a minute")
        elif isinstance(error, VenueUnavailable) and not isinstance(error, AnswerLost | ServerFault):
            self._rests_until_ns = self._clock.monotonic_ns() + round(OVERLOADED_S * _S)

    def on_unheard(self, stream: str, why: str) -> None:
        """A private stream is gone: what happens at the venue is not told."""
        self._unheard[stream] = why

    def on_heard(self, stream: str) -> None:
        """It is there again; what it missed is being asked for (`on_repairing`)."""
        self._unheard.pop(stream, None)

    def on_repairing(self) -> None:
        """Something may have been missed."""
        self._repairing = True

    def on_repaired(self) -> None:
        """All of it was asked for."""
        self._repairing = False

    def announce(self, windows: Sequence[str], lead_s: float) -> None:
        """Maintenance that is known before (`bot.settings.maintenance`); nothing new is risked from `lead_s` before."""
        lead_ns = round(lead_s * _S)
        self._windows = [(begins_ns - lead_ns, ends_ns) for begins_ns, ends_ns in map(window, windows)]

    # What may be done

    @property
    def is_refused(self) -> bool:
        """Whether it does not take our key."""
        return self._refused is not None

    @property
    def is_in_maintenance(self) -> bool:
        """Whether announced maintenance goes on, or is about to."""
        return self._maintenance_ends_ns() is not None

    def _maintenance_ends_ns(self) -> int | None:
        now_ns = self._clock.now_ns()
        return max((ends_ns for begins_ns, ends_ns in self._windows if begins_ns <= now_ns < ends_ns), default=None)

    def blocked(self) -> str | None:
        """Why nothing new may be risked now; None: it may."""
        return self._trouble() or self._crowded()

    def _trouble(self) -> str | None:
        if self._refused is not None:
            return "it does not take our key"
        left_s = self._budget.bans.left_s
        if left_s:
            return f"it refuses this address for another {left_s:.0f} s"
        ends_ns = self._maintenance_ends_ns()
        if ends_ns is not None:
            return f"its announced maintenance ends at {datetime.fromtimestamp(ends_ns // _S, UTC):%Y-%m-%d %H:%M} UTC"
        for stream, why in self._unheard.items():
            return f"{stream} is not heard ({why})"
        if self._repairing:
            return "what its private stream has missed is being asked for"
        if self._clock.monotonic_ns() < self._rests_until_ns:
            return "it is overloaded or closed, and turned an order away"
        return None

    def _crowded(self) -> str | None:
        for cost in self._orders:
            short = self._budget.short_of(cost, Lane.ORDER)
            if short is not None:
                return f"its request budget has no room for an order ({short})"
        return None

    def standing(self) -> VenueStanding:
        """The same, and what its limits have left, for a screen."""
        return VenueStanding(
            venue=self._budget.venue,
            blocked=self._trouble(),
            blocked_s=self._budget.bans.left_s or None,
            refused=self._refused,
            budgets=tuple(self._budget.lines()),
        )
