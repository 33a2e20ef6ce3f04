"""Where the program stands, and what holds for a run."""

import os
import sys
from pathlib import Path

from bot.command_line import Arguments
from bot.ports import LiveVenueModule
from bot.settings.loader import LoadedSettings, load_settings
from strategies.registry import strategy_settings

HERE = Path(__file__).resolve().parents[1]
"""The folder of main.py and settings.yaml."""
MAIN = HERE / "main.py"


def load(arguments: Arguments) -> LoadedSettings:
    """The settings of every layer; notes about them go to stderr.

    Raises:
        SettingsError: One line that says what is wrong, and where.
    """
    loaded = load_settings(
        settings_file(arguments),
        os.environ,
        arguments.set,
        arguments.flags(),
        strategy_settings(),
        required=arguments.settings is not None,
        venues=_venues().keys(),
    )
    for note in loaded.notes:
        print(f"crypto-pipe: {note}", file=sys.stderr)
    return loaded


def settings_file(arguments: Arguments) -> Path:
    """Which settings file is read; it may be missing where none was named."""
    return arguments.settings or HERE / "settings.yaml"


def _venues() -> dict[str, LiveVenueModule]:
    from exchanges.registry import all_venues

    return all_venues()
