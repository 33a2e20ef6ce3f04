"""Trade ids in few bytes: numbers as numbers, UUIDs as sixteen bytes, whatever else as text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol
from uuid import UUID

import numpy as np

from bot.market.packing import decoded_ints, dtype_of, pack_ints

_UUID_CHARACTERS = 36
_NUMBER_DIGITS = 18


class PackedIds(Protocol):
    """Ids in the order in which they came."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    def texts(self, start: int, stop: int) -> list[str]:
        """These ids, character by character as they came."""


def pack_ids(ids: Sequence[str]) -> PackedIds:
    """The narrowest form in which every one of them comes back as it was."""
    for form in (_Numbers, _Uuids):
        packed = form.of(ids)
        if packed is not None:
            return packed
    return _Texts(ids)


class _Numbers:
    """Decimal numbers without leading zeros: Binance's, and Bybit's of spot."""

    __slots__ = ("_codec", "_stored")

    def __init__(self, numbers: list[int]) -> None:
        self._codec, stored = pack_ints(np.array(numbers, np.int64))
        self._stored = stored.astype(dtype_of(self._codec))

    @classmethod
    def of(cls, ids: Sequence[str]) -> "_Numbers | None":
        if not all(one.isascii() and one.isdigit() and len(one) <= _NUMBER_DIGITS for one in ids):
            return None
        numbers = [int(one) for one in ids]
        return cls(numbers) if all(str(number) == one for number, one in zip(numbers, ids, strict=True)) else None

    @property
    def nbytes(self) -> int:
        return int(self._stored.nbytes)

    def texts(self, start: int, stop: int) -> list[str]:
        return [str(number) for number in decoded_ints(self._stored[start:stop], self._codec).tolist()]


class _Uuids:
    """Bybit's of derivatives."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    @classmethod
    def of(cls, ids: Sequence[str]) -> "_Uuids | None":
        if not all(len(one) == _UUID_CHARACTERS and one.isascii() for one in ids):
            return None
        try:
            packed = cls(b"".join(bytes.fromhex(one.replace("-", "")) for one in ids))
        except ValueError:
            return None
        # Capitals and dashes in other places would come back changed.
        return packed if packed.nbytes == 16 * len(ids) and packed.texts(0, len(ids)) == list(ids) else None

    @property
    def nbytes(self) -> int:
        return len(self._packed)

    def texts(self, start: int, stop: int) -> list[str]:
        return [str(UUID(bytes=self._packed[at : at + 16])) for at in range(16 * start, 16 * stop, 16)]


class _Texts:
    __slots__ = ("_bytes", "_ends")

    def __init__(self, ids: Sequence[str]) -> None:
        # What no UTF-8 holds came from outside, too, and must not stop anything.
        encoded = [one.encode(errors="surrogatepass") for one in ids]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)]).astype(np.uint32)

    @property
    def nbytes(self) -> int:
        return len(self._bytes) + int(self._ends.nbytes)

    def texts(self, start: int, stop: int) -> list[str]:
        ends = self._ends[start : stop + 1].tolist()
        return [self._bytes[low:high].decode(errors="surrogatepass") for low, high in pairwise(ends)]
