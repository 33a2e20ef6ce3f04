"""`--mode export --channel shadow --to shadow.csv`: every paper fill and its real twin, a row each."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.domain.shadow import ShadowFill
from bot.errors import ExitCode, SettingsError, StorageError
from bot.settings import Settings
from bot.storage.queries import JournalReader
from bot.text import inert, spreadsheet_safe
from modes.export_words import tell_export
from postmortem.shadow import shadow_fills

CHANNEL = "shadow"
_DIFFERENCES = ("outcome", "price_bps", "model_bps", "size_bps", "fee_bps", "latency_ms", "too_good_bps")


def export_shadow(arguments: Arguments, settings: Settings) -> int:
    """Write the file; returns the exit code.

    Raises:
        SettingsError: If it is to be anything else than a .csv.
        StorageError: If the journal cannot be read, or the file not be written.
    """
    path = Path(arguments.to or "")
    if path.suffix.lower() != ".csv":
        raise SettingsError(f"--channel {CHANNEL} needs --to a file whose name ends in .csv")
    since_ns = arguments.since_ns(SystemClock().now_ns())
    with JournalReader.open(settings.data_dir) as reader:
        rows = shadow_fills(reader, reader.runs(), since_ns)
    try:
        write_rows(rows, path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    tell_export(CHANNEL, len(rows), path, as_json=arguments.json)
    return ExitCode.OK


def write_rows(rows: Sequence[ShadowFill], path: Path) -> None:
    """A row for each comparison, the differences last; whole, or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    fields = tuple(ShadowFill.model_fields)
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*fields, *_DIFFERENCES))
        for row in rows:
            writer.writerow([_cell(getattr(row, name)) for name in (*fields, *_DIFFERENCES)])
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _cell(value: object) -> str:
    return "" if value is None else spreadsheet_safe(inert(str(value)))
