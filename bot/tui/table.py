"""A table that repaints only the lines that changed, and whose columns stand still.

Cells are text, never markup. Columns that do not fit are left out, the least important first; `enter` shows a row
with all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

_MOST_ROWS = 200
_MOST_WIDTH = 28
"""Of a column that does not stretch: a hostile symbol does not push the others out."""
_TONES = ("good", "bad", "warn", "dim", "strong", "accent", "title", "cursor")


@dataclass(frozen=True)
class Column:
    """How one column looks; units stand in the title."""

    title: str
    right: bool = False
    stretch: int = 0
    """Above 0: at least this wide, and it takes what is left of the line up to its content."""
    rank: int = 0
    """0 always stands; of the others the highest goes first when the line is too short."""


@dataclass(frozen=True)
class Cell:
    """A text and what it means: a tone of the theme, which never says more than the text does."""

    text: str
    tone: str = ""


Row = Sequence[Cell]


def place(columns: Sequence[Column], needed: Sequence[int], available: int) -> list[tuple[int, int]]:
    """Which columns stand on a line of `available` cells: (index, width) from left to right."""
    gap = gap_of(available)
    least = [min(column.stretch or need, need) for column, need in zip(columns, needed, strict=True)]
    shown = list(range(len(columns)))

    def spare() -> int:
        return available - sum(least[index] + gap for index in shown) + gap

    while spare() < 0 and any(columns[index].rank for index in shown):
        shown.remove(max(shown, key=lambda index: columns[index].rank))
    left = max(0, spare())
    widths = []
    for index in shown:
        extra = min(left, needed[index] - least[index])
        left -= extra
        widths.append((index, least[index] + extra))
    return widths


def gap_of(available: int) -> int:
    """Cells between columns."""
    return 2 if available >= 100 else 1


class LiveTable(ScrollView, can_focus=True):
    """A panel of rows, given anew by `show` up to four times a second."""

    COLUMNS: ClassVar[tuple[Column, ...]]
    NAME: ClassVar[str]
    EMPTY: ClassVar[str] = "nothing yet"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"live-table--{tone}" for tone in _TONES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("enter", "open", "Row", show=False),
    ]

    @dataclass
    class Opened(Message):
        """A person wants to see a whole row."""

        title: str
        fields: list[tuple[str, Cell]]

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._rows: list[Row] = []
        self._lines: list[Strip] = []
        self._needed = self._title_widths()
        self._cursor = 0
        self.border_title = self.NAME

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows; only lines that differ are painted again."""
        self._rows = list(rows[:_MOST_ROWS])
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        for row in self._rows:
            for index, cell in enumerate(row):
                self._widen(index, cell_len(cell.text))
        self._paint()

    def render_line(self, y: int) -> Strip:
        """The title line stays; the rows scroll under it."""
        index = 0 if y == 0 else y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        line = self._lines[index] if index < len(self._lines) else Strip.blank(width)
        return line.crop_extend(0, width, None).apply_style(self.rich_style)

    def on_resize(self, _: events.Resize) -> None:
        """Columns may become narrow again, and others may fit."""
        self._needed = self._title_widths()
        self.show(self._rows)

    def on_focus(self) -> None:
        """The cursor appears."""
        self._paint()

    def on_blur(self) -> None:
        """The cursor goes."""
        self._paint()

    def notify_style_update(self) -> None:
        """Colours are part of the painted lines."""
        super().notify_style_update()
        if self.is_mounted:  # and later, when the components' styles are there too
            self.call_later(self._paint)

    def action_move(self, step: int) -> None:
        """Move the cursor; the line it is on comes into view."""
        self._cursor = max(0, min(self._cursor + step, len(self._rows) - 1))
        visible = max(1, self.scrollable_content_region.height - 1)
        top = self.scroll_offset.y
        if not top <= self._cursor < top + visible:
            self.scroll_to(y=self._cursor if step < 0 else self._cursor - visible + 1, animate=False)
        self._paint()

    def action_open(self) -> None:
        """Show the row under the cursor with every column, uncut."""
        if self._rows:
            titles = [column.title for column in self.COLUMNS]
            fields = list(zip(titles, self._rows[self._cursor], strict=True))
            self.post_message(self.Opened(self.NAME, fields))

    def _title_widths(self) -> list[int]:
        return [cell_len(column.title) for column in self.COLUMNS]

    def _widen(self, index: int, width: int) -> None:
        # Only ever wider, so that figures that come and go do not make the columns dance.
        if not self.COLUMNS[index].stretch:
            width = min(width, _MOST_WIDTH)
        self._needed[index] = max(self._needed[index], width)

    def _paint(self) -> None:
        lines = self._build()
        if len(lines) != len(self._lines):
            self._lines = lines
            self.virtual_size = Size(0, len(lines))
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(self._lines, lines, strict=True)) if old != new]
        self._lines = lines
        for y in changed:
            self.refresh_line(y if y else self.scroll_offset.y)

    def _build(self) -> list[Strip]:
        width = self.scrollable_content_region.width - 1
        places = place(self.COLUMNS, self._needed, width)
        gap = " " * gap_of(width)
        styles = {tone: self.get_component_rich_style(f"live-table--{tone}", partial=True) for tone in _TONES}
        titles = [Cell(column.title, "title") for column in self.COLUMNS]
        lines = [self._line(titles, places, gap, styles, " ")]
        for index, row in enumerate(self._rows):
            here = self.has_focus and index == self._cursor
            line = self._line(row, places, gap, styles, "▸" if here else " ")
            lines.append(line.apply_style(styles["cursor"]) if here else line)
        if not self._rows:
            lines.append(Strip([Segment(f" {self.EMPTY}", styles["dim"])]))
        return lines

    def _line(self, row: Row, places: list[tuple[int, int]], gap: str, styles: dict[str, Style], mark: str) -> Strip:
        segments = [Segment(mark, styles["accent"])]
        for index, width in places:
            cell = row[index]
            segments.append(Segment(_fitted(cell.text, width, self.COLUMNS[index].right), styles.get(cell.tone)))
            segments.append(Segment(gap))
        return Strip(segments[:-1])


def _fitted(text: str, width: int, right: bool) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width else ""
    return " " * (width - length) + text if right else text + " " * (width - length)
