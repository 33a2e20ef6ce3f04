"""The terminal UI as a process on a real (pseudo) terminal: what it leaves behind, and its exit code."""

import asyncio
import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_engine import SUMMARY, DemoEngine

ROOT = Path(__file__).parents[2]
WAIT_S = 60
RUN = "import sys; from pathlib import Path; from bot.tui.app import run_tui; sys.exit(run_tui(Path(sys.argv[1])))"
CRASH = """
from bot.tui.books import Books
def broken(*_):
    raise RuntimeError("crash of the test")
Books.show_tops = broken
"""


class Terminal:
    """A program on a pseudo terminal, and everything that it drew."""

    def __init__(self, code: str, path: Path) -> None:
        self._master, slave = pty.openpty()
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.drawn = b""

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(WAIT_S):
            while text not in self.drawn:
                self.drawn += await asyncio.to_thread(os.read, self._master, 65_536)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    async def stand_still(self, how: signal.Signals) -> None:
        """Stop it, and let it go on."""
        self.process.send_signal(how)
        await asyncio.to_thread(os.waitpid, self.process.pid, os.WUNTRACED)
        self.process.send_signal(signal.SIGCONT)

    async def exit_code(self) -> int:
        """After reading to the end, so that nothing waits for a full terminal."""
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(OSError):  # how Linux tells that the other side is closed
                while more := await asyncio.to_thread(os.read, self._master, 65_536):
                    self.drawn += more
            return await asyncio.to_thread(self.process.wait)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextlib.contextmanager
def terminal(code: str, path: Path) -> Iterator[Terminal]:
    opened = Terminal(code, path)
    try:
        yield opened
    finally:
        opened.close()


async def test_a_normal_end_leaves_the_totals_and_exit_0(socket_path: Path) -> None:
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(RUN, socket_path) as screen:
        await screen.until(b"PAPER MONEY")
        demo.server.finished(SUMMARY)
        await screen.until(b"press any key")
        screen.press(b" ")
        assert await screen.exit_code() == 0
        left = screen.drawn.rpartition(b"\x1b[?1049l")[2]  # after the alternate screen
        assert b"3.4183  USDT" in left
    await demo.server.stop()


async def test_ctrl_c_and_detach_leave_with_0(socket_path: Path) -> None:
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(RUN, socket_path) as screen:
        await screen.until(b"PAPER MONEY")
        screen.press(b"\x03")
        await screen.until(b"Detach")
        screen.press(b"d")
        assert await screen.exit_code() == 0
    assert demo.commands == []
    await demo.server.stop()


async def test_one_that_was_stopped_and_goes_on_leaves_as_ever(socket_path: Path) -> None:
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(RUN, socket_path) as screen:
        await screen.until(b"PAPER MONEY")
        await screen.stand_still(signal.SIGTSTP)
        screen.drawn = b""
        await screen.until(b"\x1b[?2004h")  # it reads the terminal again, which it had let go of
        await screen.stand_still(signal.SIGSTOP)
        screen.press(b"\x03")
        await screen.until(b"Detach")
        screen.press(b"d")
        assert await screen.exit_code() == 0
    await demo.server.stop()


async def test_a_crash_of_the_ui_is_no_success_and_leaves_the_engine_alone(socket_path: Path) -> None:
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(CRASH + RUN, socket_path) as screen:
        assert await screen.exit_code() not in {0, None}
        assert b"crash of the test" in screen.drawn
    assert demo.commands == []
    assert demo.server._server is not None
    assert demo.server._server.is_serving()
    await demo.server.stop()


async def test_a_dying_engine_is_no_success(socket_path: Path) -> None:
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(RUN, socket_path) as screen:
        await screen.until(b"PAPER MONEY")
        await demo.server.stop()
        await screen.until(b"engine is gone")
        screen.press(b"q")
        assert await screen.exit_code() == 70


@pytest.mark.parametrize("is_grey", [True, False])
async def test_no_color_leaves_greys(socket_path: Path, monkeypatch: pytest.MonkeyPatch, is_grey: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if is_grey:
        monkeypatch.setenv("NO_COLOR", "1")
    demo = DemoEngine(socket_path)
    await demo.server.start()
    with terminal(RUN, socket_path) as screen:
        await screen.until(b"ASSUMED")
        screen.press(b"q")
        await screen.until(b"Detach")
        screen.press(b"d")
        await screen.exit_code()
    colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", screen.drawn)
    assert colours
    assert all(len(set(colour)) == 1 for colour in colours) == is_grey
    await demo.server.stop()


def test_without_a_terminal_it_says_what_to_do(socket_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(socket_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "--headless" in done.stderr
