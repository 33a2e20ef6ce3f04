"""`s`: less trading, none, or none until a person has looked; for everything, or the route under the cursor."""

from typing import ClassVar, Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from bot.domain.snapshot import RouteRow, Snapshot
from bot.tui.dialogs import told_open
from bot.tui.pairs import Pairs


class Wish(NamedTuple):
    """What a person has chosen."""

    command: Literal["pause", "resume", "flatten", "halt"]
    route: str | None
    """None: everything."""


class StopScreen(ModalScreen[Wish | None]):
    """Every choice is a key of its own: the one that opened this box does nothing by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "route", "Route"),
        Binding("c", "close_route", "Close the route's"),
        Binding("a", "everything('pause')", "Pause all"),
        Binding("t", "everything('resume')", "Trade on"),
        Binding("f", "everything('flatten')", "Flatten"),
        Binding("H", "everything('halt')", "Halt"),
        Binding("escape,s,q", "dismiss(None)", "Cancel"),
    ]

    def __init__(self, route: RouteRow | None, shown: Snapshot) -> None:
        super().__init__()
        self._route = route
        self._shown = shown

    def compose(self) -> ComposeResult:
        """The choices, and what each does and does not."""
        with Vertical(id="stopping", classes="dialog") as box:
            box.border_title = "Stop trading?"
            box.border_subtitle = "Esc cancel"
            yield Static(told_open(self._shown), classes="heading")
            yield Pairs(self._choices(), classes="-warned")

    def _choices(self) -> list[tuple[str, str]]:
        choices = []
        if self._route is not None:
            name = self._route.route
            if self._route.paused:
                choices.append(("r", f"let it trade again: {name}"))
            else:
                choices.append(("r", f"pause, nothing new of it: {name}"))
            choices.append(("c", "close what it holds now, and pause it"))
        return [
            *choices,
            ("a", "pause all: nothing new; what is open is closed when its time comes"),
            ("t", "trade on, but for routes that are paused one by one"),
            ("f", "flatten: close everything now, at what the market pays, and pause all"),
            ("shift-H", "HALT, also after a restart, until a person takes the flag away"),
        ]

    def action_route(self) -> None:
        """Pause it, or let it trade."""
        if self._route is not None:
            self.dismiss(Wish("resume" if self._route.paused else "pause", self._route.route))

    def action_close_route(self) -> None:
        """Out of it."""
        if self._route is not None:
            self.dismiss(Wish("flatten", self._route.route))

    def action_everything(self, command: Literal["pause", "resume", "flatten", "halt"]) -> None:
        """For the whole run."""
        self.dismiss(Wish(command, None))
