"""Prints the merged settings for people: YAML that can be read back, each value with the place it comes from."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bot.settings.errors import one_line
from bot.settings.loader import LoadedSettings
from bot.settings.schema import Key

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./:-]*(?<!:)")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_COMMENT_COLUMN = 44


def show_config(loaded: LoadedSettings) -> str:
    """The merged settings as YAML, secrets masked; a comment tells where a value was set, none means the default."""
    head = ["# Merged settings. A value without a comment is the built-in default.", f"# digest {loaded.digest}"]
    notes = [f"# {one_line(note)}" for note in loaded.notes]
    return "\n".join([*head, *notes, *_lines((), "", loaded.merged, loaded.origins)]) + "\n"


def show_config_json(loaded: LoadedSettings) -> str:
    """The same as one line of JSON: `digest`, `settings`, `origins` by dotted key (none: the default), and `notes`."""
    origins = {".".join(key): origin for key, origin in loaded.origins.items()}
    told = {"digest": loaded.digest, "settings": loaded.merged, "origins": origins, "notes": list(loaded.notes)}
    return json.dumps(told, allow_nan=False) + "\n"


def _lines(above: Key, indent: str, section: Mapping[str, Any], origins: Mapping[Key, str]) -> Iterator[str]:
    for name, value in section.items():
        key = (*above, *name.split("."))
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_scalar(name)}:"
            yield from _lines(key, indent + "  ", value, origins)
        else:
            yield _commented(f"{indent}{_scalar(name)}: {_scalar(value)}", origins.get(key))


def _commented(line: str, origin: str | None) -> str:
    return line if origin is None else f"{line:<{_COMMENT_COLUMN}}  # {one_line(origin)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if _needs_no_quotes(value) else _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(child) for child in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(name)}: {_scalar(child)}" for name, child in value.items()) + "}"
    return "null" if value is None else repr(value)


def _needs_no_quotes(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return True
    return _WORD.fullmatch(text) is not None and yaml.safe_load(text) == text


def _quoted(text: str) -> str:
    """With control characters as escapes, on one line however long."""
    dumped: str = yaml.safe_dump(text, default_style='"', width=10**9)
    return dumped.strip()
