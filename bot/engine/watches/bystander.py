"""Who looks at an engine now and then by a timer of its own, and may be left out while there is nothing to see."""

from typing import Protocol

from bot.clock import Timer


class Bystander(Protocol):
    """Looks once in a while, always after the same time."""

    @property
    def timer(self) -> Timer | None:
        """What its next look waits for; None while it does not look."""

    def is_idle(self) -> bool:
        """Whether its looks do nothing at all, as long as every route is refused for the reason that stands."""

    def skip_to(self, ts_ns: int) -> None:
        """Leave out the looks before this time."""
