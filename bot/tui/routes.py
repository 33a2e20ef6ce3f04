"""Panel 2: the routes, what each offers, what it needs, and what is in the way."""

from collections.abc import Sequence

from bot.domain.snapshot import RouteRow
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import bps, kind, pair, tone_of

_ORDER_HOLDS = 20
"""Snapshots (five seconds) for which the order stays, so that a row can be read before it moves."""


class Routes(LiveTable):
    """Open pairs first, then by net edge."""

    NAME = "2 Routes · edges in bps"
    EMPTY = "no route yet: a route needs two instruments"
    COLUMNS = (
        Column("Buy → sell", stretch=22),
        Column("Kind", rank=3),
        Column("Gross", right=True),
        Column("Needed", right=True),
        Column("Net", right=True),
        Column("Best", right=True, rank=2),
        Column("Open", right=True, rank=1),
        Column("Why not", stretch=18),
    )

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._places: dict[str, int] = {}
        self._open: frozenset[str] = frozenset()
        self._age = 0
        self._shown: list[RouteRow] = []

    @property
    def chosen(self) -> RouteRow | None:
        """The route under the cursor; None where there is no route."""
        return self._shown[self._cursor] if self._cursor < len(self._shown) else None

    def show_routes(self, routes: Sequence[RouteRow]) -> None:
        """Rows keep their places for five seconds unless a pair opens or closes or a route comes or goes."""
        is_open = frozenset(route.route for route in routes if route.open_quantity)
        self._age += 1
        known = self._places.keys() == {route.route for route in routes}
        if not known or is_open != self._open or self._age >= _ORDER_HOLDS:
            ordered = sorted(routes, key=_standing)
            self._places = {route.route: place for place, route in enumerate(ordered)}
            self._open, self._age = is_open, 0
        self._shown = sorted(routes, key=lambda route: self._places[route.route])
        self.show([_row(route) for route in self._shown])


def _standing(route: RouteRow) -> tuple[bool, float, str]:
    net = float("-inf") if route.net_bps is None else route.net_bps
    return (not route.open_quantity, -net, route.route)


def _row(route: RouteRow) -> Row:
    return (
        Cell(pair(route.buy, route.sell), "strong"),
        Cell(kind(route.kind, route.route), "dim"),
        Cell(bps(route.gross_bps)),
        Cell(bps(route.needed_bps)),
        Cell(bps(route.net_bps), tone_of(route.net_bps)),
        Cell(bps(route.best_gross_bps), "dim"),
        Cell(route.open_quantity or "", "accent"),
        _verdict(route),
    )


def _verdict(route: RouteRow) -> Cell:
    if route.paused:
        return Cell(route.why_not, "warn")
    mark = "ASSUMED · " if route.assumed else ""
    if route.open_quantity and not route.why_not:
        return Cell(f"{mark}open", "accent")
    if not route.why_not:
        return Cell(f"{mark}trades", "good")
    return Cell(mark + route.why_not.replace("_", " "), "warn" if route.assumed else "")
