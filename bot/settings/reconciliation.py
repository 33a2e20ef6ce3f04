"""Settings of what a start, and every few seconds of a run, compare with the venues."""

from typing import Literal

from pydantic import Field

from bot.settings.section import Positive, Section


class ReconciliationSettings(Section):
    """What the venues know of the account, against what the journal says (docs/recovery.md)."""

    foreign: Literal["refuse", "quarantine"] = Field(
        default="refuse",
        description="Orders and positions that are not of this journal: do not start, or take no new risk beside them.",
    )
    pairs: Literal["adopt", "abandon"] = Field(
        default="adopt",
        description="Pairs that earlier runs left: take them over, or, once a person has closed them, forget them.",
    )
    deadline_s: Positive = Field(default=60.0, description="Until the accounts are known at a start; then exit 3.")
