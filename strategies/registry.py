"""The strategies that `--strategy` names. A new one is a folder and a line here."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from bot.ports import Strategy
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

_STRATEGIES: dict[str, tuple[type[BaseModel], Callable[[Any], Strategy]]] = {
    ArbitrageStrategy.name: (ArbitrageSettings, ArbitrageStrategy),
}


def strategy_settings() -> dict[str, type[BaseModel]]:
    """The typed parameters of every strategy, by name; `main.py` joins them into the settings."""
    return {name: settings for name, (settings, _) in _STRATEGIES.items()}


def build_strategy(name: str, parameters: BaseModel) -> Strategy:
    """The strategy with these parameters."""
    _, build = _STRATEGIES[name]
    return build(parameters)
