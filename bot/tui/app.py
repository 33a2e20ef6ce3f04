"""The terminal UI: a process of its own that reads the engine's socket and sends commands."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.theme import Theme
from textual.widgets import Footer, Static

from bot.clock import SystemClock
from bot.control import Attachment, Command, Finished, attach
from bot.domain.snapshot import LogLine, Snapshot
from bot.errors import ExitCode
from bot.tui.books import Books
from bot.tui.break_even import BreakEven
from bot.tui.decisions import Decisions
from bot.tui.dialogs import Choice, EndScreen, LeaveScreen, RowScreen
from bot.tui.feeds import Feeds
from bot.tui.header import Header
from bot.tui.help import HelpScreen
from bot.tui.jobs import Jobs, troubles
from bot.tui.log import Log
from bot.tui.pairs import Pairs, plain
from bot.tui.routes import Routes
from bot.tui.stopping import StopScreen, Wish
from bot.tui.table import LiveTable
from bot.tui.totals import total_lines

_PAINT_S = 0.25
_NO_NEWS_S = 2.0
_RETRY_S = 0.1
_ENDING = (signal.SIGHUP, signal.SIGTERM)
_LEAVING_S = 5.0
"""How long leaving may take after a signal: the terminal library waits for ever on a terminal that is gone."""
_PANELS = ("books", "routes", "feeds", "decisions", "log", "jobs", "break-even")
_IN_TURNS = {"feeds": "", "decisions": "-decisions", "jobs": "-jobs", "break-even": "-break-even"}
"""Panels that may share a place, and the class that brings each of them to the front."""

THEME = Theme(
    name="crypto-pipe",
    primary="#5db0f0",
    secondary="#7c8da3",
    accent="#c39bf5",
    success="#45d19a",
    warning="#f5bd4f",
    error="#ff6b6b",
    foreground="#d5dde8",
    background="#0a0e14",
    surface="#0f141c",
    panel="#161d28",
    variables={
        "border-blurred": "#2b3646",
        "footer-key-foreground": "#5db0f0",
        "button-focus-text-style": "bold underline",
    },
)


class CryptoPipeApp(App[None]):
    """Shows the engine behind `socket_path` (`<data_dir>/run/engine.sock`) until it ends or a person leaves.

    `return_code` is 0 after leaving and after a finished run, `ExitCode.SETTINGS` when no engine answers within
    `wait_s`, `ExitCode.BUG` when the engine goes away without finishing, 128 and its number after a signal.
    `last_words` is what the terminal should show once the screen is gone.
    """

    CSS_PATH = "app.tcss"
    TITLE = "Crypto Pipe"
    ALLOW_IN_MAXIMIZED_VIEW = "#header, Footer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("1", "panel('books')", "Panels", key_display="1-7"),
        *(Binding(str(index + 1), f"panel('{name}')", show=False) for index, name in enumerate(_PANELS) if index),
        Binding("b", "break_even", "Break-even"),
        Binding("z", "zoom", "Zoom"),
        Binding("p", "pause_display", "Freeze"),
        Binding("h", "hold", "Hold"),
        Binding("s", "stop_trading", "Stop"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, socket_path: Path, wait_s: float = 0.0) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]
        self._header = Header(id="header")
        self._books = Books(id="books")
        self._routes = Routes(id="routes")
        self._feeds = Feeds(id="feeds")
        self._decisions = Decisions(id="decisions")
        self._jobs = Jobs(id="jobs")
        self._break_even = BreakEven(id="break-even")
        self._messages = Log(id="log")
        self._socket_path = socket_path
        self._wait_s = wait_s
        self._clock = SystemClock()
        self._engine: Attachment | None = None
        self._newest: Snapshot | None = None
        self._painted: Snapshot | None = None
        self._heard_ns = self._clock.monotonic_ns()
        self._log_lines: list[LogLine] = []
        self._is_paused = False
        self._is_stopping = False
        self._has_let_go = False
        self._behind: tuple[str, ...] = ()
        """What break-even covers: the panel that shares its place, then the one with the cursor."""
        self.last_words: Sequence[str] = ()

    def compose(self) -> ComposeResult:
        """The panels, in the order of their digits."""
        yield self._header
        yield self._books
        yield self._routes
        yield Horizontal(self._feeds, self._decisions, self._jobs, self._break_even, id="health")
        yield self._messages
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start reading the engine."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self._routes.focus()
        self.set_interval(_PAINT_S, self._paint)
        self.run_worker(self._follow())
        # Without a handler the process ends as it stands, and the terminal with it in another program's mode. The
        # loop's own handlers would not do: it may stand still in a write to a terminal that was closed.
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            signal.signal(number, lambda number, frame: self._on_signal(loop, number))
        # Textual takes the terminal up on every SIGCONT, also where nothing let go of it before: after a SIGSTOP it
        # would be read twice, and the program never end.
        signal.signal(signal.SIGTSTP, lambda number, frame: self._let_go())
        signal.signal(signal.SIGCONT, lambda number, frame: self._take_up())

    async def on_unmount(self) -> None:
        """Let go of the engine."""
        for number in (*_ENDING, signal.SIGTSTP, signal.SIGCONT):
            signal.signal(number, signal.SIG_DFL)
        if self._engine is not None:
            await self._engine.close()

    def _let_go(self) -> None:
        """Leave the terminal as it was, and stand still."""
        if self._driver is not None:
            self._driver.suspend_application_mode()
            self._has_let_go = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _take_up(self) -> None:
        if self._driver is not None and self._has_let_go:
            self._driver.resume_application_mode()  # in the background it stands still in there, and is asked again
            self._has_let_go = False

    def _on_signal(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        last_way = threading.Timer(_LEAVING_S, os._exit, (128 + number,))
        last_way.daemon = True
        last_way.start()
        loop.call_soon_threadsafe(self._on_ending, number)

    def _on_ending(self, number: int) -> None:
        """The terminal was closed, or somebody ends us; the exit code is a shell's for that signal."""
        words = f"Ended by {signal.Signals(number).name}: the engine goes on. Come back with --mode attach."
        self.last_words = [words]
        self.exit(return_code=128 + number)

    async def _follow(self) -> None:
        try:
            self._engine = await self._connect()
        except ConnectionError as error:
            self._leave(ExitCode.SETTINGS, [f"{error}. Start one with --mode action."])
            return
        try:
            async for message in self._engine:
                self._take(message)
        except ConnectionError as error:
            self._show_loss(str(error))

    async def _connect(self) -> Attachment:
        deadline_ns = self._clock.monotonic_ns() + round(self._wait_s * 1e9)
        while True:
            try:
                return await attach(self._socket_path)
            except ConnectionError:
                if self._clock.monotonic_ns() >= deadline_ns:
                    raise
                await asyncio.sleep(_RETRY_S)  # an engine that is starting has no socket to wait on yet

    @property
    def _is_closing(self) -> bool:
        """Whether the screens are gone, or on their way: timers and messages of the engine still come."""
        return not self.is_running or not self.screen_stack

    def _take(self, message: Snapshot | Finished) -> None:
        if self._is_closing:
            return
        if isinstance(message, Finished):
            self._show_totals(message)
            return
        self._newest = message
        self._heard_ns = self._clock.monotonic_ns()
        self._log_lines += message.log
        if isinstance(self.screen, LeaveScreen):
            self.screen.show_open_pairs(message)

    def _paint(self) -> None:
        """Show the newest snapshot: however fast they come, four times a second is enough to read."""
        if self._is_closing:
            return  # the timer fires once more, and the panels have let go of their styles
        shown = self._painted if self._is_paused else self._newest
        self._header.show(shown, self._notices())
        if shown is None or shown is self._painted:
            return
        self._painted = shown
        self._books.show_tops(shown.tops)
        self._routes.show_routes(shown.routes)
        self._feeds.show_feeds(shown.feeds)
        self._decisions.show_counts(shown)
        self._jobs.show_upkeep(shown.upkeep)
        self._break_even.show_surface(shown.surface)
        self._messages.add(self._log_lines)
        self._log_lines.clear()

    def _notices(self) -> tuple[str, ...]:
        silent_s = (self._clock.monotonic_ns() - self._heard_ns) / 1e9
        if isinstance(self.screen, EndScreen):
            return ()
        notices = {
            "DISPLAY PAUSED": self._is_paused,
            "STOPPING": self._is_stopping,
            "PAUSED": self._newest is not None and "" in self._newest.paused,
            f"NO NEWS FOR {silent_s:.0f} s": silent_s >= _NO_NEWS_S,
        }
        told = tuple(text for text, holds in notices.items() if holds)
        return told if self._newest is None else (*told, *troubles(self._newest.upkeep))

    def action_panel(self, name: str) -> None:
        """Focus a panel; where two share a place, bring it to the front."""
        if name in _IN_TURNS:
            for panel, front in _IN_TURNS.items():
                if front:
                    self.query_one("#health").set_class(panel == name, front)
        self.screen.minimize()
        self.query_one(f"#{name}").focus()

    def action_zoom(self) -> None:
        """The focused panel on the whole screen, or back."""
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif isinstance(self.focused, LiveTable | Log):
            self.screen.maximize(self.focused)

    def action_break_even(self) -> None:
        """What each size needs, on the whole screen, or back."""
        if self.screen.maximized is self._break_even:
            for name in self._behind:
                self.action_panel(name)
            return
        self._behind = (self._in_front(), self._focused_panel())
        self.action_panel("break-even")
        # Its place on the screen is made first: what is not displayed cannot fill it.
        self.call_after_refresh(self.screen.maximize, self._break_even)

    def _in_front(self) -> str:
        """Which of the panels that share a place is shown; the one without a class where none was asked for."""
        classes = self.query_one("#health").classes
        return next((name for name, front in _IN_TURNS.items() if front in classes), "feeds")

    def _focused_panel(self) -> str:
        name = None if self.focused is None else self.focused.id
        return name if name in _PANELS else "routes"

    def action_pause_display(self) -> None:
        """Freeze or thaw the picture; the engine knows nothing of it."""
        self._is_paused = not self._is_paused
        self._paint()

    async def action_hold(self) -> None:
        """No new pairs; when a person has asked for that already, trade on."""
        if self._newest is not None and self._newest.state in {"ACTIVE", "REDUCING"}:
            word = "resume" if "" in self._newest.paused else "pause"
            await self._send(Command.model_validate({"command": word}))

    def action_stop_trading(self) -> None:
        """Asks how much of it, and for what."""
        if self._newest is not None and not isinstance(self.screen, EndScreen | StopScreen):
            self.push_screen(StopScreen(self._routes.chosen, self._newest), self._obey)

    async def _obey(self, wish: Wish | None) -> None:
        if wish is not None:
            await self._send(Command(command=wish.command, route=wish.route))

    def action_help(self) -> None:
        """The keys and the words."""
        self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Never leaves silently: asks, unless the run is over or the question is on the screen already."""
        if isinstance(self.screen, EndScreen):
            self.exit(return_code=self.screen.code)
        elif self._newest is None:
            self._leave(ExitCode.OK, ["Detached before the engine answered."])
        elif not isinstance(self.screen, LeaveScreen):
            self.push_screen(LeaveScreen(self._newest), self._answer)

    async def _answer(self, choice: Choice | None) -> None:
        if choice == "detach":
            self._leave(ExitCode.OK, ["Detached: the engine goes on. Come back with --mode attach."])
        elif choice == "stop":
            self._is_stopping = True
            await self._send(Command(command="stop"))

    async def _send(self, command: Command) -> None:
        assert self._engine is not None, "a snapshot came from it"
        try:
            await self._engine.send(command)
        except ConnectionError:
            return  # the reading side tells it on the screen
        what = f" {command.route}" if command.route else ""
        self.notify(f"Asked the engine to {command.command}{what}.", markup=False)

    def on_live_table_opened(self, event: LiveTable.Opened) -> None:
        """A row in full."""
        self.push_screen(RowScreen(event.title, event.fields))

    def _show_totals(self, message: Finished) -> None:
        totals = total_lines(message.summary)
        self.last_words = ["The run is finished.", *plain(totals)]
        self._end(EndScreen("The run is finished", Pairs(totals), ExitCode.OK))

    def _show_loss(self, reason: str) -> None:
        self.last_words = [
            f"Lost the engine: {reason}.",
            "Its journal holds everything that it did. Look with --mode post-mortem; start with --mode action.",
        ]
        words = Static(Content("\n\n".join(self.last_words)))
        self._end(EndScreen("The engine is gone", words, ExitCode.BUG))

    def _end(self, screen: EndScreen) -> None:
        if self._is_closing:
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.clear_notifications()
        self.push_screen(screen)
        self._is_paused = False
        self._paint()

    def _leave(self, code: ExitCode, words: Sequence[str]) -> None:
        self.last_words = words
        self.exit(return_code=code)


def run_tui(socket_path: Path, wait_s: float = 0.0) -> int:
    """Show the engine behind `socket_path` until the end; the exit code for this process.

    Args:
        socket_path: `<data_dir>/run/engine.sock`.
        wait_s: How long an engine that is just starting may take to open its socket.

    Returns:
        What `CryptoPipeApp` says, and not 0 when the UI itself crashed or there is no terminal to draw on.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # Textual draws on stderr
        words = "without one: --headless, or --mode status of a run that goes on"
        print(f"crypto-pipe: the screen needs a terminal on stdin and stderr; {words}", file=sys.stderr)
        return ExitCode.SETTINGS
    app = CryptoPipeApp(socket_path, wait_s)
    app.run()
    for line in app.last_words:
        print(line, file=sys.stderr)
    return app.return_code or 0
