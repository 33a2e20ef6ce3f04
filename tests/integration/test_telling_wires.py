"""Notifications, heartbeat, metrics, watchdog and log file over real sockets and files, and through main.py."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.clock import SystemClock, VirtualClock
from bot.errors import SettingsError
from bot.telling.heartbeat import Heartbeat
from bot.telling.log_file import JsonLog
from bot.telling.notifier import AppriseSender
from bot.telling.systemd import Watchdog

ROOT = Path(__file__).resolve().parents[2]
S = 1_000_000_000


class Listener:
    """An HTTP server that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.heard = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.heard:
                    outer.asked.append((self.command, self.path, body))
                    outer.heard.notify_all()
                self.send_response(302 if self.path == "/moved" else 200)
                if self.path == "/moved":
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> None:
        with self.heard:
            assert self.heard.wait_for(lambda: len(self.asked) >= count, 60)


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_apprise_brings_it(listener: Listener) -> None:
    assert AppriseSender(f"json://127.0.0.1:{listener.port}/here").send("SIMULATED", "HALTED: why")
    method, path, body = listener.asked[0]
    assert (method, path) == ("POST", "/here")
    assert json.loads(body)["title"] == "SIMULATED"
    assert json.loads(body)["message"] == "HALTED: why"


def test_nobody_there_is_no_error() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        assert not AppriseSender(f"json://127.0.0.1:{free.getsockname()[1]}/x").send("a", "b")


def test_the_heart_beats_by_the_engines_clock_while_all_is_well(listener: Listener) -> None:
    clock, well = VirtualClock(), [True]
    heart = Heartbeat(f"http://127.0.0.1:{listener.port}/beat", 60.0, clock, lambda: well[0])
    heart.start()
    listener.wait_for(1)
    clock.advance_to(60 * S)
    listener.wait_for(2)
    well[0] = False
    clock.advance_to(300 * S)
    well[0] = True
    clock.advance_to(360 * S)
    listener.wait_for(3)
    heart.stop()
    assert [path for _, path, _ in listener.asked] == ["/beat"] * 3


def test_the_heart_follows_nobody_elsewhere(listener: Listener) -> None:
    heart = Heartbeat(f"http://127.0.0.1:{listener.port}/moved", 60.0, VirtualClock(), lambda: True)
    heart.start()
    listener.wait_for(1)
    heart.stop()
    assert [path for _, path, _ in listener.asked] == ["/moved"]


