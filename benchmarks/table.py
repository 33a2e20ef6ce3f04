"""The rows for a person."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

_MET = {True: "[green]met[/]", False: "[red]NOT MET[/]", None: "-"}


def show(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print a table, and below it what each figure includes."""
    console = console or Console()
    table = Table(title="median of the rounds (least to largest)", title_justify="left")
    for heading in ("", "ours", "peer", "ratio", "target", ""):
        table.add_column(heading, justify="right" if heading in ("ours", "ratio", "target") else "left")
    for row in rows:
        table.add_row(row.name, _ours(row), _peer(row), _ratio(row), row.target or "", _MET[row.met])
    console.print(table)
    for note in dict.fromkeys(row.note for row in rows if row.note):
        console.print(f"  {note}", style="dim", highlight=False)


def number(value: float) -> str:
    """Three or four digits that count: `187,000`, `4.02`, `0.913`."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}" if value >= 1 else f"{value:.3f}"


def _ours(row: Row) -> str:
    if row.value is None:
        return "-"
    scatter = "" if row.noise is None else _span(row.noise.value_min, row.noise.value_max)
    return f"{number(row.value)} {row.unit}{scatter}"


def _peer(row: Row) -> str:
    if row.peer is None or row.peer_value is None:
        return row.peer or ""
    noise = row.noise
    scatter = (
        ""
        if noise is None or noise.peer_min is None or noise.peer_max is None
        else _span(noise.peer_min, noise.peer_max)
    )
    return f"{row.peer} {number(row.peer_value)}{scatter}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    noise = row.noise
    scatter = (
        ""
        if noise is None or noise.ratio_min is None or noise.ratio_max is None
        else _span(noise.ratio_min, noise.ratio_max)
    )
    return f"{number(row.ratio)}x{scatter}"


def _span(low: float, high: float) -> str:
    return "" if low == high else f" ({number(low)} to {number(high)})"
