"""What comes up over the panels: leaving, one row in full, and the end of the run."""

from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from bot.domain.snapshot import Snapshot
from bot.tui.pairs import Pairs
from bot.tui.table import Cell

Choice = Literal["detach", "stop", "cancel"]
_MEANINGS = (
    ("Detach", "only this screen closes; the engine goes on. Come back with --mode attach."),
    ("Stop", "the engine takes nothing new, ends in order and reports its totals."),
)


def told_open(shown: Snapshot) -> Content:
    """How many pairs are open, in words; a shadow's real ones beside those on paper."""
    pairs = {0: "No pair is open.", 1: "One pair is open."}
    words = pairs.get(shown.open_pairs, f"{shown.open_pairs} pairs are open.")
    shadow = shown.shadow
    if shadow is not None and shadow.open_twins:
        words += f" SHADOW ({shadow.money}): {shadow.open_twins} open."
    return Content(words)


class LeaveScreen(ModalScreen[Choice]):
    """Asks what `q` means; answers `detach`, `stop` or `cancel`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "dismiss('detach')", "Detach"),
        Binding("s", "dismiss('stop')", "Stop"),
        Binding("escape,c", "dismiss('cancel')", "Cancel"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, shown: Snapshot) -> None:
        super().__init__()
        self._pairs = Static(told_open(shown), classes="heading")

    def compose(self) -> ComposeResult:
        """Three buttons, the harmless one focused."""
        with Vertical(id="leave", classes="dialog") as box:
            box.border_title = "Leave?"
            yield self._pairs
            yield Pairs(_MEANINGS, classes="-warned")
            with Horizontal():
                yield Button("D · Detach", id="detach", variant="primary")
                yield Button("S · Stop the engine", id="stop", variant="error")
                yield Button("Esc · Cancel", id="cancel")

    def show_open_pairs(self, shown: Snapshot) -> None:
        """What is open now: the engine trades on while the question stands."""
        self._pairs.update(told_open(shown))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The same as the key."""
        choices: dict[str | None, Choice] = {"detach": "detach", "stop": "stop"}
        self.dismiss(choices.get(event.button.id, "cancel"))


class RowScreen(ModalScreen[None]):
    """One row with all its columns, uncut, as it was when it was asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Close")]

    def __init__(self, title: str, fields: list[tuple[str, Cell]]) -> None:
        super().__init__()
        self._title = title
        self._fields = fields

    def compose(self) -> ComposeResult:
        """One line a column, wrapped."""
        with VerticalScroll(id="row", classes="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = "Esc close"
            yield Pairs((title, cell.text.strip() or "none") for title, cell in self._fields)


class EndScreen(ModalScreen[None]):
    """The last screen: any key leaves with `code`."""

    def __init__(self, title: str, content: Widget, code: int) -> None:
        super().__init__(classes="-failed" if code else "")
        self._title = title
        self._content = content
        self.code = code

    def compose(self) -> ComposeResult:
        """A box that scrolls with the mouse; every key is for leaving."""
        with VerticalScroll(id="end", classes="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = "press any key to leave"
            yield self._content

    def on_key(self, event: events.Key) -> None:
        """Leave."""
        event.stop()
        self.app.exit(return_code=self.code)
