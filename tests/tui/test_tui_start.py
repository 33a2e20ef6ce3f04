"""What is told before there is a screen, or anything is started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.control.address import claim
from tests.tui.test_tui_default import ROOT, Screen

NOBODY = "http://127.0.0.1:9"
"""The port of `discard`, where nothing listens."""
AWAY = (
    "--market", "live", "--set", f"venues.binance.linear.rest_url={NOBODY}",
    "--set", f"venues.bybit.linear.rest_url={NOBODY}",
)  # fmt: skip


def engines_on(data_dir: Path) -> list[str]:
    told = subprocess.run(["ps", "-Aww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if "--headless" in line and str(data_dir) in line]


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_start_that_waits_says_so_and_its_engine_ends_with_it(
    tmp_path: Path, number: signal.Signals, ended: int
) -> None:
    """Ctrl-C, a terminal that is closed, a `kill`: nobody would look after an engine that nobody has seen."""
    screen = Screen(tmp_path, *AWAY)
    try:
        screen.until("asking binance, bybit for instruments")
        screen.until("waiting 1 s for b")
        assert engines_on(tmp_path)
        screen.process.send_signal(number)
    finally:
        code = screen.close()
    assert code == ended
    assert not engines_on(tmp_path)


def test_a_start_that_fails_says_why_once(tmp_path: Path) -> None:
    screen = Screen(tmp_path, *AWAY, "--set", "start.wait_s=0")
    assert screen.close() == 5
    assert screen.drawn.count(b"crypto-pipe: ") == 1


def test_a_second_screen_on_the_same_run_exits_3(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    listening = claim(tmp_path / "run" / "engine.sock")
    with listening:
        listening.listen()
        screen = Screen(tmp_path)
        screen.until("use --mode attach, or another --data-dir")
        assert screen.close() == 3


def test_a_data_directory_that_is_none_is_told_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    words = [sys.executable, str(ROOT / "main.py"), "--headless", "--for", "1s", "--data-dir", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 6
    assert done.stderr == f"crypto-pipe: {file}/journal.lock cannot be opened: File exists\n"
