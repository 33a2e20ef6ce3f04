"""How we stand with a venue: what may still be asked of it, and whether anything new may be risked there."""

from pydantic import BaseModel, ConfigDict


class BudgetLine(BaseModel):
    """One of a venue's limits, and how much of it is used."""

    model_config = ConfigDict(frozen=True)

    venue: str
    name: str
    """`linear weight 1m`."""
    used: int
    limit: int
    window_s: float
    held_s: float
    """Nothing of it is sent for so long, because the venue has said so; 0: it is not held."""
    waiting: int
    """Requests that wait for room."""
    left: dict[str, int] = {}
    """By lane (`reduce`, `order`, `read`, `idle`): what may still be used for it in this window."""


class VenueStanding(BaseModel):
    """One venue's."""

    model_config = ConfigDict(frozen=True)

    venue: str
    blocked: str | None = None
    """Why nothing new may be risked there now: a ban, a private stream that is not whole. None: it may, as far as its
    budgets have room, which they lack and have again many times a minute."""
    blocked_s: float | None = None
    """How long, where the venue has said so."""
    refused: str | None = None
    """The venue does not take our key any more: only a person can help."""
    budgets: tuple[BudgetLine, ...] = ()
