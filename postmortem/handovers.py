"""Pairs of which several runs have recorded something: one of them tells it, and whole."""

from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Run

OF_PAIRS = (RecordKind.PAIR, RecordKind.FILL, RecordKind.FUNDING)
"""Records that name their pair in `pair`."""


def begun_by(pair: str) -> str:
    """The run that began it, which has lent it its name; empty where it has none."""
    return pair.rpartition("-")[0]


class Handovers:
    """Which run tells a pair that several have recorded something of: the last of them, and it tells it whole.

    A start may book a fill of a pair before it takes the pair over, or of one that was over.
    """

    def __init__(self, reader: JournalReader) -> None:
        """Nothing is read yet."""
        self._reader = reader
        self._runs = reader.runs()
        self._of_others: dict[str, frozenset[str]] = {}

    def before(self, run_id: str) -> list[Run]:
        """The runs that were started before this one."""
        return self._runs[: self._index(run_id)]

    def told_later(self, run_id: str) -> set[str]:
        """Pairs of which a later run has recorded something."""
        later = self._runs[self._index(run_id) + 1 :]
        return {pair for run in later for pair in self._taken_over(run.run_id)}

    def _index(self, run_id: str) -> int:
        return next(index for index, run in enumerate(self._runs) if run.run_id == run_id)

    def _taken_over(self, run_id: str) -> frozenset[str]:
        if run_id not in self._of_others:
            named = {record.body.get("pair") for record in self._reader.records(run_id, *OF_PAIRS)}
            others = frozenset(pair for pair in named if pair and begun_by(pair) not in ("", run_id))
            self._of_others[run_id] = others
        return self._of_others[run_id]
