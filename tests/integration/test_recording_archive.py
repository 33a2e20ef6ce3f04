"""The recorder with the archive itself: a killed process, and the day back in memory."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc

from bot.clock import VirtualClock
from bot.domain.market import TopOfBook
from bot.market.window import Window
from bot.recording.recorder import Recorder
from bot.recording.restart import fill_windows
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.integration.recording_child import FEED, INSTRUMENT

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("recording_child.py")
KILLS = int(os.environ.get("CRYPTO_PIPE_KILLS", "4"))
START_NS = 1_723_161_600_000_000_000
SECOND = 1_000_000_000


def run_and_kill(data_dir: Path, first: int, lines: int) -> int:
    """Let a child record, kill it so many lines after its first file; the sequence that it called durable last."""
    durable = first - 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(CHILD), str(data_dir), str(first)], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        while lines:
            durable = int(child.stdout.readline())
            lines -= durable >= first
        child.send_signal(signal.SIGKILL)
    return durable


def test_a_killed_recorder_loses_nothing_durable_and_marks_what_it_missed(tmp_path: Path) -> None:
    rng = random.Random(7)
    first = 1
    for _ in range(KILLS):
        durable = run_and_kill(tmp_path, first, rng.randint(2, 30))
        with ArchiveStore.open(tmp_path) as store:
            rows = store.rows(Channel.QUOTES, INSTRUMENT.id, 0, 2**63 - 1)
            sequences = rows.column("sequence").to_pylist()
            assert sequences == sorted(set(sequences)), "none is doubled"
            run = [sequence for sequence in sequences if sequence >= first]
            assert run == list(range(first, first + len(run))), "none is missing before the newest"
            assert sequences[-1] >= durable
        first = sequences[-1] + 1_000  # what came between the last file and the kill is lost, and told below
    with ArchiveStore.open(tmp_path) as store:
        times = rows.column("ts_recv_ns").to_pylist()
        breaks = [at for at in range(1, len(sequences)) if sequences[at] != sequences[at - 1] + 1]
        gaps = store.rows(Channel.GAPS, INSTRUMENT.id, 0, 2**63 - 1)
        quotes = gaps.filter(pc.equal(gaps.column("channel"), "quotes")).to_pylist()
    assert len(breaks) == KILLS - 1
    for at in breaks:
        assert any(gap["start_ns"] <= times[at - 1] + 1 and gap["stop_ns"] <= times[at] for gap in quotes)


def test_the_day_comes_back_whole_into_the_windows(tmp_path: Path) -> None:
    clock = VirtualClock(START_NS)
    live = Window(rolling_s=60.0)
    with ArchiveStore.open(tmp_path) as store:
        recorder = Recorder(store, [INSTRUMENT], clock)
        recorder.start()
        for number in range(1, 3_001):
            clock.advance_to(START_NS + number * SECOND)
            bid = 60_000.0 + number % 7 * 0.1
            quote = TopOfBook(
                bid_price=bid, bid_qty=0.001 * number, ask_price=bid + 0.1, ask_qty=1.0, sequence=number,
                ts_event_ns=START_NS + number * SECOND - 1_000_000,
            )  # fmt: skip
            recorder.on_quote(0, quote, clock.now_ns(), b"")
            live.append(clock.now_ns(), quote)
        assert recorder.close() == 0
        now_ns = clock.now_ns() + 5 * SECOND
        store.merge(now_ns)
        again = Window(rolling_s=60.0)
        filled = fill_windows(store, {INSTRUMENT.id: again}, now_ns)
    assert filled[INSTRUMENT.id].rows == 3_000
    assert [(gap.start_ns, gap.stop_ns) for gap in filled[INSTRUMENT.id].gaps] == [(clock.now_ns() + 1, now_ns)]
    before, after = live.between(0, now_ns), again.between(0, now_ns)
    for name in before._fields:
        assert (getattr(before, name) == getattr(after, name)).all(), name
    assert again.as_of(START_NS + 500 * SECOND + 1) == live.as_of(START_NS + 500 * SECOND + 1)
    assert INSTRUMENT.feed == FEED
