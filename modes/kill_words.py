"""What `--mode kill` was asked, read without a library: loading the settings takes longer than sending the cancels.

It must work with settings that do not hold, too: of them only the data directory is needed.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

_SETTING = "data_dir"
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
    """The whole command line, without the program's name."""


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
    flags = _overrides(found)
    told = found.market or flags.get("market") or _upper(environ).get(_MARKET_VARIABLE)
    file = Path(found.settings) if found.settings else settings_file
    return str(told or _settings(file).get("market") or _DEFAULT_MARKET)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    for option in ("--mode", "--strategy", "--market", "--data-dir", "--settings"):
        parser.add_argument(option)
    parser.add_argument("--set", action="append", default=[])
    for option in ("--flatten", "--json"):
        parser.add_argument(option, action="store_true")
    return parser


def _overrides(found: argparse.Namespace) -> dict[str, str]:
    return {name: value for text in found.set for name, _, value in [text.partition("=")]}


def _upper(environ: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in environ.items()}


def _data_dir(found: argparse.Namespace, environ: Mapping[str, str], file: Path) -> str:
    """In the order of the settings' layers: flag, --set, environment, overlay of the market, file, default."""
    flags, variables = _overrides(found), _upper(environ)
    told = found.data_dir or flags.get(_SETTING) or variables.get(_VARIABLE)
    if told:
        return str(told)
    settings = _settings(file)
    market = found.market or flags.get("market") or variables.get(_MARKET_VARIABLE) or settings.get("market")
    overlay = _mapping(_mapping(settings.get("market_overrides")).get(market or _DEFAULT_MARKET))
    return str(overlay.get(_SETTING) or settings.get(_SETTING) or _DEFAULT)


def _settings(file: Path) -> dict[str, Any]:
    """The file's top level; of one that is no YAML any more, what stands in its `data_dir` line."""
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return {}
    try:
        import yaml  # only here: a tenth of the second that there is

        return _mapping(yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader)))  # noqa: S506 - text only
    except Exception:  # noqa: BLE001 - whatever is wrong with the file or its reader, orders have to be cancelled
        line = re.search(rf"(?m)^{_SETTING}:[ \t]*([^#\n]*)", text)
        return {_SETTING: line[1].strip().strip("'\"")} if line else {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
