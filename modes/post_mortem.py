"""`--mode post-mortem`: what earlier runs earned and lost, and why."""

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.errors import ExitCode, SettingsError
from bot.settings import Settings
from bot.storage.queries import JournalReader
from postmortem.render import render_table
from postmortem.report import build_report


def explain(arguments: Arguments, settings: Settings) -> int:
    """Print what earlier runs earned and lost; returns the exit code.

    Raises:
        SettingsError: There is no such data directory.
    """
    if not settings.data_dir.is_dir():
        raise SettingsError(f"there is no directory {settings.data_dir}: no bot has run on it (--data-dir)")
    since_ns = arguments.since_ns(SystemClock().now_ns())
    with JournalReader.open(settings.data_dir) as reader:
        report = build_report(reader, settings.strategy, run=arguments.run, since_ns=since_ns)
    if arguments.json:
        print(report.model_dump_json(indent=2))
    else:
        print(render_table(report), end="")
    return ExitCode.OK
