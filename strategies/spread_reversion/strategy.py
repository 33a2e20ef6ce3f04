"""The spread-reversion strategy: which round trips it watches, and who watches each.

A market maker's spread that is wider than its mean of the last seconds tends to go back. A post-only order at

    buy   mid − mean spread / 2        sell   mid + mean spread / 2

is where the spread says that the market will stand again: whoever trades first at the usual spread meets it. The way
back is the order on the other side of the mean, so a round trip earns the mean spread less two maker fees. Which side
opens is told by which quote went away: below the rolling mean of the mid the bid fell, and is bought; above it the ask
rose, and is sold.
"""

from collections.abc import Mapping, Sequence

from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import HoldLeg, Liquidity, TradeLeg
from bot.domain.order import Side
from bot.domain.route import Route
from bot.ports import InstrumentView, RouteTerms
from strategies.spread_reversion.settings import SpreadReversionSettings
from strategies.spread_reversion.watch import SpreadWatch

EVERY = "ALL"


class SpreadReversionStrategy:
    """Rests inside wide spreads, and goes out at the other side of the mean."""

    name = "spread-reversion"

    def __init__(self, settings: SpreadReversionSettings) -> None:
        self.settings = settings
        self.cooldown_s = settings.cooldown_s

    def routes(self, instruments: Sequence[Instrument]) -> list[Route]:
        """A round trip for each side of each instrument; inverse contracts, which count in dollars, are left out."""
        wanted = self.settings.instruments
        chosen = (one for one in instruments if EVERY in wanted or one.id in wanted)
        return [
            self._round_trip(instrument, side)
            for instrument in chosen
            if instrument.segment is not Segment.INVERSE
            for side in (Side.BUY, Side.SELL)
        ]

    def watch(self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms) -> SpreadWatch:
        """An observer of one of them, asked at every quote of its instrument."""
        return SpreadWatch(route, views[route.buy.id], self.settings)

    def _round_trip(self, instrument: Instrument, side: Side) -> Route:
        there, back = (
            TradeLeg(instrument=instrument, side=one, liquidity=Liquidity.MAKER) for one in (side, side.opposite)
        )
        # Any time up to the longest is as likely: half of it in the mean.
        hold = HoldLeg(expected_s=self.settings.max_holding_s / 2)
        return Route(kind="spread_reversion", legs=(there, hold, back))
