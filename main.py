"""Crypto Pipe: reads the command line and does what it asks for."""

from __future__ import annotations  # the types below are of libraries that `--mode kill` has no time to load

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bot.errors import BotError, ExitCode, InvariantError, SettingsError
from modes.kill_words import asks_to_kill

if TYPE_CHECKING:
    from bot.command_line import Arguments
    from bot.settings.loader import LoadedSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _prepare_output()
    if words[:1] == ["calm-day"]:
        os.nice(19)  # before anything is loaded: that takes two seconds of a core, while a run begins beside it
        from modes import calm_day

        return calm_day.compare(words[1:])
    try:
        if asks_to_kill(words) and (code := _killed(words)) is not None:
            return _flushed(code)
        from bot.command_line import parse

        return _flushed(_dispatch(parse(words), words))
    except InvariantError as error:
        print(f"crypto-pipe: this is a bug of ours, and trading has stopped: {error}", file=sys.stderr)
        return error.exit_code
    except BotError as error:
        print(f"crypto-pipe: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`| head`).
        _drop_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _drop_output()
        print(f"crypto-pipe: {error.filename or 'the output'} cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.STORAGE


def _prepare_output() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The caller has closed it (`>&-`), and its number would go to the first socket or file that is opened.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows `?`, and the bot goes on


def _flushed(code: int) -> int:
    """The exit code; output that cannot be written fails here, and not unseen while Python ends."""
    sys.stdout.flush()
    return code


def _drop_output() -> None:
    """Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _killed(words: Sequence[str]) -> int | None:
    """The exit code of `--mode kill`, before anything is loaded that it does not need; None: asked for otherwise."""
    from modes import kill
    from modes.kill_words import quick_words

    asked = quick_words(words, os.environ, kill.SETTINGS_FILE)
    return None if asked is None else kill.kill(asked)


def _dispatch(arguments: Arguments, words: Sequence[str]) -> int:
    from bot.settings.display import show_config, show_config_json
    from bot.settings.reference import json_schema
    from strategies.registry import strategy_settings

    if arguments.json_schema:
        print(json.dumps(json_schema(strategy_settings()), indent=2))
        return ExitCode.OK
    from modes import simulate
    from modes.house import load

    if "list" in arguments.fault:
        return simulate.list_faults(as_json=arguments.json)
    loaded = load(arguments)
    simulate.check_faults(arguments, loaded.settings)
    if arguments.show_config:
        print(show_config_json(loaded) if arguments.json else show_config(loaded), end="")
        return ExitCode.OK
    return _MODES[arguments.mode](arguments, loaded, words)


# Each mode is imported where it is asked for: none waits for the libraries of the others.


def _action(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    if arguments.speed is not None and loaded.settings.market != "recorded":
        raise SettingsError(
            f"--speed is of recorded time, and this is the {loaded.settings.market} market: "
            "add --market recorded, or leave --speed away"
        )
    # The UI draws on stderr: where that goes to a file there is nothing to look at.
    if sys.stdout.isatty() and sys.stderr.isatty() and not (arguments.headless or arguments.json):
        from modes import screen

        return screen.run_with_screen(loaded.settings, words, paced=arguments.speed is not None)
    from modes import action

    return action.run_engine(arguments, loaded, words)


def _backtest(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import backtest

    return backtest.run_backtest(arguments, loaded)


def _attach(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import screen

    return screen.show(loaded.settings)


def _doctor(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import doctor

    return doctor.run_doctor(arguments, loaded)


def _status(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import status

    return status.run_status(arguments, loaded.settings)


def _scan(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import scan

    return scan.run_scan(arguments, loaded)


def _simulate(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import simulate

    return simulate.simulate(arguments, loaded.settings)


def _record(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import record

    return record.run_recorder(arguments, loaded)


def _export(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import export

    return export.run_export(arguments, loaded.settings)


def _import(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import import_history

    return import_history.run_import(arguments, loaded.settings)


def _backup(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import backup

    return backup.run_backup(arguments, loaded.settings)


def _restore(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import restore

    return restore.run_restore(arguments, loaded.settings)


def _query(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import query

    return query.run_query(arguments, loaded.settings)


def _kill(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    """What the quick way did not understand."""
    from modes import kill
    from modes.kill_words import KillWords

    return kill.kill(KillWords(loaded.settings.data_dir, arguments.flatten, arguments.json, tuple(words)))


def _control(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import control

    return control.run_control(arguments, loaded.settings)


def _post_mortem(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    from modes import post_mortem

    return post_mortem.explain(arguments, loaded.settings)


_MODES: Mapping[str, Callable[[Arguments, LoadedSettings, Sequence[str]], int]] = {
    "action": _action,
    "attach": _attach,
    "backtest": _backtest,
    "backup": _backup,
    "doctor": _doctor,
    "export": _export,
    "import": _import,
    "kill": _kill,
    "pause": _control,
    "resume": _control,
    "flatten": _control,
    "post-mortem": _post_mortem,
    "query": _query,
    "record": _record,
    "restore": _restore,
    "scan": _scan,
    "simulate": _simulate,
    "status": _status,
}
"""By the names of `bot.command_line.MODES`."""

_SECRET_VARIABLES = (
    "MONGODB_URI", "CRYPTO_PIPE_HEARTBEAT_URL", "CRYPTO_PIPE_NOTIFY_URLS", "CRYPTO_PIPE_SIMULATOR_PASSWORD",
)  # fmt: skip


def program() -> int:
    """As a process of its own: what it prints is masked, whoever prints it."""
    from bot.masking import mask_output, remember_environment

    _prepare_output()
    remember_environment(os.environ, _SECRET_VARIABLES)
    mask_output()
    return main()


if __name__ == "__main__":
    sys.exit(program())
