"""The arbitrage strategy: which routes it watches, and who watches each."""

from collections.abc import Mapping, Sequence

from bot.domain.instrument import Instrument
from bot.domain.order import Side
from bot.domain.route import Route
from bot.ports import InstrumentView, RouteTerms
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.watch import ArbitrageWatch, ChainWatch

_TWO_SIDES = (Side.BUY, Side.SELL)


class ArbitrageStrategy:
    """Takes a route when its net edge reaches the minimum, leaves it when the difference is gone."""

    name = "arbitrage"

    def __init__(self, settings: ArbitrageSettings) -> None:
        self.settings = settings
        self.cooldown_s = settings.cooldown_s

    def routes(self, instruments: Sequence[Instrument]) -> list[Route]:
        """Every route that these instruments make."""
        return list_routes(instruments, self.settings)

    def watch(self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms) -> ArbitrageWatch:
        """An observer of one route, asked after every read batch that touched it."""
        one_over_another = tuple(leg.side for leg in route.priced) == _TWO_SIDES
        return (ArbitrageWatch if one_over_another else ChainWatch)(route, views, terms, self.settings)
