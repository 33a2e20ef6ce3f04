"""The comparison of paper fills with real ones, for people."""

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from bot.domain.shadow import ShadowFigures, Spread
from bot.text import inert
from postmortem.shadow import ShadowReport

_FIGURES = {
    "price": "price_bps",
    "  of that: model": "model_bps",
    "  of that: size": "size_bps",
    "fee": "fee_bps",
    "paper was too good by": "too_good_bps",
}


def shadow_lines(report: ShadowReport) -> Iterator[str]:
    """What is said in words."""
    told = report.figures
    outcomes = ", ".join(f"{name} {count}" for name, count in told.outcomes.items())
    yield f"shadow      {inert(report.market)}: {told.fills} paper fills had a real twin ({outcomes or 'none'})"
    if told.verdict:
        yield f"            {told.verdict}"
    if told.latency_ms is not None:
        late = told.latency_ms
        yield f"            real fills came {late.p50:+.0f} ms (p50), {late.p90:+.0f} ms (p90) against paper's"
    if report.not_shadowed:
        names = ", ".join(f"{inert(why)} {count}" for why, count in report.not_shadowed.items())
        yield f"            not shadowed: {names}"


def shadow_table(report: ShadowReport) -> Table:
    """Differences in bps of the paper price, positive where the real order was worse; first of all, then by group."""
    table = Table(box=box.SIMPLE_HEAD, title="Real against paper, bps; positive: real was worse", title_justify="left")
    table.add_column("", overflow="fold", ratio=1)
    for name in ("n", "mean", "p10", "p50", "p90", "worst"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, field in _FIGURES.items():
        _row(table, name, getattr(report.figures, field))
    for groups in (report.by_venue, report.by_route):
        for group, told in groups.items():
            _group(table, group, told)
    return table


def _group(table: Table, name: str, told: ShadowFigures) -> None:
    share = "" if told.filled_share is None else f", filled {told.filled_share:.0%}"
    _row(table, f"{inert(name)}{share}", told.too_good_bps)


def _row(table: Table, name: str, told: Spread | None) -> None:
    if told is not None:
        shown = (told.mean, told.p10, told.p50, told.p90, told.worst)
        table.add_row(Text(name), Text(str(told.n)), *(Text(_shown(figure)) for figure in shown))


def _shown(figure: float) -> str:
    return f"{round(figure, 2) + 0.0:.2f}"  # a true zero has no sign
