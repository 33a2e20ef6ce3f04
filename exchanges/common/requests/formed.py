"""A request as a venue's own client library has formed and signed it, before anybody has sent it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Formed:
    """What leaves for the venue, byte for byte: the signature is over it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
