"""A limit order inside a spread that is wider than usual, filled when the spread goes back to its mean."""

from bot.strategy_entry import StrategyEntry
from strategies.spread_reversion.settings import SpreadReversionSettings
from strategies.spread_reversion.strategy import SpreadReversionStrategy

STRATEGY = StrategyEntry(SpreadReversionStrategy.name, SpreadReversionSettings, SpreadReversionStrategy)
