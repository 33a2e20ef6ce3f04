"""How a file holds the columns of a channel: what plain Feather cannot do small, and what its metadata say of it.

Rows are sorted by instrument, then by receive time. Beside the channel's own columns stand

    price_divisor, quantity_divisor   the stored number / divisor is the price: 268381 / 100.0
    ts_event_step                     the stored time × step is the time in ns; one number through the whole file
    segment                           of a merged file: the number of the segment that the row was written in; else 0

and the columns named in `differences` hold, row by row, the difference to the row before of the same instrument; an
instrument's first row holds the value itself, so a running sum over the instrument gives it back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from bot.errors import StorageError
from bot.storage.archive.channels import Channel

FILE_VERSION = 1
SEGMENT_COLUMN = "segment"
INSTRUMENT_TYPE = pa.dictionary(pa.int32(), pa.string())

_KEY = b"crypto_pipe"


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one channel, or of one file."""

    differences: tuple[str, ...] = ()
    """Integer columns kept as differences."""
    steps: Mapping[str, int] = field(default_factory=dict)
    """By column: what its numbers are multiples of and divided by; a channel's own stand for any step."""
    divided: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By divisor column: the columns that are divided by it when read."""
    numbered: tuple[str, ...] = ()
    """Text columns kept as integers while every text is a plain number."""
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Text columns and all the texts that they can hold: kept as a dictionary."""

    @property
    def divisor_of(self) -> dict[str, str]:
        """By divided column: its divisor."""
        return {column: divisor for divisor, columns in self.divided.items() for column in columns}


_ANY_STEP = {"ts_event_ns": 1}

LAYOUTS: Mapping[Channel, Layout] = {
    Channel.QUOTES: Layout(
        differences=("ts_recv_ns", "ts_event_ns", "sequence"),
        steps=_ANY_STEP,
        divided={"price_divisor": ("bid_price", "ask_price"), "quantity_divisor": ("bid_qty", "ask_qty")},
    ),
    Channel.TRADES: Layout(
        differences=("ts_recv_ns", "ts_event_ns", "trade_id"),
        steps=_ANY_STEP,
        divided={"price_divisor": ("price",), "quantity_divisor": ("quantity",)},
        numbered=("trade_id",),
    ),
    Channel.FUNDING: Layout(differences=("ts_recv_ns", "ts_event_ns"), steps=_ANY_STEP),
    Channel.DEPTH: Layout(
        differences=("ts_recv_ns", "ts_event_ns", "message", "first_id", "last_id"),
        steps=_ANY_STEP,
        divided={"price_divisor": ("price",), "quantity_divisor": ("quantity",)},
        listed={"kind": ("snapshot", "delta", "invalid")},
    ),
}
"""Channels of few rows have none: they are plain Feather."""


def step_column(column: str) -> str:
    """Of the column that tells its step, row by row, to those who read the file without this program."""
    return column.removesuffix("_ns") + "_step"


def layout_of(channel: Channel) -> Layout:
    """What the channel's files may do."""
    return LAYOUTS.get(channel, Layout())


def metadata(channel: Channel, scope: str, schema: pa.Schema, steps: Mapping[str, int]) -> dict[bytes, bytes]:
    """What a file with these columns says of itself."""
    layout = layout_of(channel)
    differences = [name for name in layout.differences if pa.types.is_integer(schema.field(name).type)]
    numbered = [name for name in layout.numbered if pa.types.is_integer(schema.field(name).type)]
    body = {
        **asdict(layout),
        "differences": differences,
        "numbered": numbered,
        "steps": dict(steps),
        "version": FILE_VERSION,
        "channel": channel.value,
        "scope": scope,
    }
    return {_KEY: json.dumps(body).encode()}


def layout_in(schema: pa.Schema, path: str) -> Layout:
    """What a file says of itself.

    Raises:
        StorageError: If a newer program wrote it.
    """
    body = json.loads(schema.metadata[_KEY])
    if body["version"] > FILE_VERSION:
        raise StorageError(
            f"archive file {path} was written by a newer version (format {body['version']}, this program knows "
            f"{FILE_VERSION}): update the program"
        )
    return Layout(
        differences=tuple(body["differences"]),
        steps=body["steps"],
        divided={divisor: tuple(columns) for divisor, columns in body["divided"].items()},
        numbered=tuple(body["numbered"]),
        listed={name: tuple(texts) for name, texts in body["listed"].items()},
    )


def columns_needed(layout: Layout, wanted: Sequence[str]) -> set[str]:
    """Columns of the file that these columns of the channel are made from."""
    divisor_of = layout.divisor_of
    return {*wanted, *(divisor_of[name] for name in wanted if name in divisor_of)}
