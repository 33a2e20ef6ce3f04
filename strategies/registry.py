"""The strategies that `--strategy` names: every folder or module of this package that says `STRATEGY`.

Nothing is listed here. A new strategy is a folder (or one file) beside this one that has a `StrategyEntry` under the
name `STRATEGY`; a name that begins with an underscore is a helper of others. What is there and is no strategy stops
the program before it starts: a strategy that is silently left out would be looked for elsewhere.
"""

import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module

from pydantic import BaseModel

import strategies
from bot.errors import SettingsError
from bot.ports import Strategy
from bot.strategy_entry import StrategyEntry, section_name

_OURS = frozenset({"registry"})
_HOW = 'STRATEGY = StrategyEntry("a-name", ItsSettings, ItsStrategy)'


def strategy_settings() -> dict[str, type[BaseModel]]:
    """The typed parameters of every strategy, by its name; `main.py` joins them into the settings.

    Raises:
        SettingsError: If something in this package is no strategy; one line says what and where.
    """
    return {name: entry.settings for name, entry in _found().items()}


def build_strategy(name: str, settings: object) -> Strategy:
    """The strategy of this name, with its section of `settings`.

    Raises:
        SettingsError: If something in this package is no strategy.
    """
    return _found()[name].build(getattr(settings, section_name(name)))


def _found() -> Mapping[str, StrategyEntry]:
    names = sorted(found.name for found in pkgutil.iter_modules(strategies.__path__))
    return _entries(tuple(name for name in names if name not in _OURS and not name.startswith("_")))


@lru_cache(maxsize=4)
def _entries(modules: tuple[str, ...]) -> Mapping[str, StrategyEntry]:
    entries: dict[str, StrategyEntry] = {}
    for module in modules:
        entry = _entry(module)
        if any(section_name(entry.name) == section_name(known) for known in entries):
            raise SettingsError(f"strategies/{module}: there is another strategy {entry.name}; choose another name")
        entries[entry.name] = entry
    return entries


def _entry(module: str) -> StrategyEntry:
    try:
        found = getattr(import_module(f"strategies.{module}"), "STRATEGY", None)
    except Exception as error:  # whatever a stranger's module raises when it is imported
        raise SettingsError(f"strategies/{module} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, StrategyEntry):
        what = "says no STRATEGY" if found is None else f"says a STRATEGY that is a {type(found).__name__}"
        raise SettingsError(f"strategies/{module} {what}; a strategy has {_HOW}, a helper's name begins with _")
    problem = found.problem()
    if problem is not None:
        raise SettingsError(f"strategies/{module}: STRATEGY {problem}")
    return found
