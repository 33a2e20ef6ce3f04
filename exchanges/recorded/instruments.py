"""Instrument metadata of a recording, without asking a venue: a file beside it, else what the venue ships.

`<recording's name without .gz, .raw>.instruments.json` goes before `instruments.json` in the same folder. Either holds
`{"<venue symbol>": {instrument}}`, or `{"<feed>": {"<venue symbol>": {instrument}}}` where one folder holds
recordings of several feeds (`BTCUSDT` stands for another instrument in each).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.domain.instrument import Feed, Instrument
from bot.errors import RecordingError

SHARED_NAME = "instruments.json"


def own_metadata_path(recording: Path) -> Path:
    """Where the metadata of this one recording stands, if it has its own."""
    name = recording.name.removesuffix(".gz").removesuffix(".raw")
    return recording.with_name(f"{name}.instruments.json")


def metadata_beside(recordings: Sequence[Path], feed: Feed) -> dict[str, Instrument]:
    """By venue symbol: what the files beside these recordings say about `feed`; empty where there are none.

    Raises:
        RecordingError: If such a file is there and cannot be understood.
    """
    found: dict[str, Instrument] = {}
    for recording in recordings:
        for path in (recording.with_name(SHARED_NAME), own_metadata_path(recording)):
            if path.is_file():
                found |= read_metadata(path, feed)
    return found


def read_metadata(path: Path, feed: Feed) -> dict[str, Instrument]:
    """By venue symbol: the instruments of `feed` in one metadata file; others in it are left out.

    Raises:
        RecordingError: If the file cannot be read or an entry is not an instrument.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RecordingError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(document, dict):
        raise RecordingError(f"{path} is not an object of venue symbol to instrument")
    ours = document.get(str(feed), {})
    if not isinstance(ours, dict):
        raise RecordingError(f"{path}: {feed} is not an object of venue symbol to instrument")
    entries = {key: entry for key, entry in document.items() if not _is_feed(key)} | ours
    instruments = {symbol: _instrument(path, symbol, entry) for symbol, entry in entries.items()}
    return {symbol: instrument for symbol, instrument in instruments.items() if instrument.feed == feed}


def merged_metadata(old: Mapping[str, Any], by_feed: Mapping[Feed, Mapping[str, Instrument]]) -> dict[str, Any]:
    """The document of a folder's `instruments.json`: `old` with these instruments put in."""
    document: dict[str, Any] = dict(old)
    for feed, instruments in by_feed.items():
        dumps = {symbol: instrument.model_dump(mode="json") for symbol, instrument in instruments.items()}
        document[str(feed)] = {**document.get(str(feed), {}), **dumps}
    return document


def _is_feed(key: str) -> bool:
    try:
        Feed.parse(key)
    except ValueError:
        return False
    return True


def _instrument(path: Path, symbol: str, entry: object) -> Instrument:
    try:
        return Instrument.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        raise RecordingError(f"{path}: {symbol} is not an instrument: {where}: {first['msg']}") from None
