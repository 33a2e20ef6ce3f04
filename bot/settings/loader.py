"""Reads the settings: model defaults < settings.yaml < its overlay for the market < environment < --set < flags.

What can go wrong is told in one line with its place and never with the value (`bot/settings/errors.py`).
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bot.errors import SettingsError
from bot.settings import Settings
from bot.settings.errors import explain, one_line, place_of, strongest, unknown
from bot.settings.layers import OVERLAYS, Layer, environment_layer, file_layers, flag_layer, override_layer
from bot.settings.schema import Key, SettingsSchema, dotted, settings_model
from bot.settings.secret_keys import refuse_secrets, shown
from bot.strategy_entry import section_name

MARKETS: tuple[str, ...] = get_args(Settings.model_fields["market"].annotation)


@dataclass(frozen=True)
class LoadedSettings:
    """Settings that hold, and where each of them comes from."""

    settings: Settings = field(repr=False)
    merged: Mapping[str, Any] = field(repr=False)
    """Every setting as plain data, secrets masked."""
    origins: Mapping[Key, str] = field(repr=False)
    """Where a setting was written (`settings.yaml:12`, `CRYPTO_PIPE__MARKET`, `--set`); absent: the default holds."""
    overridden: Mapping[str, Sequence[str]]
    """By layer (overlay, environment, --set, command line): the keys that it set."""
    digest: str
    """SHA-256 over `merged`: the same settings have the same digest, in whatever layer they were written."""
    notes: Sequence[str]
    """What a person should know, one line each."""

    def section(self, strategy: str) -> BaseModel:
        """The settings of a strategy, of the type that the strategy gave."""
        found: BaseModel = getattr(self.settings, section_name(strategy))
        return found


def load_settings(
    path: Path,
    environ: Mapping[str, str],
    overrides: Sequence[str],
    cli: Mapping[str, Any],
    strategies: Mapping[str, type[BaseModel]],
    *,
    required: bool = True,
    venues: Collection[str] = (),
) -> LoadedSettings:
    """Read and merge every layer.

    Args:
        path: The settings file.
        environ: Environment variables; those that start with `CRYPTO_PIPE__` count.
        overrides: The texts of `--set`, `section.key=value`.
        cli: Dedicated flags, nested as the settings are; None means not given.
        strategies: By name, the model of each strategy's own section; it must refuse unknown keys.
        required: Whether a missing file is an error; if not, defaults hold and a note says so.
        venues: The names that `fees`, `funding`, `venues`, `instruments` and `paper.balances` may use; empty: any.

    Raises:
        SettingsError: One line: where, what is expected, what was probably meant; never a value.
    """
    model = settings_model(strategies)
    schema = SettingsSchema(model)
    file, overlays, notes = _file(_short(path), schema, required)
    flags = [flag_layer(cli), override_layer(overrides, schema), environment_layer(environ, schema)]
    _refuse_misplaced(file, overlays, flags, schema)
    market = str(strongest(("market",), [*flags, file]) or Settings.model_fields["market"].default)
    layers = [*flags, *([overlays[market]] if market in overlays else []), file]
    settings = _typed(model, layers, schema)
    _check_names(settings, layers, strategies, venues)
    _check_other_overlays(model, schema, overlays, file)
    merged = shown(settings.model_dump(), (), schema)
    return LoadedSettings(
        settings=settings,
        merged=merged,
        origins={key: layer.places[key] for layer in reversed(layers) for key in layer.values},
        overridden={layer.name: sorted(map(dotted, layer.values)) for layer in layers[:-1] if layer.values},
        digest=digest_of(merged),
        notes=notes,
    )


def digest_of(merged: Mapping[str, Any]) -> str:
    """SHA-256, hexadecimal, over the canonical JSON of `merged`."""
    canonical = json.dumps(merged, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _short(path: Path) -> Path:
    """`path` from here, where it lies below: it stands in every message."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _file(path: Path, schema: SettingsSchema, required: bool) -> tuple[Layer, dict[str, Layer], list[str]]:
    if not required and not path.exists():
        return Layer(path.name), {}, [one_line(f"{path} is missing: built-in defaults hold, with no paper balances")]
    file, overlays = file_layers(path, schema)
    return file, overlays, []


def _refuse_misplaced(
    file: Layer, overlays: Mapping[str, Layer], flags: Sequence[Layer], schema: SettingsSchema
) -> None:
    for layer in (file, *overlays.values(), *(layer for layer in flags if layer.name != "environment")):
        refuse_secrets(layer, schema)
    for market, layer in overlays.items():
        if market not in MARKETS:
            raise unknown(f"market under {OVERLAYS}", market, MARKETS, layer.places[()])
        if ("market",) in layer.values:
            raise SettingsError(f"{layer.places['market',]}: {OVERLAYS} cannot change the market that selects them")
    for layer in flags:
        if (OVERLAYS,) in layer.places:
            raise SettingsError(f"{layer.places[OVERLAYS,]}: {OVERLAYS} stand in the settings file only")


def _typed(model: Any, layers: Sequence[Layer], schema: SettingsSchema) -> Settings:
    try:
        settings: Settings = model(layers=[layer.tree(schema) for layer in layers])
    except ValidationError as error:
        raise explain(error, layers, schema) from None
    for key, value in _numbers((), settings.model_dump()):
        if not math.isfinite(value):
            raise SettingsError(f"{place_of(key, layers)}: {dotted(key)} must be a finite number")
    return settings


def _numbers(key: Key, value: Any) -> Iterator[tuple[Key, float | Decimal]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _numbers((*key, *str(name).split(".")), child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _numbers(key, child)
    elif isinstance(value, (float, Decimal)):
        yield key, value


def _check_names(
    settings: Settings, layers: Sequence[Layer], strategies: Collection[str], venues: Collection[str]
) -> None:
    if settings.strategy not in strategies:
        raise unknown("strategy", settings.strategy, sorted(strategies), place_of(("strategy",), layers))
    if not venues:
        return
    for section in ("fees", "funding", "venues", "instruments"):
        for venue in getattr(settings, section):
            _check_venue(venue, (section, venue), venues, layers)
    for wallet in settings.paper.balances:
        venue = wallet.partition(".")[0]
        _check_venue(venue, ("paper", "balances", venue), venues, layers)


def _check_venue(venue: str, key: Key, venues: Collection[str], layers: Sequence[Layer]) -> None:
    if venue not in venues:
        raise unknown(f"venue {dotted(key)}", venue, sorted(venues), place_of(key, layers))


def _check_other_overlays(model: Any, schema: SettingsSchema, overlays: Mapping[str, Layer], file: Layer) -> None:
    """An overlay that is not in use is held to the same rules: its day comes."""
    for overlay in overlays.values():
        problem: ValidationError | None = None
        try:
            model(layers=[overlay.tree(schema), file.tree(schema)])
        except ValidationError as error:
            problem = error
        if problem is not None:
            explained = explain(problem, [overlay, file], schema)
            if any(str(explained).startswith(f"{place}: ") for place in overlay.places.values()):
                raise explained
