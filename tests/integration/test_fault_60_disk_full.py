"""Fault 60: a disk that is full or takes no writes. Nothing new leaves, what is open may be closed, and it goes on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fault_rig import (
    IN_AND_OUT,
    ROOT,
    Bot,
    assert_kept_after_all,
    assert_whole,
    bot,
    records,
    sent_to_open,
)

CHILD = """
import json, resource, subprocess, sys, time
from pathlib import Path
from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal

data_dir = Path(sys.argv[1])
{prepare}
lost, told, durable = [], [], []

def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, (journal.failed, lost, told, durable)
        time.sleep(0.005)

def record(name):
    journal.record(RecordKind.ORDER, name, 1, dict(pad="x" * 900))

journal = SqliteJournal(data_dir, "r1", deliver=lambda call: call(), on_failure=told.append, on_lost=lost.append,
                        retry_s=0.05)
for number in range(20):
    record(f"before {{number}}")
journal.when_durable(lambda: durable.append("before"))
until(lambda: durable == ["before"])
for round in range(2):
    {take}
    for number in range(20):
        record(f"order {{round}} {{number}}")
    try:
        journal.when_durable(lambda: durable.append("never"))
    except StorageError:
        pass
    until(lambda: journal.failed is not None)
    try:
        journal.when_durable(lambda: durable.append("never"))
        sys.exit("an intent was called durable that cannot be")
    except StorageError as error:
        refused = str(error)
    record(f"unwind {{round}}")
    time.sleep(0.2)
    {give}
    until(lambda: journal.failed is None)
    record(f"after {{round}}")
    journal.when_durable(lambda: durable.append(f"after {{round}}"))
    until(lambda: durable[-1] == f"after {{round}}")
journal.close()
with_file = __import__("sqlite3").connect(data_dir / "journal.db")
print(json.dumps(dict(
    told=told, refused=refused, durable=durable, lost=[json.loads(line)["key"] for line in lost],
    kept=[key for (key,) in with_file.execute("SELECT key FROM records ORDER BY seq")],
    sound=with_file.execute("PRAGMA integrity_check").fetchone()[0])))
