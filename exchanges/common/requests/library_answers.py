"""What a budget learns of an answer that a client library has had: it judges for itself, and tells nobody of limits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.errors import Banned, GeoBlocked, RateLimited, VenueError
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import Answer

_HELD_S = 10.0
"""After a refusal for too many requests that names no time."""


@dataclass(frozen=True, slots=True)
class LibraryAnswers:
    """One venue's."""

    budget: RequestBudget
    checked: Callable[[Answer], object]
    """Raises what an answer means."""

    def take(self, answer: Answer, limits: Iterable[str]) -> None:
        """An answer is here: bans and `Retry-After` hold from now on, for whoever shares the budget.

        Args:
            answer: As it came.
            limits: What it is about, should it refuse for too many requests.
        """
        try:
            self.checked(answer)
        except (Banned, GeoBlocked) as ban:
            self.budget.bans.sit_out(ban)
        except RateLimited as limited:
            self.budget.hold(limits, limited.retry_after_s or _HELD_S)
        except VenueError:
            return  # of what was asked, or of the key: whoever has asked hears of it
        else:
            self.budget.bans.answered()
