"""Settings of how a run begins."""

from pydantic import Field

from bot.settings.section import NotNegative, Section


class StartSettings(Section):
    """What a start waits for (docs/recovery.md)."""

    wait_s: NotNegative = Field(
        default=120.0,
        description="For a venue that is away, has banned us for a time, or has no requests left for us; then exit 5.",
    )
