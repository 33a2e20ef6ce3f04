"""How a strategy says what it is called, which settings it has and how it is built."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from bot.ports import Strategy

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """What a folder of `strategies/` says under the name `STRATEGY`."""

    name: str
    """As `--strategy` takes it: `spread-reversion`."""
    settings: type[BaseModel]
    """Its parameters, every one with a default; they stand in settings.yaml in the section `section_name(name)`."""
    build: "Callable[[Any], Strategy]"
    """Makes the strategy of its parameters."""

    def problem(self) -> str | None:
        """What is wrong with it, in words; None where nothing is."""
        if _NAME.fullmatch(self.name) is None:
            return f"has the name {self.name!r}, and a name is lower-case words joined by hyphens"
        config = getattr(self.settings, "model_config", None)
        if config is None:
            return "has settings that are no pydantic model"
        if config.get("extra") != "forbid":
            return f"has {self.settings.__name__} for settings, which must refuse unknown keys: extra='forbid'"
        if any(field.is_required() for field in self.settings.model_fields.values()):
            return f"has {self.settings.__name__} for settings, of which every one needs a default"
        return None


def section_name(strategy: str) -> str:
    """Where a strategy's settings stand: `spread-reversion` has the section `spread_reversion`."""
    return strategy.replace("-", "_")
