"""What an export says once it is over."""

import json
import sys
from pathlib import Path


def tell_export(channel: str, rows: int, path: Path, *, as_json: bool) -> None:
    """How many rows are where: an object on stdout with `as_json`; that there are none is a line on stderr always.

    Without rows a CSV holds its header row alone, and there is no file of another format: `path` is null.
    """
    has_file = rows > 0 or path.suffix.lower() == ".csv"
    if as_json:
        print(json.dumps({"channel": channel, "rows": rows, "path": str(path) if has_file else None}))
    if not rows:
        left = f"{path} holds the header row alone" if has_file else f"{path} is not written"
        print(f"crypto-pipe: no rows of {channel} for what was asked; {left}", file=sys.stderr)
    elif not as_json:
        print(f"{rows:,} rows of {channel} in {path}", file=sys.stderr)
