"""The dust that the run before this one left: the next pairs take it along."""

from decimal import Decimal
from pathlib import Path

from bot.ports import RecordKind
from bot.storage.queries import JournalReader


def dust_left(data_dir: Path, market: str) -> dict[str, Decimal]:
    """Signed base units by instrument id, as the newest run in the journal had them last.

    Nothing where that run was on another market, or on recordings: their wallets are not those of the next run.

    Raises:
        StorageError: If the journal cannot be read.
    """
    with JournalReader.open(data_dir) as reader:
        runs = reader.runs()
        if not runs or runs[-1].start.get("market") != market or market == "recorded":
            return {}
        records = reader.records(runs[-1].run_id, RecordKind.DUST)
        return {record.key: Decimal(record.body["quantity"]) for record in records}
