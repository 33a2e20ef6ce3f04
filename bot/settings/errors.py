"""Says what is wrong with the settings: one line, where, what is expected, what was probably meant; never the value."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from bot.errors import SettingsError
from bot.settings.layers import Layer
from bot.settings.schema import Key, SettingsSchema, dotted
from bot.suggestion import did_you_mean


def explain(error: ValidationError, layers: Sequence[Layer], schema: SettingsSchema) -> SettingsError:
    """The first problem of `error`, as one line; `layers` strongest first."""
    problems = error.errors(include_input=False, include_url=False)
    first = problems[0]
    key = _key(first["loc"])
    line = f"{place_of(key, layers)}: {_problem(first, key, layers, schema)}"
    more = len(problems) - 1
    return SettingsError(one_line(line + (f" (and {more} more)" if more else "")))


def unknown(kind: str, wanted: str, known: Sequence[str], place: str) -> SettingsError:
    """`wanted` names no `kind`; the known names are told, `wanted` itself is not."""
    meant = did_you_mean(wanted, known)
    return SettingsError(one_line(f"{place}: unknown {kind} (known: {', '.join(sorted(known))}){meant}"))


def place_of(key: Key, layers: Sequence[Layer]) -> str:
    """Where the strongest layer wrote `key`, or else the nearest section above it."""
    for end in range(len(key), 0, -1):
        for layer in layers:
            if key[:end] in layer.places:
                return layer.places[key[:end]]
    return "settings"


def strongest(key: Key, layers: Sequence[Layer]) -> Any:
    """The value that counts at `key`; None where no layer has one."""
    return next((layer.values[key] for layer in layers if key in layer.values), None)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", text)


def _key(location: tuple[int | str, ...]) -> Key:
    """pydantic's place as our key; positions in lists and its `[key]` marks fall away."""
    names = [part for part in location if isinstance(part, str) and part != "[key]"]
    return tuple(part for name in names for part in name.split("."))


def _problem(problem: Any, key: Key, layers: Sequence[Layer], schema: SettingsSchema) -> str:
    name, kind = dotted(key), problem["type"]
    if kind == "extra_forbidden" or problem["loc"][-1] == "[key]":
        meant = schema.nearest(key)
        return f"unknown key {name}" + (f"; did you mean {meant}?" if meant else "; --show-config lists them all")
    if kind == "missing":
        return f"{name} is missing; it must be {schema.expectation(key)}"
    if kind in ("value_error", "assertion_error"):
        return f"{name}: {_own_words(problem, key, layers)}"
    choices = schema.choices(key)
    return f"{name} must be {schema.expectation(key)}{did_you_mean(str(strongest(key, layers)), choices)}"


def _own_words(problem: Any, key: Key, layers: Sequence[Layer]) -> str:
    """What a validator of ours says, unless it repeats a value: that may be a secret."""
    said = str(problem.get("ctx", {}).get("error", ""))
    values = [str(value) for layer in layers for place, value in layer.values.items() if place[: len(key)] == key]
    repeats = any(len(value) > 3 and value in said for value in values)
    return "is refused by its own check" if repeats or not said else said
