"""Panel 5: the engine's log; it follows the newest line unless a person has scrolled up."""

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bot.domain.snapshot import LogLine
from bot.tui.words import time_of_day

_KEPT = 500
_LEVELS = {"info": ("info ", "dim"), "warning": ("WARN ", "warn"), "error": ("ERROR", "bad")}
_TONES = ("dim", "warn", "bad")


class Log(ScrollView, can_focus=True):
    """Wrapped lines with engine time and level; a gap in the numbers is told."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{tone}" for tone in _TONES}

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._kept: deque[LogLine] = deque(maxlen=_KEPT)
        self._strips: list[Strip] = []
        self._last_number: int | None = None
        self._follows = True
        self.border_title = "5 Log"

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append the lines; numbers that are missing between them become a line of their own."""
        before = len(self._kept), self._last_number
        for line in lines:
            missed = 0 if self._last_number is None else line.number - self._last_number - 1
            if missed > 0:
                text = f"{missed:,} lines were not received"
                self._kept.append(LogLine(number=line.number, ts_ns=line.ts_ns, level="warning", text=text))
            self._kept.append(line)
            self._last_number = line.number
        if before != (len(self._kept), self._last_number):
            self._layout_lines()

    def render_line(self, y: int) -> Strip:
        """One wrapped line."""
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        line = self._strips[index] if index < len(self._strips) else Strip.blank(width)
        return line.crop_extend(0, width, None).apply_style(self.rich_style)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; scrolling to the end resumes it."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y

    def on_resize(self, _: events.Resize) -> None:
        """Wrap for the new width."""
        self._layout_lines()

    def notify_style_update(self) -> None:
        """Colours are part of the wrapped lines."""
        super().notify_style_update()
        if self.is_mounted:  # and later, when the components' styles are there too
            self.call_later(self._layout_lines)

    def _layout_lines(self) -> None:
        self._strips = [strip for line in self._kept for strip in self._wrapped(line)]
        self.virtual_size = Size(0, len(self._strips))
        if self._follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def _wrapped(self, line: LogLine) -> list[Strip]:
        word, tone = _LEVELS[line.level]
        head = f" {time_of_day(line.ts_ns)} {word} "
        width = max(10, self.scrollable_content_region.width - cell_len(head))
        style = self.get_component_rich_style(f"log--{tone}", partial=True)
        rest = None if line.level == "info" else style
        first, *more = _chopped(line.text, width)
        return [
            Strip([Segment(head, style), Segment(first, rest)]),
            *(Strip([Segment(" " * cell_len(head)), Segment(part, rest)]) for part in more),
        ]


def _chopped(text: str, width: int) -> list[str]:
    parts: list[str] = []
    while cell_len(text) > width:
        head = chop_cells(text, width)[0]
        space = head.rfind(" ")
        cut = space if space > width // 2 else len(head)
        parts.append(text[:cut])
        text = text[cut:].lstrip()
    return [*parts, text]
