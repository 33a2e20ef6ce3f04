"""The collector as a user runs it: real processes, real sockets, files that are read back."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pytest

from bot.domain.snapshot import UpkeepStatus
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 90
BOTH = ("binance:BTC/USDT:USDT", "bybit:BTC/USDT:USDT")


def main(*words: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "main.py"), *words, "--data-dir", str(data_dir)]
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=environment, check=False)


def kept(store: ArchiveStore) -> int:
    """Rows that the recorder wrote; the minute jobs write others."""
    return sum(one.rows for one in store.segments() if not one.channel.startswith("minute_"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    data_dir = tmp_path_factory.mktemp("recorded")
    often = ("--set", "jobs.clock_offset=every 1s", "--set", "jobs.minutes=every 2s")
    done = main("--mode", "record", "--for", "5s", "--json", "--set", "archive.every_s=2", *often, data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    return data_dir, json.loads(done.stdout)


def test_what_came_in_is_in_the_archive(recorded: tuple[Path, dict[str, object]]) -> None:
    data_dir, summary = recorded
    assert summary["market"] == "simulated"
    assert summary["complete"] is True
    with ArchiveStore.open(data_dir / "simulated", read_only=True) as store:
        assert kept(store) == summary["rows"]
        for instrument in BOTH:
            quotes = store.rows(Channel.QUOTES, instrument, 0, 2**63 - 1)
            assert quotes.num_rows > 20
        assert store.instruments(Channel.DEPTH) == ["binance:BTC/USDT:USDT"]
        assert store.rows(Channel.VIEWS, "BTC/USDT:USDT", 0, 2**63 - 1).num_rows >= 3


def test_how_the_jobs_fared_is_told(recorded: tuple[Path, dict[str, object]]) -> None:
    upkeep = UpkeepStatus.model_validate(recorded[1])
    jobs = {job.name: job for job in upkeep.jobs}
    assert list(jobs) == ["minutes", "merge", "retention", "clock_offset"]
    for name in ("minutes", "clock_offset"):
        assert jobs[name].runs >= 1
        assert jobs[name].failures == 0, jobs[name].detail
        assert jobs[name].last_ns is not None
    assert jobs["clock_offset"].detail.startswith("binance ")
    assert jobs["merge"].schedule == "10 * * * *"
    assert upkeep.shipper is None


def test_made_up_prices_never_stand_where_real_ones_do(recorded: tuple[Path, dict[str, object]]) -> None:
    data_dir, _ = recorded
    assert not (data_dir / "archive.db").exists()


def test_rows_leave_as_a_plain_file(recorded: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    data_dir, _ = recorded
    path = tmp_path / "quotes.csv"
    words = ("--mode", "export", "--market", "simulated", "--instrument", BOTH[0], "--to", str(path), "--json")
    done = main(*words, data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    table = pyarrow.csv.read_csv(path)
    assert json.loads(done.stdout)["rows"] == table.num_rows > 20
    assert set(table.column("instrument").to_pylist()) == {BOTH[0]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--mode", "record", "--market", "recorded"), "add --market live or --market simulated"),
        (("--mode", "record", "--set", "jobs.backup=5 1 * * *"), "jobs.backup is set and backup.url is not"),
        (("--headless", "--set", "jobs.backup=5 1 * * *"), "jobs.backup is set and backup.url is not"),
        (("--mode", "export"), "needs --to PATH"),
        (("--mode", "export", "--to", "x.txt"), "end the name in .feather, .parquet or .csv"),
        (("--mode", "export", "--channel", "quoets", "--to", "x.csv"), "quotes"),
        (("--channel", "quotes"), "--channel belongs to --mode export"),
    ],
)
def test_a_wrong_wish_is_one_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = main(*words, data_dir=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.splitlines()[-1].startswith("crypto-pipe: ")
    if words[0] != "--headless":  # a run says what it opens before
        assert len(done.stderr.splitlines()) == 1


def _heed_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, and children with it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "the terminal is closed"])
def test_an_interruption_keeps_everything(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--mode", "record", "--json", "--data-dir", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, preexec_fn=_heed_hangups) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "frames/s" in line:
                break
        process.send_signal(number)
        out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    summary = json.loads(out)
    with ArchiveStore.open(tmp_path / "simulated", read_only=True) as store:
        assert kept(store) == summary["rows"] > 0


def exchanges_of(pid: int) -> int:
    """The process of the simulated exchanges that this one has started."""
    (child,) = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    return int(child)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are looked for in /proc")
def test_exchanges_that_die_end_the_recording_with_a_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--mode", "record", "--json", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "frames/s" in line:
                break
        os.kill(exchanges_of(process.pid), signal.SIGKILL)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 5
    summary = json.loads(out)
    assert summary["complete"] is False
    (why,) = summary["incomplete_because"]
    assert why == "simulator: the simulated exchanges have gone (killed by signal 9)"
    assert err.splitlines()[-1] == f"crypto-pipe: {why}"
    assert err.count("have gone") == 1
    with ArchiveStore.open(tmp_path / "simulated", read_only=True) as store:
        assert kept(store) == summary["rows"] > 0, "what came until then is kept"
