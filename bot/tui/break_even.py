"""Panel 7: what each route needs and is offered, size by size, and what is in the way."""

from collections.abc import Sequence

from bot.domain.snapshot import SizeRow, SurfaceRow
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import bps, count, kind, pair, tone_of


class BreakEven(LiveTable):
    """The routes by net edge, the sizes of each one under the other; `enter` shows every cost by name."""

    NAME = "7 Break-even · bps"
    EMPTY = "no route is priced yet"
    COLUMNS = (
        Column("Buy → sell", stretch=20),
        Column("Kind", rank=4),
        Column("Size", right=True),
        Column("Offered", right=True),
        Column("Needed", right=True),
        Column("Missing", right=True),
        Column("Net", right=True, rank=2),
        Column("In the way", stretch=9),
        Column("Would trade at", stretch=20, rank=1),
        Column("Why not", rank=8),
        Column("Costs", rank=9),
    )

    def show_surface(self, surface: Sequence[SurfaceRow]) -> None:
        """As the engine orders them: the best net edge first."""
        self.show([_row(route, size) for route in surface for size in route.sizes])


def _row(route: SurfaceRow, size: SizeRow) -> Row:
    missing = size.missing_bps
    return (
        Cell(pair(route.buy, route.sell), "strong"),
        Cell(kind(route.kind, route.route), "dim"),
        Cell(f"{count(size.notional)} {route.currency}"),
        Cell(bps(size.offered_bps)),
        Cell(bps(size.needed_bps)),
        Cell(bps(missing), tone_of(None if missing is None else -missing)),
        Cell(bps(size.net_bps), tone_of(size.net_bps)),
        Cell(size.limit.replace("_", " ") or "trades", "" if size.limit else "good"),
        Cell(size.tier_words, "accent"),
        Cell(size.why_not),
        Cell(_costs(size)),
    )


def _costs(size: SizeRow) -> str:
    return ", ".join(f"{cost.name} {bps(cost.bps, 2)}{' ASSUMED' if cost.assumed else ''}" for cost in size.costs)
