"""`--mode export`: rows of the archive in one plain file."""

from pathlib import Path

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.errors import ExitCode, SettingsError
from bot.headless import Headless
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.export import ExportFormat
from modes.export_words import tell_export
from modes.memory import open_archive
from modes.shadow_export import CHANNEL, export_shadow

_FORMATS = {".feather": "feather", ".arrow": "feather", ".parquet": "parquet", ".csv": "csv"}


def run_export(arguments: Arguments, settings: Settings) -> int:
    """Write the file; returns the exit code."""
    if arguments.to is None:
        raise SettingsError("--mode export needs --to PATH; .feather, .parquet or .csv says the format")
    if arguments.channel == CHANNEL:
        return export_shadow(arguments, settings)
    path = Path(arguments.to)
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise SettingsError(f"--to {path}: end the name in .feather, .parquet or .csv")
    channel = Channel(arguments.channel or Channel.QUOTES)
    headless = Headless(as_json=arguments.json)
    now_ns = SystemClock().now_ns()
    start_ns = arguments.since_ns(now_ns)
    stop_ns = arguments.until_ns(now_ns)
    with open_archive(settings, read_only=True) as store:
        rows = store.export(
            channel,
            list(arguments.instrument) or None,
            -(2**63) if start_ns is None else start_ns,
            2**63 - 1 if stop_ns is None else stop_ns,
            path,
            ExportFormat(kind),
            lambda part: headless.progress(f"exporting {channel} {part:4.0%}"),
        )
    headless.close()
    tell_export(channel, rows, path, as_json=arguments.json)
    return ExitCode.OK
