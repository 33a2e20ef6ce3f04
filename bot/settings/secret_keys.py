"""Which settings are secret, and how they are shown: not at all.

A secret is what the model declares (`SecretStr`), what its key's name says (`api_key`), and the user and password of
a URL. Secrets come from the environment alone: a settings file is shared, a command line is seen by every user
of the machine.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretBytes, SecretStr

from bot.errors import SettingsError
from bot.settings.layers import Layer
from bot.settings.schema import Key, SettingsSchema, dotted

MASK = "********"

_SECRET_WORDS = re.compile(
    r"(?i)secret|passw|passphrase|token|credential|apikey|privatekey|(^|_)(keys?|uri|pass|pwd|auth)(_|$)"
)
# A user is what stands before an @ in the host; a stream's name (`btcusdt@trade`) comes after the first slash.
_USER_IN_URL = re.compile(r"^[\w+.-]+://[^/?#]*@|^[^\s/:@]+:[^\s/@]+@")
# For showing, a password with a slash in it counts as well: better to mask too much.
_MASKED_IN_URL = re.compile(r"(?s)^([\w+.-]+://).*@|^[^/:@]+:.*@")
_QUERY_VALUE = re.compile(r"(?<==)[^&#\s]+")


def is_secret(key: Key, schema: SettingsSchema) -> bool:
    """Whether what stands at `key` is never shown."""
    if schema.is_declared_secret(key):
        return True
    return schema.is_text(key) and any(_SECRET_WORDS.search(_snake(part)) for part in key)


def refuse_secrets(layer: Layer, schema: SettingsSchema) -> None:
    """Check a layer that other people may read.

    Raises:
        SettingsError: If it holds a secret.
    """
    for key, value in layer.values.items():
        if value is not None and (is_secret(key, schema) or _has_user(value)):
            variable = "CRYPTO_PIPE__" + "__".join(key).upper()
            way = f"; give it as {variable} in the environment" if schema.find(key) is not None else ""
            raise SettingsError(
                f"{layer.places[key]}: {dotted(key)} looks like a secret, and keys never stand in settings.yaml "
                f"or on the command line{way}; remove it here, and replace it at the venue if others saw it"
            )


def shown(value: Any, key: Key, schema: SettingsSchema) -> Any:
    """`value` as plain data for people and programs: Decimals and paths as text, secrets masked."""
    if isinstance(value, Mapping):
        return {_name(name): shown(child, (*key, *_name(name).split(".")), schema) for name, child in value.items()}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (SecretStr, SecretBytes)) or is_secret(key, schema):
        return MASK
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown(child, key, schema) for child in value]
    if isinstance(value, Enum):
        return shown(value.value, key, schema)
    return str(value) if isinstance(value, (Decimal, Path)) else masked_text(str(value))


def masked_text(text: str) -> str:
    """`text` without the user, the password and the query values of a URL."""
    text = _MASKED_IN_URL.sub(lambda found: f"{found[1] or ''}{MASK}@", text)
    address, question, query = text.partition("?")
    return address + question + _QUERY_VALUE.sub(MASK, query)


def _has_user(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_user(child) for child in value)
    return isinstance(value, str) and _USER_IN_URL.match(value) is not None


def _name(name: Any) -> str:
    return str(name.value if isinstance(name, Enum) else name)


def _snake(name: str) -> str:
    """`apiKey` and `api-key` as `api_key`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name)
