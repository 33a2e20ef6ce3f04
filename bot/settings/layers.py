"""Where settings come from: the file, the environment, `--set`, the dedicated flags. Each becomes a `Layer`.

Values stay text until the model types them, so that money never passes through a float and YAML's surprises
(`NO` for false, `12:30` for 750) do not reach it. Messages name keys and places, never values.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.errors import SettingsError
from bot.settings.schema import Key, SettingsSchema, dotted
from bot.settings.yaml_file import SECTION, entries, parse_value

ENVIRONMENT_PREFIX = "CRYPTO_PIPE__"
OVERLAYS = "market_overrides"

_LEVEL = re.compile(r"__|\.")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_.]{1,120}")


@dataclass(frozen=True)
class Layer:
    """One source of settings: values by key, and where each key, sections included, was written."""

    name: str
    values: dict[Key, Any] = field(default_factory=dict, repr=False)
    places: dict[Key, str] = field(default_factory=dict, repr=False)

    def put(self, key: Key, value: Any, place: str) -> None:
        """Add a value.

        Raises:
            SettingsError: If the key, a section above it or a key below it has a value already.
        """
        above = [key[:end] for end in range(1, len(key) + 1)]
        if key in self.places or any(part in self.values for part in above):
            raise SettingsError(f"{place}: {dotted(key)} is given twice")
        self.values[key] = value
        self.open(key, place)

    def open(self, key: Key, place: str) -> None:
        """Note where `key`, and the sections above it that are new, were written."""
        for end in range(1, len(key) + 1):
            self.places.setdefault(key[:end], place)

    def tree(self, schema: SettingsSchema) -> dict[str, Any]:
        """The values, nested as the model nests them."""
        root: dict[str, Any] = {}
        for key, value in self.values.items():
            *sections, last = schema.group(key)
            here = root
            for section in sections:
                here = here.setdefault(section, {})
            here[last] = value
        return root


def file_layers(path: Path, schema: SettingsSchema) -> tuple[Layer, dict[str, Layer]]:
    """The settings file, and its overlays by market.

    Raises:
        SettingsError: If the file cannot be read, is not plain YAML, says a key twice, or is too large.
    """
    base = Layer(path.name)
    overlays: dict[str, Layer] = {}
    for key, value, line in entries(path):
        place = f"{path}:{line}"
        target = base
        if key[0] == OVERLAYS:
            if len(key) == 1:
                if value is not SECTION and value is not None:
                    raise SettingsError(f"{place}: {OVERLAYS} must be a section: market, then the settings")
                continue
            target = overlays.setdefault(key[1], Layer(f"{OVERLAYS}.{dotted(key[1:2])}"))
            target.places.setdefault((), place)
            key = key[2:]
        if not key or value is SECTION or (value is None and schema.is_section(key)):
            _open_section(target, key, value, place)
        else:
            target.put(key, value, place)
    return base, overlays


def environment_layer(environ: Mapping[str, str], schema: SettingsSchema) -> Layer:
    """Every variable `CRYPTO_PIPE__SECTION__KEY`.

    Raises:
        SettingsError: If a name has an empty part, or two names mean one key.
    """
    layer = Layer("environment")
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX):
            # A dot is a level here too, for those who can write one in a name (`env`, containers).
            key = schema.spell(tuple(_LEVEL.split(name.removeprefix(ENVIRONMENT_PREFIX))))
            place = name if _VARIABLE_NAME.fullmatch(name) else f"{ENVIRONMENT_PREFIX}(not a name)"
            _refuse_empty_parts(key, place)
            for deeper, value in _flattened(key, _value(environ[name], key, schema, place)):
                layer.put(deeper, value, place)
    return layer


def override_layer(overrides: Sequence[str], schema: SettingsSchema) -> Layer:
    """Every `--set section.key=value`; of two for one key the later counts.

    Raises:
        SettingsError: If a text has no `=`, or a value that looks like a list or mapping is none.
    """
    last: dict[Key, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError("--set: write KEY=VALUE, for example --set risk.max_open_pairs=1")
        key = tuple(name.strip().split("."))
        _refuse_empty_parts(key, "--set")
        last.pop(key, None)
        last[key] = _value(value, key, schema, "--set")
    layer = Layer("--set")
    for key, value in last.items():
        for deeper, deep_value in _flattened(key, value):
            layer.put(deeper, deep_value, "--set")
    return layer


def flag_layer(flags: Mapping[str, Any]) -> Layer:
    """The dedicated flags, nested as the settings are; None means not given."""
    layer = Layer("command line")
    for key, value in _flattened((), flags):
        if value is not None:
            layer.put(key, str(value) if isinstance(value, Path) else value, f"--{key[-1].replace('_', '-')}")
    return layer


def _open_section(layer: Layer, key: Key, value: Any, place: str) -> None:
    if not key and value is not SECTION and value is not None:
        raise SettingsError(f"{place}: {layer.name} must be a section of settings")
    if any(key[:end] in layer.values for end in range(1, len(key) + 1)):
        raise SettingsError(f"{place}: {dotted(key)} is given twice")
    layer.open(key, place)


def _flattened(key: Key, value: Any) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _flattened((*key, *str(name).split(".")), child)
    else:
        yield key, value


def _refuse_empty_parts(key: Key, place: str) -> None:
    if not all(key):
        raise SettingsError(f"{place}: a key has an empty part")


def _value(text: str, key: Key, schema: SettingsSchema, place: str) -> Any:
    """A value from outside the file: text as it stands, `[...]`, `{...}` and quotes as YAML, `null` as nothing."""
    stripped = text.strip()
    if schema.is_declared_secret(key):
        return text
    if stripped in ("", "~", "null"):
        return None
    if stripped[0] not in "[{\"'":
        return stripped
    try:
        return parse_value(stripped)
    except ValueError:
        raise SettingsError(f"{place}: the value of {dotted(key)} is not a YAML list, mapping or quoted text") from None
