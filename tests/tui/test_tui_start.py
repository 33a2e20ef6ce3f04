"""What a terminal shows while its engine waits for venues, before there is a screen."""

import signal
import subprocess
from pathlib import Path

from tests.tui.test_tui_default import Screen

NOBODY = "http://127.0.0.1:9"
"""The port of `discard`, where nothing listens."""
AWAY = (
    "--market", "live", "--set", f"venues.binance.linear.rest_url={NOBODY}",
    "--set", f"venues.bybit.linear.rest_url={NOBODY}",
)  # fmt: skip


def engines_on(data_dir: Path) -> list[str]:
    told = subprocess.run(["ps", "-Aww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if "--headless" in line and str(data_dir) in line]


def test_a_start_that_waits_says_so_and_ctrl_c_ends_its_engine_too(tmp_path: Path) -> None:
    screen = Screen(tmp_path, *AWAY)
    try:
        screen.until("asking binance, bybit for instruments")
        screen.until("waiting 1 s for b")
        assert engines_on(tmp_path)
        screen.process.send_signal(signal.SIGINT)
    finally:
        code = screen.close()
    assert code == 130
    assert not engines_on(tmp_path)


def test_a_start_that_fails_says_why_once(tmp_path: Path) -> None:
    screen = Screen(tmp_path, *AWAY, "--set", "start.wait_s=0")
    assert screen.close() == 5
    assert screen.drawn.count(b"crypto-pipe: ") == 1
