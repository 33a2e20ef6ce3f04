"""Trade ids in few bytes: numbers as numbers, UUIDs as sixteen bytes, whatever else as text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot.market.packing import decoded_ints, dtype_of, pack_ints

_INT64 = range(-(2**63), 2**63)
_UUID = "00000000-0000-0000-0000-000000000000"
_IS_DIGIT = np.array([one == "0" for one in _UUID])
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_NO_DIGIT = 0xFF
_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_VALUES[_DIGITS] = np.arange(16)


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
        try:
            numbers = list(map(int, ids))
        except ValueError:
            return None
        # int() reads more than it writes: spaces, signs, underscores, other scripts.
        if min(numbers) not in _INT64 or max(numbers) not in _INT64 or list(map(str, numbers)) != list(ids):
            return None
        return cls(numbers)

    @property
    def nbytes(self) -> int:
        return int(self._stored.nbytes)

    def texts(self, start: int, stop: int) -> list[str]:
        return [str(number) for number in decoded_ints(self._stored[start:stop], self._codec).tolist()]


class _Uuids:
    """Bybit's of derivatives, in small letters."""

    __slots__ = ("_packed",)

    def __init__(self, packed: NDArray[np.uint8]) -> None:
        self._packed = packed

    @classmethod
    def of(cls, ids: Sequence[str]) -> "_Uuids | None":
        text = "".join(ids)
        if not text.isascii() or any(len(one) != len(_UUID) for one in ids):
            return None
        characters = np.frombuffer(text.encode(), np.uint8).reshape(-1, len(_UUID))
        halves = _VALUES[characters[:, _IS_DIGIT]]
        if (characters[:, ~_IS_DIGIT] != ord("-")).any() or (halves == _NO_DIGIT).any():
            return None
        packed: NDArray[np.uint8] = np.left_shift(halves[:, ::2], 4, dtype=np.uint8) | halves[:, 1::2]
        return cls(packed)

    @property
    def nbytes(self) -> int:
        return int(self._packed.nbytes)

    def texts(self, start: int, stop: int) -> list[str]:
        packed = self._packed[start:stop]
        characters = np.full((len(packed), len(_UUID)), ord("-"), np.uint8)
        characters[:, _IS_DIGIT] = _DIGITS[np.stack((packed >> 4, packed & 15), axis=-1).reshape(len(packed), -1)]
        text = characters.tobytes().decode()
        return [text[at : at + len(_UUID)] for at in range(0, len(text), len(_UUID))]


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