def test_an_answer_that_is_none_does_not_stop_the_heart() -> None:
    clock, heard = VirtualClock(), threading.Semaphore(0)

    def answer(server: socket.socket) -> None:
        for words in (b"this is no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
            connected, _ = server.accept()
            with connected:
                connected.recv(4096)
                connected.sendall(words)
            heard.release()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        heart = Heartbeat(f"http://127.0.0.1:{server.getsockname()[1]}/beat", 60.0, clock, lambda: True)
        heart.start()
        assert heard.acquire(timeout=60)
        clock.advance_to(60 * S)
        assert heard.acquire(timeout=60), "the second beat never came"
        heart.stop()


@pytest.mark.parametrize(
    "url", ["https://hc.example/canary 0001", "https://hc.example/canary\n", "https://[canary", "https://x:canary/"]
)
def test_an_address_that_cannot_be_asked_is_told_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address") as told:
        Heartbeat(url, 60.0, VirtualClock(), lambda: True)
    assert "canary" not in str(told.value)


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.2/x", "nonsense", "https://"])
def test_a_heartbeat_goes_to_https_alone(url: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        Heartbeat(url, 60.0, VirtualClock(), lambda: True)


def test_systemd_hears_ready_alive_and_stopping(tmp_path: Path) -> None:
    clock = VirtualClock()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        dog = Watchdog(environment, clock)
        dog.start()
        clock.advance_to(20 * S)
        dog.stop()
        clock.advance_to(100 * S)
        dog.stop()
        heard = [manager.recv(100) for _ in range(6)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1", b"STOPPING=1"]


def test_systemd_is_told_nothing_where_there_is_none_or_it_watches_another() -> None:
    clock = VirtualClock()
    Watchdog({}, clock).start()
    Watchdog({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, clock).start()
    assert clock.next_due_ns() is None


def test_log_lines_are_json_and_files_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "run.jsonl"
    log = JsonLog(path, max_bytes=1_000, keep=2, about={"run_id": "r"}, clock=SystemClock())
    for at in range(30):
        log.write("info", f"line {at} \x1b[2J")
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["text"] == "line 29 [2J"
    assert lines[-1]["run_id"] == "r"
    assert sorted(one.name for one in path.parent.iterdir()) == ["run.jsonl", "run.jsonl.1", "run.jsonl.2"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_run_tells_all_of_them(listener: Listener, tmp_path: Path) -> None:
    """A simulated run with a heartbeat, metrics, a log file and notifications from the first line on."""
    environment = os.environ | {
        "CRYPTO_PIPE_NOTIFY_URLS": f"json://127.0.0.1:{listener.port}/canary-token-51",
        "CRYPTO_PIPE_HEARTBEAT_URL": f"http://127.0.0.1:{listener.port}/beat",
    }
    command = [sys.executable, "main.py", "--headless", "--data-dir", str(tmp_path / "data"), "--for", "10m"]
    for key, value in {
        "notifications.min_level": "info", "metrics.port": "0", "log.json_file": str(tmp_path / "run.jsonl"),
        "risk.max_loop_lag_ms": "60000", "journal.max_behind_ms": "60000",  # a busy machine reduces nothing
    }.items():  # fmt: skip
        command += ["--set", f"{key}={value}"]
    run = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    said = []
    try:
        assert run.stderr is not None
        for line in run.stderr:
            said.append(line)
            if found := re.search(r"metrics: (http://127\.0\.0\.1:\d+/metrics)", line):
                break
        else:
            pytest.fail("".join(said))
        drain = threading.Thread(target=lambda: said.extend(run.stderr or ()), daemon=True)
        drain.start()
        with urllib.request.urlopen(found[1], timeout=60) as answer:
            figures = answer.read().decode()
        assert "crypto_pipe_up 1.0" in figures
        assert "crypto_pipe_halt_flag 0.0" in figures
        assert re.search(r'request_budget_left\{lane="reduce",limit="[^"]+",venue="binance"\} \d', figures)
        assert re.search(r'crypto_pipe_venue_blocked\{venue="bybit"\} 0.0', figures)
        assert 'crypto_pipe_trading_state{state="ACTIVE"} 1.0' in figures
        assert re.search(r'crypto_pipe_run\{market="simulated",money="paper"', figures)
        assert re.search(r'crypto_pipe_quotes_total\{feed="binance.linear"\} \d', figures)
        listener.wait_for(2)
    finally:
        run.terminate()
        run.wait(60)
    drain.join(60)
    run.stderr.close()
    paths = {path for _, path, _ in listener.asked}
    assert paths == {"/beat", "/canary-token-51"}
    first = next(json.loads(body) for _, path, body in listener.asked if path != "/beat")
    assert first["title"] == "Crypto Pipe, SIMULATED market, paper money"
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert any("routes over" in line["text"] for line in lines)
    assert {line["real_money"] for line in lines} == {False}
    assert "canary-token-51" not in "".join(said) + (tmp_path / "run.jsonl").read_text()


def test_a_port_that_is_taken_is_told_before_anything_is_begun(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["--headless", "--data-dir", str(tmp_path), "--for", "5s", "--set", f"metrics.port={port}"]
        command = [sys.executable, "main.py", *words, "--scenario", "calm"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert f"metrics.port {port} cannot be listened on: Address already in use" in ended.stderr
    assert not (tmp_path / "journal.db").exists(), "pairs of earlier runs had been adopted"


def test_a_wrong_address_is_one_line_and_exit_2(tmp_path: Path) -> None:
    environment = os.environ | {"CRYPTO_PIPE_NOTIFY_URLS": "nonsense-canary-51"}
    command = [
        sys.executable,
        "main.py",
        "--headless",
        "--data-dir",
        str(tmp_path),
        "--for",
        "5s",
        "--market",
        "recorded",
    ]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "address 1 in CRYPTO_PIPE_NOTIFY_URLS is none that apprise knows" in ended.stderr
    assert "canary" not in ended.stderr
