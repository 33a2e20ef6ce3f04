"""Whether frames are complete: ids that must follow one another do, and two subscribers saw the same ones."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

# Where an id counts frames, the next frame has the next one; ids of Binance's best prices leave out deeper changes.
_COUNTED = {"aggTrade": re.compile(rb'"a":(\d+)'), "trade": re.compile(rb'"t":(\d+)')}
_QUOTE = re.compile(rb'"u":(\d+)')
_BINANCE = re.compile(rb'\{"stream":"(\w+)@(\w+)')
_BYBIT = re.compile(rb'\{"topic":"([\w.]+)\.(\w+)"')
_IS_QUOTE = re.compile(rb'\{"stream":"\w+@bookTicker|\{"topic":"orderbook\.1\.')
_MS = 1_000_000
_TIME = re.compile(rb'"(?:E|ts)":(\d+)')


class Chains:
    """Follows the ids of one subscriber of one feed from frame to frame."""

    def __init__(self) -> None:
        self.breaks = 0
        """Frames that do not follow the one before them."""
        self._quotes: defaultdict[str, list[int]] = defaultdict(list)
        self._last: dict[tuple[str, str], int] = {}

    def follow(self, payloads: Iterable[bytes]) -> None:
        """Take in frames in their order."""
        for raw in payloads:
            if match := _BINANCE.match(raw):
                self._binance(match[1].decode().upper(), match[2].decode(), raw)
            elif (match := _BYBIT.match(raw)) and match[1] == b"orderbook.1":
                self._quote(match[2].decode(), raw, step=1)

    def take_quotes(self, symbol: str) -> list[int]:
        """Ids of a symbol's quotes since the last time."""
        return self._quotes.pop(symbol, [])

    def _binance(self, symbol: str, kind: str, raw: bytes) -> None:
        if kind == "bookTicker":
            self._quote(symbol, raw, step=None)
        elif kind in _COUNTED and (match := _COUNTED[kind].search(raw)):
            self._next((symbol, kind), int(match[1]), 1)

    def _quote(self, symbol: str, raw: bytes, step: int | None) -> None:
        match = _QUOTE.search(raw)
        if match is None:
            self.breaks += 1
            return
        self._quotes[symbol].append(int(match[1]))
        self._next((symbol, "quote"), int(match[1]), step)

    def _next(self, chain: tuple[str, str], number: int, step: int | None) -> None:
        last = self._last.get(chain)
        self._last[chain] = number
        if last is not None and (number <= last if step is None else number != last + step):
            self.breaks += 1


def differing(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids only one of two subscribers saw, between the first and the last that both could see."""
    if not one or not other:
        return max(len(one), len(other))
    low, high = max(one[0], other[0]), min(one[-1], other[-1])
    return len({number for number in one if low <= number <= high} ^ {n for n in other if low <= n <= high})


def ages_ms(came: Iterable[tuple[int, bytes]]) -> list[float]:
    """How old quotes were when they came; the venues tell whole ms, so half a ms of it is theirs.

    Of quotes alone: trades of one price are added up for a tenth of a second before they are told.
    """
    timed = ((ts_ns, _TIME.search(raw)) for ts_ns, raw in came if _IS_QUOTE.match(raw))
    return [ts_ns / _MS - int(match[1]) for ts_ns, match in timed if match]
