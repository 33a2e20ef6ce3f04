"""API keys out of a file that its owner alone can read."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from bot.errors import SettingsError

_MAX_BYTES = 65_536
_FORM = "write `binance:` and below it, indented, `key: ...` and `secret: ...`"


def read_key_file(path: Path) -> Mapping[str, Mapping[str, SecretStr]]:
    """Account -> `key` and `secret`.

    Raises:
        SettingsError: If others could read it, it is not ours, or not of that form; nothing of it is repeated.
    """
    content = _owner_only(path)
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not the parser's words: they show the line.
        raise SettingsError(f"{path} is no YAML; {_FORM}") from None
    if not isinstance(found, dict) or not found:
        raise SettingsError(f"{path} holds no keys; {_FORM}")
    return {_account(path, name): _pair(path, pair) for name, pair in found.items()}


def _owner_only(path: Path) -> bytes:
    try:
        # Not waiting for a writer, should it be a pipe.
        handle = os.open(path.expanduser(), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except RuntimeError:  # as for a container's user, who need not have a name
        raise SettingsError(f"keys.file {path}: no home directory is known here; write the whole path") from None
    except OSError as error:
        raise SettingsError(f"keys.file {path} cannot be read: {error.strerror}") from None
    try:
        _check_owner(path, os.fstat(handle))
        content = os.read(handle, _MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"keys.file {path} cannot be read: {error.strerror}") from None
    finally:
        os.close(handle)
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"keys.file {path} is larger than any file of keys")
    return content


def _check_owner(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise SettingsError(f"keys.file {path} is no plain file")
    if about.st_uid != os.geteuid():
        raise SettingsError(f"keys.file {path} belongs to another user; make one of your own")
    mode = stat.S_IMODE(about.st_mode)
    if mode & 0o077:
        raise SettingsError(
            f"keys.file {path} can be read by others (mode {mode:04o}): chmod 600 it, and replace the keys "
            "at the venue if others could have seen them"
        )


def _account(path: Path, name: Any) -> str:
    venue, dot, system = str(name).partition(".")
    if not (venue.isascii() and venue.isalnum() and venue.islower()) or (dot and system != "testnet"):
        raise SettingsError(f"{path}: accounts are called VENUE or VENUE.testnet, in lower case; {_FORM}")
    return str(name)


def _pair(path: Path, pair: Any) -> Mapping[str, SecretStr]:
    if not isinstance(pair, dict) or set(pair) != {"key", "secret"}:
        raise SettingsError(f"{path}: every account has `key` and `secret`, and nothing else; {_FORM}")
    if not all(isinstance(value, str) for value in pair.values()):
        raise SettingsError(f"{path}: a key or secret is no text; put it in quotes")
    return {part: SecretStr(value) for part, value in pair.items()}
