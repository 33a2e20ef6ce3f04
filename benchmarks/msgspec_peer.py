"""msgspec doing what the decoder does: a frame on the wire to a frozen value with floats and nanoseconds."""

from collections.abc import Callable
from typing import Any

from benchmarks.peers import load


def decoder(spot: bool) -> Callable[[bytes], object] | None:
    """A function from a Binance book ticker, envelope included, to a frozen Struct; None without msgspec."""
    msgspec: Any = load("msgspec", "msgspec")
    if msgspec is None:
        return None
    prices = [("b", float), ("B", float), ("a", float), ("A", float), ("u", int)]
    wire = msgspec.defstruct("Wire", prices if spot else [*prices, ("T", int)])
    frame = msgspec.defstruct("Frame", [("data", wire)])
    decode = msgspec.json.Decoder(frame, strict=False).decode  # not strict: numbers stand in strings
    names = ("bid_price", "bid_qty", "ask_price", "ask_qty", "sequence")
    fields = [*((name, float) for name in names[:4]), (names[4], int), ("ts_event_ns", int | None, None)]
    top = msgspec.defstruct("Top", fields, frozen=True)

    def spot_quote(raw: bytes) -> object:
        data = decode(raw).data
        return top(data.b, data.B, data.a, data.A, data.u)

    def dated_quote(raw: bytes) -> object:
        data = decode(raw).data
        return top(data.b, data.B, data.a, data.A, data.u, data.T * 1_000_000)

    return spot_quote if spot else dated_quote
