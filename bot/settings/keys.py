"""Where API keys are kept: never in the settings themselves."""

from pathlib import Path

from pydantic import Field

from bot.settings.section import Section


class KeySettings(Section):
    """Where to look for API keys, in this order: keyring, file, environment (docs/going-live.md)."""

    keyring: bool = Field(default=True, description="Look into the keyring of the operating system first.")
    file: Path | None = Field(
        default=None, description="YAML with VENUE: {key, secret}; its owner alone may read it (mode 0600)."
    )
    unbound_ok: bool = Field(
        default=False, description="Trade real money with keys that are not bound to IP addresses, or may not be."
    )
