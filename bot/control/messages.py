"""What goes over the control socket, one JSON object a line.

Engine to reader: `{"snapshot": {...}}`, and once at the end `{"finished": {...}}`. Reader to engine:
`{"command": ...}`.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.snapshot import Snapshot
from bot.text import inert_tree

MAX_COMMAND_BYTES = 64 * 1024
"""A longer line from a reader is no command: that reader is closed."""
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Far above a snapshot with a full log."""


class Command(BaseModel):
    """What a person asks of the engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: Literal["stop", "pause", "resume", "flatten", "halt"]
    """`stop`: finish in order. `pause`: take nothing new. `resume`: trade again. `flatten`: close what is open, and
    take nothing new. `halt`: nothing but risk reduction, durably, until a person has taken the halt away."""
    route: str | None = None
    """Of `pause`, `resume`, `flatten`: the route's id; None: everything."""
    by: str = ""
    """Who asks, for the journal; the engine writes here what the kernel says of the other end."""


class Finished(BaseModel):
    """The engine has ended in order; nothing comes after it."""

    model_config = ConfigDict(frozen=True)

    summary: dict[str, Any]


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The line that carries `snapshot`."""
    return b'{"snapshot":' + snapshot.model_dump_json().encode() + b"}\n"


def encode_finished(summary: Mapping[str, Any]) -> bytes:
    """The line that ends a run; Decimals and paths in the summary are sent as text."""
    return json.dumps({"finished": dict(summary)}, default=str).encode() + b"\n"


def encode_command(command: Command) -> bytes:
    """The line that carries `command`."""
    return command.model_dump_json().encode() + b"\n"


def decode_message(line: bytes) -> Snapshot | Finished:
    """What an engine sent, with every string in it inert: the one border between engine and screen.

    Raises:
        ValueError: If the line is not a message of ours.
    """
    message = inert_tree(json.loads(line))
    if isinstance(message, dict) and "snapshot" in message:
        return Snapshot.model_validate(message["snapshot"])
    if isinstance(message, dict) and "finished" in message:
        return Finished(summary=message["finished"])
    raise ValueError("neither a snapshot nor the end of a run")
