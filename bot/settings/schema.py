"""What settings there are: the joined model, its JSON schema for editors, and answers about single keys.

Everything that is said about a key (in errors, in `docs/settings.md`, in the editor) comes from the model's JSON
schema, so that a limit is stated once, in `bot/settings.py` or in the strategy's own model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, Field, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.errors import InvariantError, SettingsError
from bot.settings import Settings
from bot.settings.section import ASSET_PATTERN, SEGMENT_PATTERN, VENUE_PATTERN, WALLET_PATTERN
from bot.strategy_entry import section_name
from bot.suggestion import nearest_word

Key = tuple[str, ...]
"""A setting's place: `("risk", "max_open_pairs")`, written `risk.max_open_pairs`."""
_SHOWN_NAME = re.compile(r"(?=(\D*\d){0,3}\D*$)[a-z][a-z0-9_-]{0,39}|[A-Z0-9]{1,8}")

_PLACEHOLDERS = {
    VENUE_PATTERN: "<venue>",
    SEGMENT_PATTERN: "<segment>",
    WALLET_PATTERN: "<venue>.<wallet>",
    ASSET_PATTERN: "<ASSET>",
}
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}


class Layered(BaseSettings):
    """Reads from the layers given as `layers=`, strongest first, and from nowhere else."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers; the stock sources know neither lines nor the nearest known key."""
        trees = cast("Any", init_settings).init_kwargs["layers"]
        return tuple(_TreeSource(settings_cls, tree) for tree in trees)