with_file.close()
"""
LIMITED = {
    "prepare": "unlimited = resource.RLIM_INFINITY",
    # The kernel says "file too large" where a full disk says "no space": to a program both are a write that fails.
    "take": "resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited))",
    "give": "resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))",
}
MOUNT = 'subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k,mode=700", "none", str(data_dir)], check=True)'
FULL = {
    "prepare": MOUNT + "\nfiller = data_dir / 'filler'",
    "take": """
    with filler.open("wb", buffering=0) as full:
        try:
            while True:
                full.write(bytes(4096))
        except OSError:
            pass
    """.strip(),
    "give": "filler.unlink()",
}


def played(what: dict[str, str], data_dir: Path, *before: str) -> Any:
    data_dir.mkdir()
    done = subprocess.run(
        [*before, sys.executable, "-c", CHILD.format(**what), str(data_dir)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_went_on(said: Any) -> None:
    assert said["sound"] == "ok"
    assert said["durable"] == ["before", "after 0", "after 1"]
    assert all("the journal cannot be written" in line for line in (*said["told"], said["refused"]))
    assert len(said["told"]) == 2, "told once each time, and not at every try"
    expected = [f"before {number}" for number in range(20)]
    for turn in range(2):
        expected += [*(f"order {turn} {number}" for number in range(20)), f"unwind {turn}", f"after {turn}"]
    assert said["kept"] == expected, "all of it, in its order, once"
    assert {"unwind 0", "unwind 1"} <= set(said["lost"]), "a person has it meanwhile"
    assert not {"before 0", "after 0", "after 1"} & set(said["lost"])


def test_fault_60_the_journal_goes_on_by_itself_when_a_limit_is_lifted(tmp_path: Path) -> None:
    assert_went_on(played(LIMITED, tmp_path / "data"))


def test_fault_60_the_journal_goes_on_by_itself_when_there_is_room_again(tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("a small disk of one's own takes root and unshare; the limit of a file's size stands in for it")
    assert_went_on(played(FULL, tmp_path / "data", "unshare", "--mount"))


@pytest.mark.parametrize("stderr", ["a file on the same disk", "a pipe that nobody reads any more"])
def test_fault_60_the_journal_goes_on_though_nobody_can_be_told_what_waits(tmp_path: Path, stderr: str) -> None:
    """`python main.py 2> bot.log`: what the journal hands out while the disk is full has nowhere to go to."""
    code = CHILD.replace(", on_lost=lost.append", "")
    if stderr.startswith("a pipe"):
        # A write fails where nobody reads; Python has the signal ignored.
        code = "import os\nreading, writing = os.pipe()\nos.close(reading)\nos.dup2(writing, 2)\n" + code
    (tmp_path / "data").mkdir()
    with (tmp_path / "bot.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", code.format(**LIMITED), str(tmp_path / "data")],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, timeout=180, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (tmp_path / "bot.log").read_text()
    said = json.loads(done.stdout)
    assert said["durable"] == ["before", "after 0", "after 1"]
    assert len(said["kept"]) == len(set(said["kept"])) == 64
    assert said["sound"] == "ok"


def may_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


async def test_fault_60_nothing_new_leaves_while_the_disk_is_full_and_it_trades_on_by_itself(tmp_path: Path) -> None:
    # A disk that was slow by then would be REDUCING already, and not say so again.
    async with bot(tmp_path, *IN_AND_OUT, "journal.max_behind_ms=60000") as running:
        await running.says("taken")
        await running.until(lambda: sent_to_open(tmp_path) >= 2)
        at = await full(running)
        before = sent_to_open(tmp_path)
        # What is recorded meanwhile is handed out: no opening order among it was sent.
        await running.until(lambda: len(running.not_kept()) >= 3)
        roomy(running)
        at = await running.says("ACTIVE: the disk takes the journal again", at)
        await running.until(lambda: sent_to_open(tmp_path) > before)
        assert await running.end(signal.SIGINT) == 130
        assert_kept_after_all(running)
    assert_whole(tmp_path)
    for start, stop in reduced(tmp_path):
        sent = [
            body["client_order_id"]
            for seq, _, _, body in records(tmp_path, "order")
            if start < seq < stop and body["status"] == "sent" and body["leg"].startswith("open_")
        ]
        assert sent == []
    assert not any("Traceback" in line for line in running.said)


async def full(running: Bot) -> int:
    """No file of the bot takes another byte; wait until it says so."""
    at = len(running.said)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    return await running.says("REDUCING: the journal cannot be written", at)


def roomy(running: Bot) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)


def reduced(data_dir: Path) -> list[tuple[int, int]]:
    """From where to where in the journal it was REDUCING."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    for seq, _, _, body in records(data_dir, "event"):
        if body["text"].startswith("REDUCING") and start is None:  # each cause of it is told, one after another
            start = seq
        elif body["text"].startswith("ACTIVE"):
            assert start is not None
            found.append((start, seq))
            start = None
    assert found
    assert start is None
    return found


async def test_fault_60_little_room_is_an_alarm(tmp_path: Path) -> None:
    async with bot(tmp_path, "journal.min_free_bytes=1000000000000000") as running:
        await running.says("ALARM: ")
        assert await running.end(signal.SIGINT) == 130
    assert any("GB free on the disk of" in body["text"] for *_, body in records(tmp_path, "event"))


def test_fault_60_a_journal_that_is_read_only_from_the_start_is_refused(tmp_path: Path) -> None:
    """A directory in the place of the file stops root too, whom permissions do not."""
    (tmp_path / "journal.db").mkdir()
    command = [sys.executable, str(ROOT / "main.py"), "--headless", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 6
    assert "journal.db cannot be" in done.stderr
    assert "Traceback" not in done.stderr
