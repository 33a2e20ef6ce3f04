"""WebSocket frames as a server writes them (RFC 6455): one piece, not masked."""

TEXT = 0x1
CLOSE = 0x8
PING = 0x9
PONG = 0xA
_FINAL = 0x80
_SHORT = 126
_LONG = 1 << 16


def encoded(opcode: int, payload: bytes) -> bytes:
    """A whole frame."""
    first, size = _FINAL | opcode, len(payload)
    if size < _SHORT:
        return bytes((first, size)) + payload
    if size < _LONG:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def decoded(frame: bytes) -> tuple[int, bytes]:
    """Opcode and payload of one whole frame."""
    head = {126: 4, 127: 10}.get(frame[1], 2)
    return frame[0] & 0x0F, frame[head:]


def closing(code: int, reason: str) -> bytes:
    """A close frame."""
    return encoded(CLOSE, code.to_bytes(2, "big") + reason.encode())
