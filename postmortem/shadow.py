"""What real orders of minimum size said of the paper fills beside them, over all runs of one market."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from bot.domain.shadow import ShadowFigures, ShadowFill, by_group, figures
from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Run


class ShadowReport(BaseModel):
    """Comparisons of every fill, and the pairs that had no real twin."""

    model_config = ConfigDict(frozen=True)

    market: str
    runs: tuple[str, ...]
    figures: ShadowFigures
    by_venue: dict[str, ShadowFigures]
    by_route: dict[str, ShadowFigures]
    not_shadowed: dict[str, int]
    """Pairs, by the limit or the shape that was in the way."""


def shadow_fills(reader: JournalReader, runs: Iterable[Run], since_ns: int | None = None) -> list[ShadowFill]:
    """Every comparison that these runs wrote down, in their order; with `since_ns` (UTC) those from then on.

    Raises:
        StorageError: If the journal is damaged.
    """
    return [
        ShadowFill.model_validate(record.body)
        for run in runs
        for record in reader.records(run.run_id, RecordKind.SHADOW)
        if record.body["what"] == "fill" and (since_ns is None or record.ts_ns >= since_ns)
    ]


def shadow_report(
    reader: JournalReader, market: str, runs: Sequence[Run], since_ns: int | None = None
) -> ShadowReport | None:
    """What the comparisons of these runs come to; None where none of them was shadowed.

    Raises:
        StorageError: If the journal is damaged.
    """
    rows = shadow_fills(reader, runs, since_ns)
    missing = Counter(
        str(record.body["why"])
        for run in runs
        for record in reader.records(run.run_id, RecordKind.SHADOW)
        if record.body["what"] == "not_shadowed" and (since_ns is None or record.ts_ns >= since_ns)
    )
    if not rows and not missing:
        return None
    return ShadowReport(
        market=market,
        runs=tuple(run.run_id for run in runs),
        figures=figures(rows),
        by_venue=by_group(rows, lambda row: row.venue),
        by_route=by_group(rows, lambda row: row.route),
        not_shadowed=dict(missing),
    )
