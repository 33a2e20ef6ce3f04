"""What `--mode kill` was asked, read without a library: loading the settings takes longer than sending the cancels.

It must work with settings that do not hold, too: of them only the data directory is needed.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

_SETTING = "data_dir"
_OVERLAYS = "market_overrides"
_VARIABLE = "CRYPTO_PIPE__DATA_DIR"
_MARKET_VARIABLE = "CRYPTO_PIPE__MARKET"
_DEFAULT = "data"
_DEFAULT_MARKET = "simulated"


@dataclass(frozen=True, slots=True)
class KillWords:
    """What is to be done, and where."""

    data_dir: Path
    flatten: bool
    json: bool
    asked: tuple[str, ...] = ()
    """The command line, without the program's name and what only a run understands."""


def asks_to_kill(words: Sequence[str]) -> bool:
    """Whether the command line is one of `--mode kill`."""
    pairs = pairwise(words)
    return "--mode=kill" in words or ("--mode", "kill") in pairs


def quick_words(words: Sequence[str], environ: Mapping[str, str], settings_file: Path) -> KillWords | None:
    """What the command line asks for; None where it says more than this reader knows, and the whole one must judge.

    Args:
        words: Without the program's name.
        environ: Of the process.
        settings_file: Read unless another is named.
    """
    try:
        _, words = _run_parser().parse_known_args(words)
        found, left = _parser().parse_known_args(words)
    except (argparse.ArgumentError, SystemExit):
        return None
    if left or found.mode != "kill" or any(not value for value in vars(found).values() if isinstance(value, str)):
        return None
    directory = _data_dir(found, environ, Path(found.settings) if found.settings else settings_file)
    return KillWords(Path(directory), found.flatten, found.json, tuple(words))


def quick_market(words: Sequence[str], environ: Mapping[str, str], settings_file: Path) -> str:
    """The market that the command line, the environment and the settings file name."""
    found, _ = _parser().parse_known_args(words)
    file = Path(found.settings) if found.settings else settings_file
    return _market(found, environ, _settings(file))


def _run_parser() -> argparse.ArgumentParser:
    """Options of the run that is to be stopped: who takes its command line and changes the mode means the same run."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    for option in ("--headless", "--real-money", "--shadow"):
        parser.add_argument(option, action="store_true")
    for option in ("--fault", "--for", "--linger", "--record-raw", "--recording", "--scenario", "--seed", "--speed"):
        parser.add_argument(option, action="append")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    for option in ("--mode", "--strategy", "--market", "--data-dir", "--settings"):
        parser.add_argument(option)
    parser.add_argument("--set", action="append", default=[])
    for option in ("--flatten", "--json"):
        parser.add_argument(option, action="store_true")
    return parser


def _overrides(found: argparse.Namespace) -> dict[str, str]:
    return {name.strip(): _unquoted(value) for text in found.set for name, _, value in [text.partition("=")]}


def _variable(environ: Mapping[str, str], name: str) -> str:
    return _unquoted({key.upper(): value for key, value in environ.items()}.get(name, ""))


def _unquoted(text: str) -> str:
    """As the settings take it from outside the file: without blanks around it, and what is in quotes without them.

    A container's file of variables leaves quotes where they are.
    """
    text = text.strip()
    if text[:1] not in {"'", '"'}:
        return text
    try:
        import yaml

        return str(yaml.load(text, Loader=yaml.BaseLoader))  # noqa: S506 - text only
    except yaml.YAMLError:
        return text


def _data_dir(found: argparse.Namespace, environ: Mapping[str, str], file: Path) -> str:
    """In the order of the settings' layers: flag, --set, environment, overlay of the market, file, default."""
    told = found.data_dir or _overrides(found).get(_SETTING) or _variable(environ, _VARIABLE)
    if told:
        return str(told)
    settings = _settings(file)
    overlay = f"{_OVERLAYS}.{_market(found, environ, settings)}.{_SETTING}"
    return str(settings.get(overlay) or settings.get(_SETTING) or _DEFAULT)


def _market(found: argparse.Namespace, environ: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    told = found.market or _overrides(found).get("market") or _variable(environ, _MARKET_VARIABLE)
    return str(told or settings.get("market") or _DEFAULT_MARKET)


def _settings(file: Path) -> dict[str, Any]:
    """What the file says, by dotted key; of one that is no YAML any more, what stands in its `data_dir` line."""
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return {}
    try:
        import yaml  # only here: a tenth of the second that there is

        return dict(_flat("", yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))))  # noqa: S506 - text only
    except Exception:  # noqa: BLE001 - whatever is wrong with the file or its reader, orders have to be cancelled
        line = re.search(rf"(?m)^{_SETTING}:[ \t]*([^#\n]*)", text)
        return {_SETTING: line[1].strip().strip("'\"")} if line else {}


def _flat(above: str, value: object) -> Iterator[tuple[str, object]]:
    """Every value by its dotted key: a dot in a key is a level, as it is to the settings."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _flat(f"{above}.{name}" if above else str(name), below)
    else:
        yield above, value
