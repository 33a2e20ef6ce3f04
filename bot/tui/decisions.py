"""Panel 4: what was decided, counted by reason."""

from bot.domain.snapshot import Snapshot
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import count


class Decisions(LiveTable):
    """Pairs taken and closed, and refusals by the limit that refused, the most frequent first."""

    NAME = "4 Decisions"
    EMPTY = "nothing decided yet"
    COLUMNS = (Column("Outcome"), Column("Reason", stretch=12), Column("Count", right=True))

    def show_counts(self, snapshot: Snapshot) -> None:
        """The counts of this run."""
        rows: list[Row] = [(Cell("taken", "good"), Cell(""), Cell(count(snapshot.taken)))]
        rows += _rows("closed", "accent", snapshot.closed)
        rows += _rows("refused", "dim", snapshot.refused)
        self.show(rows)


def _rows(outcome: str, tone: str, counts: dict[str, int]) -> list[Row]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(Cell(outcome, tone), Cell(reason.replace("_", " ")), Cell(count(number))) for reason, number in ordered]
