"""Price differences of one asset between two instruments, after every cost."""

from bot.strategy_entry import StrategyEntry
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

STRATEGY = StrategyEntry(ArbitrageStrategy.name, ArbitrageSettings, ArbitrageStrategy)
