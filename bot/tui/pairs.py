"""Two columns of text, the right one wrapped under itself: keys and meanings, names and totals."""

from collections.abc import Iterable, Iterator

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static


class Pairs(Container):
    """A name and its text on each row; neither is markup."""

    def __init__(self, entries: Iterable[tuple[str, str]], *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._entries = list(entries)

    def compose(self) -> ComposeResult:
        """Left, right, left, right, as the grid takes them."""
        for name, text in self._entries:
            yield Static(Content(name), classes="name")
            yield Static(Content(text), classes="text")


def plain(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The same as lines for a terminal without a screen."""
    entries = list(entries)
    width = max((len(name) for name, _ in entries), default=0)
    return (f"  {name.ljust(width)}  {text}" for name, text in entries)
