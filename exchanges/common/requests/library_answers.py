"""What a budget learns of an answer that a client library has had: it judges for itself, and tells nobody of limits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.errors import VenueError
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import Answer


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
        except VenueError as refusal:
            # Whoever has asked hears of what was asked, and of the key.
            self.budget.heed(refusal, limits)
        else:
            self.budget.bans.answered()
