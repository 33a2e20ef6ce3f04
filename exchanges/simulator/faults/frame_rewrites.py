"""What is done to the content of a frame: books made to cross, figures spoiled."""

import re
from collections.abc import Callable
from typing import Any

from exchanges.simulator.faults.frame_dialect import Book, Message

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


_Ghosts = set[tuple[str, str]]
"""Name of the side and price of levels that are in the books of clients only."""


class Crossing:
    """Makes the books of one connection cross, with prices that stand in the same frame and so on the venue's grid.

    Where a frame tells only changes, what is added stays in the client's book: it is taken out by a later frame.
    """

    def __init__(self) -> None:
        self._ghosts: dict[str, _Ghosts] = {}

    @property
    def is_clean(self) -> bool:
        """Whether nothing has to be taken out any more."""
        return not self._ghosts

    def cross(self, book: Book) -> bool:
        """Put the best bid above the best ask; False where the frame does not tell enough for it."""
        bids, asks = book.fields[book.bid], book.fields[book.ask]
        if book.is_whole:
            self._ghosts.pop(book.stream, None)
            return _swap_prices(book) if isinstance(bids, str) else _swap_best(bids, asks)
        bid, ask = _standing(bids), _standing(asks)
        if bid is None or ask is None:
            self._keep(book.stream, self._left(book))
            return False
        self.heal(book)
        # A bid at the price of an ask, and an ask at that of a bid: wherever in the book those stand, these cross.
        _put(bids, ask)
        _put(asks, bid)
        self._keep(book.stream, {(book.bid, ask[0]), (book.ask, bid[0])})
        return True

    def heal(self, book: Book) -> bool:
        """Take out what was put in; False where there is nothing."""
        left = set() if book.is_whole else self._left(book)
        self._keep(book.stream, set())
        for name, price in sorted(left):
            book.fields[name].append([price, book.zero])
        return bool(left)

    def _left(self, book: Book) -> _Ghosts:
        """What was put in, without the levels of which the frame itself tells the truth."""
        told = {(name, level[0]) for name in (book.bid, book.ask) for level in book.fields[name]}
        return self._ghosts.get(book.stream, set()) - told

    def _keep(self, stream: str, ghosts: _Ghosts) -> None:
        self._ghosts.pop(stream, None)
        if ghosts:
            self._ghosts[stream] = ghosts


def _standing(levels: list[list[str]]) -> list[str] | None:
    return next((level for level in levels if float(level[1])), None)


def _put(levels: list[list[str]], level: list[str]) -> None:
    levels[:] = [list(level), *(one for one in levels if one[0] != level[0])]


def _swap_best(bids: list[list[str]], asks: list[list[str]]) -> bool:
    if not bids or not asks:
        return False
    bids[0][0], asks[0][0] = asks[0][0], bids[0][0]
    return True


def _swap_prices(book: Book) -> bool:
    fields = book.fields
    fields[book.bid], fields[book.ask] = fields[book.ask], fields[book.bid]
    return True


def spoil(value: Any, is_figure: Callable[[str, Message], bool], said: str) -> int:
    """Say `said` in place of every price and quantity below `value`; how many there were."""
    if isinstance(value, list):
        return sum(spoil(one, is_figure, said) + _spoil_level(one, said) for one in value)
    if not isinstance(value, dict):
        return 0
    names = [name for name, one in value.items() if _is_number(one) and is_figure(name, value)]
    value.update(dict.fromkeys(names, said))
    return len(names) + sum(spoil(one, is_figure, said) for one in value.values())


def _spoil_level(level: Any, said: str) -> int:
    if not isinstance(level, list) or not all(map(_is_number, level)):
        return 0
    level[:] = [said] * len(level)
    return len(level)


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
