"""Makes keys and values from outside fit for MongoDB, and gives them back as they were.

A key `$where` would be an operator, `a.b` a path, and BSON knows no NUL in keys, no lone surrogate and no integer
beyond 64 bits. What cannot stand is written `%24;` (the character's number in hexadecimal); `%` itself is written so
too, which leaves keys that begin with `%` free to mark values.
"""

import re
from typing import Any

_IN_KEY = re.compile(
    "[%$.\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_IN_TEXT = re.compile("[%\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WRITTEN = re.compile("%([0-9A-F]+);")
_EMPTY = "%;"
_TEXT = "%text"
_INTEGER = "%integer"
_LARGEST = (1 << 63) - 1


def safe_key(key: str) -> str:
    """`key` without `$`, `.`, `%`, control, bidi and invisible characters; the same key gives the same text."""
    return _IN_KEY.sub(_written, key) if key else _EMPTY


def plain_key(key: str) -> str:
    """What `safe_key` was given."""
    return "" if key == _EMPTY else _WRITTEN.sub(_read, key)


def safe_tree(value: Any) -> Any:
    """`value`, as `json.loads` gives it, ready for BSON."""
    if isinstance(value, str):
        return value if value.isascii() or not _SURROGATE.search(value) else {_TEXT: _IN_TEXT.sub(_written, value)}
    if isinstance(value, dict):
        return {safe_key(key): safe_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [safe_tree(item) for item in value]
    if isinstance(value, int) and not -_LARGEST - 1 <= value <= _LARGEST:
        return {_INTEGER: f"{value:x}"}  # a thousand digits are no trouble in hexadecimal
    return value


def plain_tree(value: Any) -> Any:
    """What `safe_tree` was given."""
    if isinstance(value, dict):
        if len(value) == 1 and _TEXT in value:
            return _WRITTEN.sub(_read, value[_TEXT])
        if len(value) == 1 and _INTEGER in value:
            return int(value[_INTEGER], 16)
        return {plain_key(key): plain_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_tree(item) for item in value]
    return value


def _written(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):X};"


def _read(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
