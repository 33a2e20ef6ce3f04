"""What a run tells to whom: notifications, heartbeat, metrics, log file (docs/operating.md)."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from bot.settings.section import Positive, Section


class NotificationSettings(Section):
    """To a person, through the services in the environment variable CRYPTO_PIPE_NOTIFY_URLS."""

    min_level: Literal["info", "warning", "error"] = Field(
        default="error", description="Least level that is passed on; alarms and halts are errors."
    )
    repeat_s: Positive = Field(default=600.0, description="The same text again only after this time.")
    per_minute: int = Field(default=6, ge=1, description="Messages that leave at most; what waits is sent together.")
    queue_limit: int = Field(default=100, ge=1, description="Lines that wait at most; more are counted.")
    heartbeat_every_s: Positive = Field(
        default=60.0, description="Between two signs of life to CRYPTO_PIPE_HEARTBEAT_URL."
    )


class MetricsSettings(Section):
    """For Prometheus, on this machine alone."""

    port: int | None = Field(default=None, ge=0, le=65535, description="Of 127.0.0.1; unset: not served; 0: any.")


class LogSettings(Section):
    """Log lines in a file, an object of JSON each."""

    json_file: Path | None = Field(default=None, description="Where to; unset: no file.")
    max_bytes: int = Field(default=10_000_000, ge=1_000, description="A larger file is set aside.")
    keep: int = Field(default=5, ge=0, description="Files set aside that stay.")