class _TreeSource(PydanticBaseSettingsSource):
    def __init__(self, settings_cls: type[BaseSettings], tree: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._tree = tree

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._tree


def settings_model(strategies: Mapping[str, type[BaseModel]]) -> Any:
    """`Settings` with one more section per strategy, under its `section_name`; a subclass of `Layered` too.

    Raises:
        InvariantError: If a strategy's model takes unknown keys.
        SettingsError: If its section is one of the machine's own.
    """
    return _settings_model(tuple(strategies.items()))


@lru_cache(maxsize=8)
def _settings_model(strategies: tuple[tuple[str, type[BaseModel]], ...]) -> Any:
    """One class for the same strategies, so that settings loaded twice compare equal."""
    sections: dict[str, Any] = {}
    for name, model in strategies:
        if model.model_config.get("extra") != "forbid":
            raise InvariantError(f"strategy {name}: its settings must refuse unknown keys (extra='forbid')")
        if section_name(name) in Settings.model_fields:
            raise SettingsError(f"strategy {name}: the settings have a section of this name; choose another name")
        needs_values = any(field.is_required() for field in model.model_fields.values())
        sections[section_name(name)] = (model, ... if needs_values else Field(default_factory=model))
    bases: Any = (Layered, Settings)
    return create_model("CryptoPipeSettings", __base__=bases, **sections)


def dotted(key: Key) -> str:
    """`key` as people write it; parts that no setting could be called are left out: they may be misplaced secrets."""
    return ".".join(part if _SHOWN_NAME.fullmatch(part) else "(not a lower_case name)" for part in key)


class SettingsSchema:
    """Answers about keys, known and unknown."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._document = model.model_json_schema()

    def find(self, key: Key) -> dict[str, Any] | None:
        """The JSON schema of what stands at `key`; None where nothing may stand."""
        found, rest = self._walk(key)
        return found if not rest else None

    def is_section(self, key: Key) -> bool:
        """Whether more keys stand under `key`."""
        found = self.find(key)
        return found is not None and found.get("type") == "object"

    def is_text(self, key: Key) -> bool:
        """Whether any text may stand at `key` (no number, no choice); True as well where nothing is known."""
        found = self.find(key)
        return found is None or (found.get("type") == "string" and not {"enum", "const", "format"} & found.keys())

    def is_declared_secret(self, key: Key) -> bool:
        """Whether the model declares a secret at `key`."""
        found = self.find(key)
        return found is not None and found.get("format") == "password"

    def spell(self, key: Key) -> Key:
        """`key`, told in any case (as environment variables are), in the spelling of the settings."""
        spelt: Key = ()
        for part in key:
            here, unknown = self._walk(spelt)
            names_assets = not unknown and ASSET_PATTERN in here.get("patternProperties", {})
            spelt = (*spelt, part.upper() if names_assets else part.lower())
        return spelt

    def group(self, key: Key) -> Key:
        """`key` with one part per level of the model: a wallet's `binance`, `spot` become `binance.spot`."""
        node, rest = self._document, key
        grouped: Key = ()
        while rest:
            child, taken = _step(node, rest)
            if child is None:
                break
            grouped = (*grouped, ".".join(rest[:taken]))
            node, rest = self._resolved(child), rest[taken:]
        return (*grouped, *rest)

    def expectation(self, key: Key) -> str:
        """What must stand at `key`, in words and with its range: `a whole number above 0`."""
        found = self.find(key)
        return "something else" if found is None else self.words_for(found)

    @staticmethod
    def words_for(node: dict[str, Any]) -> str:
        """What a key of schema `node` takes, with its range."""
        bounds = [f"{word} {node[bound]:g}" for bound, word in _BOUNDS.items() if bound in node]
        kind = _kind_in_words(node) + (" " + " and ".join(bounds) if bounds else "")
        return kind + (", or null" if node.get("nullable") else "")

    def choices(self, key: Key) -> Sequence[str]:
        """The values to choose from; empty where it is no choice."""
        found = self.find(key)
        return [str(choice) for choice in found.get("enum", ())] if found is not None else ()

    def nearest(self, key: Key) -> str | None:
        """The known key that was probably meant, dotted; None if none is near."""
        found, rest = self._walk(key)
        if not rest:
            return None
        known = key[: len(key) - len(rest)]
        near = nearest_word(rest[0], _names(found))
        if near is not None:
            return ".".join((*known, near))
        leaves = {leaf[-1]: leaf for leaf, _ in self.leaves()}
        near = nearest_word(key[-1], leaves)
        return ".".join(leaves[near]) if near is not None else None

    def leaves(self) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Every settable key with its schema; free names stand as `<venue>`, `<segment>` and the like."""
        yield from self._leaves_under((), self._document)

    def _leaves_under(self, key: Key, node: dict[str, Any]) -> Iterator[tuple[Key, dict[str, Any]]]:
        if node.get("type") != "object":
            yield key, node
            return
        for name, child in node.get("properties", {}).items():
            yield from self._leaves_under((*key, name), self._resolved(child))
        # A value under free names means what its section says, unless it says more itself.
        told = {"description": node["description"]} if "description" in node else {}
        for pattern, child in _free_names(node):
            placeholder = _PLACEHOLDERS.get(pattern, "<name>")
            yield from self._leaves_under((*key, placeholder), {**told, **self._resolved(child)})

    def _walk(self, key: Key) -> tuple[dict[str, Any], Key]:
        """As far as `key` is known: what stands there, and the parts that are left."""
        node, rest = self._document, key
        while rest:
            child, taken = _step(node, rest)
            if child is None:
                break
            node, rest = self._resolved(child), rest[taken:]
        return node, rest

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """`node` with references followed and alternatives folded into one, keeping its own words."""
        said: dict[str, Any] = {name: node[name] for name in ("description", "default") if name in node}
        if "$ref" in node:
            node = self._resolved(self._document["$defs"][node["$ref"].rpartition("/")[2]])
        elif "anyOf" in node:
            options = [self._resolved(option) for option in node["anyOf"]]
            nullable = any(option.get("type") == "null" for option in options)
            # Decimal stands as number or string: the number, which comes first, carries the range.
            node = {**next(option for option in options if option.get("type") != "null"), "nullable": nullable}
        return {**node, **said}


def _step(node: dict[str, Any], rest: Key) -> tuple[dict[str, Any] | None, int]:
    if rest[0] in node.get("properties", {}):
        return node["properties"][rest[0]], 1
    for pattern, child in node.get("patternProperties", {}).items():
        # A wallet's name has a dot, and a dot is a level wherever settings are written.
        taken = 2 if pattern == WALLET_PATTERN and "." not in rest[0] else 1
        if len(rest) >= taken and re.fullmatch(pattern, ".".join(rest[:taken])):
            return child, taken
    extra = node.get("additionalProperties")
    return (extra, 1) if isinstance(extra, dict) else (None, 0)


def _free_names(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from node.get("patternProperties", {}).items()
    if isinstance(node.get("additionalProperties"), dict):
        yield "", node["additionalProperties"]


def _names(node: dict[str, Any]) -> list[str]:
    names = list(node.get("properties", {}))
    if SEGMENT_PATTERN in node.get("patternProperties", {}):
        names += SEGMENT_PATTERN.strip("^()$").split("|")
    return names


def _kind_in_words(node: dict[str, Any]) -> str:
    if "enum" in node:
        return "one of " + ", ".join(str(choice) for choice in node["enum"])
    if "const" in node:
        return str(node["const"])
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "array": "a list, for example [a, b]",
        "object": "a section with keys of its own",
    }
    if node.get("format") == "path":
        return "a path"
    return kinds.get(node.get("type", ""), "text")
