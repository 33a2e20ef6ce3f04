"""The dust that earlier runs on the same accounts left: the next pairs take it along."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from bot.engine.accounts.left_behind import is_on
from bot.ports import RecordKind
from bot.storage.queries import JournalReader


def dust_left(data_dir: Path, accounts: Mapping[str, str] | None) -> dict[str, Decimal]:
    """Signed base units by instrument id, as the runs on `accounts` (venue -> whose) had them last.

    Of every such run, and not of the newest alone: that one may have ended before it wrote down what it took over, or
    traded other instruments. None: what was held ended with its run.

    Raises:
        StorageError: If the journal cannot be read.
    """
    if not accounts:
        return {}
    found: dict[str, Decimal] = {}
    with JournalReader.open(data_dir) as reader:
        for run in reader.runs():
            if is_on(run, accounts):
                found |= {one.key: Decimal(one.body["quantity"]) for one in reader.records(run.run_id, RecordKind.DUST)}
    return {instrument_id: amount for instrument_id, amount in found.items() if amount}
