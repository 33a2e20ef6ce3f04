"""The settings told to editors (JSON schema) and to readers (the table in `docs/settings.md`)."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from bot.settings import Settings
from bot.settings.layers import OVERLAYS
from bot.settings.schema import Key, SettingsSchema, settings_model
from bot.settings.section import SEGMENT_PATTERN, VENUE_PATTERN

_FEED_PATTERN = VENUE_PATTERN.removesuffix("$") + r"\." + SEGMENT_PATTERN.removeprefix("^")


def json_schema(strategies: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The JSON schema of a settings file, the strategies' sections and the overlays included.

    Raises:
        InvariantError: If a strategy's model takes unknown keys.
    """
    document: dict[str, Any] = settings_model(strategies).model_json_schema()
    markets = get_args(Settings.model_fields["market"].annotation)
    for part in (document, *document["$defs"].values()):
        for section in part.get("properties", {}).values():
            _allow_feed_names(section)
    document["properties"][OVERLAYS] = {
        "description": "Settings that hold for one market only; they go over the rest of this file.",
        "type": "object",
        "properties": {market: {"$ref": "#"} for market in markets},
        "additionalProperties": False,
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document, "title": "Crypto Pipe settings"}


def settings_reference_markdown(strategies: Mapping[str, type[BaseModel]]) -> str:
    """A Markdown table of every settable key: what may stand there, the built-in default, the meaning."""
    schema = SettingsSchema(settings_model(strategies))
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    rows += [_row(key, node, schema) for key, node in schema.leaves()]
    return "\n".join(rows) + "\n"


def _row(key: Key, node: dict[str, Any], schema: SettingsSchema) -> str:
    cells = [f"`{'.'.join(key)}`", schema.words_for(node), _default(node), node.get("description", "")]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(node: dict[str, Any]) -> str:
    default = node.get("default")
    if default is None:
        return "unset"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _allow_feed_names(section: dict[str, Any]) -> None:
    """Where venue and segment are levels, the editor accepts `binance.linear:` as the loader does."""
    for by_segment in list(section.get("patternProperties", {}).values()):
        for pattern, leaf in by_segment.get("patternProperties", {}).items():
            if pattern == SEGMENT_PATTERN:
                section["patternProperties"][_FEED_PATTERN] = leaf
