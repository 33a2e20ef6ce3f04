"""When each job of the timetable ran last, by what the journal says."""

from bot.ports import RecordKind
from bot.storage.queries import JournalReader
from bot.storage.schema import Record

_RUNS_LOOKED_THROUGH = 10
"""Newest first: what none of them did is long ago."""


def last_jobs(reader: JournalReader) -> dict[str, Record]:
    """The newest record of each job, by its name.

    Raises:
        StorageError: If the journal cannot be read.
    """
    found: dict[str, Record] = {}
    for run in reversed(reader.runs()[-_RUNS_LOOKED_THROUGH:]):
        newest = {record.key: record for record in reader.records(run.run_id, RecordKind.JOB)}
        found = newest | found
    return found
