"""Panel 1: the top of book of every instrument, per venue."""

from collections.abc import Sequence

from bot.domain.snapshot import TopRow
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import align_points, bps, milliseconds

_OLD_MS = 1_000.0


class Books(LiveTable):
    """Bid and ask with the venue's digits, spread, age, and whether the gate lets the quote through."""

    NAME = "1 Top of book"
    EMPTY = "no instrument yet"
    COLUMNS = (
        Column("Instrument"),
        Column("Feed"),
        Column("Bid size", right=True, rank=2),
        Column("Bid", right=True),
        Column("Ask", right=True),
        Column("Ask size", right=True, rank=2),
        Column("Spread bps", right=True, rank=1),
        Column("Age ms", right=True),
        Column("Status", stretch=10),
    )

    def show_tops(self, tops: Sequence[TopRow]) -> None:
        """Instruments with the same symbol stand together; the best bid and ask of a symbol are bold."""
        tops = sorted(tops, key=lambda top: (top.symbol, top.feed))
        sizes_bid = align_points([top.bid_qty for top in tops])
        bids = align_points([top.bid for top in tops])
        asks = align_points([top.ask for top in tops])
        sizes_ask = align_points([top.ask_qty for top in tops])
        best = _best(tops)
        columns = zip(tops, sizes_bid, bids, asks, sizes_ask, strict=True)
        self.show([_row(*column, best) for column in columns])


def _row(top: TopRow, bid_size: str, bid: str, ask: str, ask_size: str, best: dict[str, tuple[float, float]]) -> Row:
    highest, lowest = best[top.symbol]
    return (
        Cell(top.symbol, "strong"),
        Cell(top.feed),
        Cell(bid_size, "dim"),
        Cell(bid, "strong" if _number(top.bid, 0.0) == highest else ""),
        Cell(ask, "strong" if _number(top.ask, float("inf")) == lowest else ""),
        Cell(ask_size, "dim"),
        Cell(bps(top.spread_bps, 2)),
        Cell(milliseconds(top.age_ms), "warn" if (top.age_ms or 0.0) > _OLD_MS else ""),
        Cell("✓ ok", "good") if top.status == "ok" else Cell(f"✗ {top.status.replace('_', ' ')}", "warn"),
    )


def _best(tops: Sequence[TopRow]) -> dict[str, tuple[float, float]]:
    best: dict[str, tuple[float, float]] = {}
    for top in tops:
        highest, lowest = best.get(top.symbol, (0.0, float("inf")))
        best[top.symbol] = (max(highest, _number(top.bid, 0.0)), min(lowest, _number(top.ask, float("inf"))))
    return best


def _number(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError:
        return otherwise
