"""Fault 65: memory. Buffers have bounds, and what a run holds does not grow with its length."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from bot.domain.market import TopOfBook
from bot.market.window import Window
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from tests.integration.fault_rig import ROOT

SECONDS = float(os.environ.get("CRYPTO_PIPE_MEMORY_S", "500"))
"""Of virtual time; a soak plays hours."""
SETTLED_S = 200
"""By then the windows are full, and everything has been imported."""
ADDRESSES = 4_000_000_000
START_NS = 1_723_161_254_000_000_000


def test_fault_65_a_run_that_trades_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.memory_child", str(tmp_path), str(SECONDS)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    looks = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    settled = [look for look in looks if look[0] > SETTLED_S]
    middle = len(settled) // 2
    (_, early_mb, early_rows, early_taken), (_, late_mb, late_rows, late_taken) = (
        [max(column) for column in zip(*part, strict=True)] for part in (settled[:middle], settled[middle:])
    )
    assert late_taken > early_taken > 0, "it traded all the time"
    # What the windows hold follows the pace of the market; 100 bytes a row is more than twice what a row takes.
    assert late_mb - early_mb < 15 + max(0.0, late_rows - early_rows) * 100 / 1e6


def test_fault_65_a_window_lets_old_quotes_go() -> None:
    """A minute is held at 10,000 quotes a second: after five minutes it takes no more than after two."""
    window = Window(hold_h=1 / 60, rolling_s=10)
    quotes = [
        TopOfBook(bid_price=100.0 + at / 8, bid_qty=1.5, ask_price=101.0 + at / 8, ask_qty=2.5, sequence=at)
        for at in range(100)
    ]
    sizes = []
    for minute in range(5):
        for number in range(600_000):
            window.append(START_NS + (minute * 600_000 + number) * 100_000, quotes[number % 100])
        sizes.append(window.nbytes)
    assert sizes[4] < sizes[1] * 1.5


def test_fault_65_the_journal_holds_no_more_than_its_bound(tmp_path: Path) -> None:
    """With nobody to wait for it, the caller waits: a disk that is slower than the market fills no memory."""
    journal = SqliteJournal(tmp_path, "r1", deliver=None, queue_limit=100)
    most = 0
    for number in range(5_000):
        journal.record(RecordKind.DECISION, str(number), number, {})
        most = max(most, journal._waiting())
    journal.close()
    assert most <= 101
