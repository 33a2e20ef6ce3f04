"""The dust that earlier runs on the same accounts left: the next pairs take it along."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from bot.engine.accounts.runs_before import has_account
from bot.ports import RecordKind
from bot.storage.queries import JournalReader


def dust_left(data_dir: Path, accounts: Mapping[str, str] | None) -> dict[str, Decimal]:
    """Signed base units by instrument id, as the runs on the same account of its venue had them last.

    Of every such run, and not of the newest alone: that one may have ended before it wrote down what it took over, or
    traded other instruments. `accounts`: venue -> whose; None: what was held ended with its run.

    Raises:
        StorageError: If the journal cannot be read.
    """
    if not accounts:
        return {}
    found: dict[str, Decimal] = {}
    with JournalReader.open(data_dir) as reader:
        for run in reader.runs():
            for one in reader.records(run.run_id, RecordKind.DUST):
                if has_account(run, one.key.partition(":")[0], accounts):
                    found[one.key] = Decimal(one.body["quantity"])
    return {instrument_id: amount for instrument_id, amount in found.items() if amount}
