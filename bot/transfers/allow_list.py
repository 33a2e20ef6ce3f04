"""The addresses that may be withdrawn to, and since when the list has been as it is.

Its digest is pinned in the data directory: whoever changes the list waits, and so does whoever changes the pin.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.durable_text import write_durably
from bot.errors import SettingsError

PIN = "allow_list.pin"
"""In the data directory: the digest of the list, and since when it has been that."""


class Entry(BaseModel):
    """One address on one network."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1)
    """What a person calls it, and names it by."""
    asset: str = Field(pattern=r"^[^a-z\s]+$")
    network: str = Field(min_length=1)
    """Our id of the chain: `tron`."""
    address: str = Field(min_length=10)
    memo: str = ""
    """Tag or memo; empty where the network has none."""
    venue: str | None = None
    """Whose deposit address it is, where it is one of our own accounts."""


_NO_LIST = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""PyYAML lets out whatever its constructors trip over: a memo `2026-13-45` is a date with a thirteenth month."""
_ENTRIES = TypeAdapter(list[Entry])


class AllowList(BaseModel):
    """What a file says."""

    model_config = ConfigDict(frozen=True)

    entries: Sequence[Entry]
    digest: str
    """SHA-256 of the file, hex."""

    def named(self, name: str) -> Entry | None:
        """The entry of this name; None where there is none."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def to(self, venue: str, asset: str, network: str) -> Entry | None:
        """The newest entry for deposits at one of our own accounts: the last of its kind in the file."""
        wanted = (venue, asset, network)
        return next((one for one in reversed(self.entries) if (one.venue, one.asset, one.network) == wanted), None)


def read_allow_list(path: Path) -> AllowList:
    """The list as it is now.

    Raises:
        SettingsError: If it cannot be read, or is not a list of entries with names of their own.
    """
    try:
        content = path.read_bytes()
        entries = _ENTRIES.validate_python(yaml.safe_load(content) or [])
    except OSError as error:
        raise SettingsError(f"the allow-list {path} cannot be read: {error.strerror}") from None
    except _NO_LIST as error:
        raise SettingsError(f"the allow-list {path} is not understood ({type(error).__name__})") from None
    if len({entry.name for entry in entries}) < len(entries):
        raise SettingsError(f"the allow-list {path} has two entries of one name")
    return AllowList(entries=entries, digest=hashlib.sha256(content).hexdigest())


def unchanged_since_ns(data_dir: Path, digest: str, now_ns: int) -> int:
    """Since when the list has had this digest, UTC ns: from now on, where it is another than the one that is pinned.

    Raises:
        OSError: If the pin cannot be written.
    """
    path = data_dir / PIN
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["sha256"] == digest:
            return int(told["since_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nobody pinned it yet, or nobody can tell: it begins anew
    write_durably(path, json.dumps({"sha256": digest, "since_ns": now_ns}) + "\n")
    return now_ns
