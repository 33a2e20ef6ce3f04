"""JSON text and WebSocket frames, made once for everybody who receives them."""

import json
import struct
from typing import Any

Row = dict[str, Any]
"""An object of JSON."""

_FINAL_TEXT = 0x81
_SHORT = 126
_LONG = 1 << 16

# ASCII only: clients may send half a surrogate pair, which has no UTF-8, and have it repeated to them.
_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False)


def dumps(value: Any) -> str:
    """Compact JSON."""
    return _encoder.encode(value)


def frame(text: str) -> bytes:
    """A whole text frame of a server (RFC 6455: unmasked, so the same bytes serve every connection)."""
    payload = text.encode()
    size = len(payload)
    if size < _SHORT:
        return bytes((_FINAL_TEXT, size)) + payload
    if size < _LONG:
        return struct.pack("!BBH", _FINAL_TEXT, 126, size) + payload
    return struct.pack("!BBQ", _FINAL_TEXT, 127, size) + payload


def envelope(result: Any, now_ms: int, *, code: int = 0, message: str = "OK", ext: Any = None) -> str:
    """What every HTTP answer looks like."""
    return dumps(
        {
            "retCode": code,
            "retMsg": message,
            "result": {} if result is None else result,
            "retExtInfo": {} if ext is None else ext,
            "time": now_ms,
        }
    )
