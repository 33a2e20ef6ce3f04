"""Fault 66: the terminal UI is killed, its terminal closed. The engine goes on; the terminal is as it was before."""

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from bot.control.client import attach
from bot.engine.run import SOCKET
from tests.integration.fault_rig import PATIENCE_S, ROOT, bot, records

RUN = "import sys; from pathlib import Path; from bot.tui.app import run_tui; sys.exit(run_tui(Path(sys.argv[1])))"
NARROW = "import textual.drivers._writer_thread as writer; writer.MAX_QUEUED_WRITES = 1; " + RUN
"""With room for one write: what the UI says last does not fit any more once nobody reads."""
HEADLESS = (
    "import runpy, sys; sys.argv[:] = ['main.py', '--headless', '--data-dir', sys.argv[1]]; "
    "runpy.run_path('main.py', run_name='__main__')"
)
LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOWS_CURSOR = b"\x1b[?25h"


class Terminal:
    """A shell's terminal with the UI in it, and everything that was drawn."""

    def __init__(self, socket: Path, run: str = RUN) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", run, str(socket)],
            cwd=ROOT, env=environment, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: _take_terminal(0),
        )  # fmt: skip
        self.drawn = b""
        os.set_blocking(self.master, False)

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.drawn:
                self.read()
                await asyncio.sleep(0.02)

    def read(self) -> None:
        with contextlib.suppress(OSError):
            while more := os.read(self.master, 65_536):
                self.drawn += more

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            while self.process.poll() is None:
                self.read()
                await asyncio.sleep(0.02)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _take_terminal(descriptor: int) -> None:
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, and children with it


@contextlib.asynccontextmanager
async def on_screen(data_dir: Path, run: str = RUN):
    """A bot that runs by itself, and a UI attached to it."""
    # A busy machine does not make it REDUCING.
    async with bot(data_dir, "risk.max_loop_lag_ms=60000", "journal.max_behind_ms=60000") as running:
        await running.says("routes over")
        screen = Terminal(data_dir / SOCKET, run)
        try:
            await screen.until(b"SIMULATED MARKET")
            yield running, screen
        finally:
            screen.close()


async def assert_goes_on(data_dir: Path) -> None:
    """The engine answers, and its time goes on."""
    reader = await attach(data_dir / SOCKET)
    try:
        async with asyncio.timeout(PATIENCE_S):
            first, second = await anext(reader), await anext(reader)
        assert second.now_ns > first.now_ns
        assert second.state == "ACTIVE"
    finally:
        await reader.close()


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short enough for a socket


@contextlib.asynccontextmanager
async def without_screen(data_dir: Path):
    """A run that writes its lines to a terminal."""
    terminal = Terminal(data_dir, HEADLESS)
    try:
        await terminal.until(b"warming up")
        yield terminal
    finally:
        terminal.close()


async def test_fault_66_a_headless_run_whose_terminal_is_closed_ends_in_order(data_dir: Path) -> None:
    async with without_screen(data_dir) as terminal:
        os.close(terminal.master)
        os.close(terminal.slave)
        async with asyncio.timeout(PATIENCE_S):
            while terminal.process.poll() is None:
                await asyncio.sleep(0.02)
        assert terminal.process.returncode > 0, "it was not killed"
    assert records(data_dir, "run")[-1][3]["complete"] is True
    assert not (data_dir / SOCKET).exists()


async def test_fault_66_a_hangup_ends_a_headless_run_like_ctrl_c(data_dir: Path) -> None:
    async with without_screen(data_dir) as terminal:
        terminal.process.send_signal(signal.SIGHUP)
        assert await terminal.ended() == 130
        assert b"SIMULATED market, paper money: complete" in terminal.drawn


async def test_fault_66_a_ui_that_is_killed_changes_nothing(data_dir: Path) -> None:
    async with on_screen(data_dir) as (running, screen):
        screen.process.send_signal(signal.SIGKILL)
        assert await screen.ended() == -signal.SIGKILL
        await assert_goes_on(data_dir)
        assert await running.end(signal.SIGINT) == 130
    assert records(data_dir, "run")[-1][3]["complete"] is True


@pytest.mark.parametrize("run", [RUN, NARROW], ids=["as it is", "stuck in a write"])
async def test_fault_66_a_terminal_that_is_closed_ends_the_ui_and_not_the_engine(data_dir: Path, run: str) -> None:
    async with on_screen(data_dir, run) as (running, screen):
        os.close(screen.master)  # the window is closed, the connection drops: the kernel sends SIGHUP
        os.close(screen.slave)
        async with asyncio.timeout(PATIENCE_S):
            while screen.process.poll() is None:
                await asyncio.sleep(0.02)
        assert screen.process.returncode != 0
        await assert_goes_on(data_dir)
        assert await running.end(signal.SIGINT) == 130


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["SIGHUP", "SIGTERM"])
async def test_fault_66_a_ui_that_is_ended_leaves_the_terminal_as_it_was(data_dir: Path, number: int) -> None:
    async with on_screen(data_dir) as (running, screen):
        assert termios.tcgetattr(screen.slave) != screen.before, "it had it for itself"
        screen.process.send_signal(number)
        assert await screen.ended() == 128 + number
        assert termios.tcgetattr(screen.slave) == screen.before
        assert LEAVES_ALTERNATE_SCREEN in screen.drawn
        assert SHOWS_CURSOR in screen.drawn.rpartition(LEAVES_ALTERNATE_SCREEN)[2] + screen.drawn[-200:]
        await assert_goes_on(data_dir)
        assert await running.end(signal.SIGINT) == 130
