"""`python -m tests.integration.pair_killer DIRECTORY SEED`: runs killed at every journal step of their first pair.

Run number n is a process of its own in DIRECTORY/n that ends by SIGKILL at its n-th step. A step is a record of a pair,
an order or a fill, a promise that records are durable, or an order that goes to the venue. Beside the data directory
stands what was promised and what the venue saw, in `n.seen`. Prints how many runs there were.
"""

import contextlib
import io
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop  # noqa: F401 - what every run would import anew

from bot.domain.order import Order
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from exchanges.paper.actions import PaperActions
from exchanges.simulator.sample_recording import write_sample
from main import main
from modes import action  # noqa: F401

STEPS = frozenset({RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL})
EAGER = ("warmup_s=1", "min_net_edge_bps=-40", "exit_edge_bps=1000", "cooldown_s=0.1")
WORDS = [word for setting in EAGER for word in ("--set", f"arbitrage.{setting}")]


class Killer:
    """Counts the steps of this process, and ends it at one."""

    def __init__(self, step: int, seen: int, grace_s: float) -> None:
        self._left = step
        self._seen = seen
        self._grace_s = grace_s
        self._recorded = 0

    def step(self, settle: Callable[[], None] | None = None) -> None:
        self._left -= 1
        if self._left == 0:
            if settle is not None:
                settle()
            time.sleep(self._grace_s)  # the writer thread may get a little further, or not
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, text: str) -> None:
        os.write(self._seen, f"{text}\n".encode())

    def watch(self) -> None:
        record, when_durable, submit = SqliteJournal.record, SqliteJournal.when_durable, PaperActions.submit

        def recorded(journal: SqliteJournal, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
            record(journal, kind, key, ts_ns, body)
            self._recorded += 1
            if kind in STEPS:
                # A state of the pair is made durable first, so that every one of them is what some run left.
                is_state = kind is RecordKind.PAIR
                self.step((lambda: when_durable(journal, lambda: None)) if is_state else None)
            if kind is RecordKind.PAIR and PairState(body()["state"]).is_over:
                os._exit(0)  # every step of a pair has been the last one now

        def promised(journal: SqliteJournal, callback: Callable[[], None]) -> None:
            before = self._recorded
            when_durable(journal, lambda: (self.tell(f"durable {before}"), self.step(), callback()))  # type: ignore[func-returns-value]

        def submitted(paper: PaperActions, order: Order) -> None:
            self.tell(f"sent {order.client_order_id}")
            submit(paper, order)
            self.step()

        SqliteJournal.record = recorded  # type: ignore[method-assign]
        SqliteJournal.when_durable = promised  # type: ignore[method-assign]
        PaperActions.submit = submitted  # type: ignore[method-assign]


def live(directory: Path, step: int, grace_s: float, market: list[str]) -> None:
    """One run, in a process of its own."""
    seen = os.open(directory / f"{step}.seen", os.O_WRONLY | os.O_CREAT)
    Killer(step, seen, grace_s).watch()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["--market", "recorded", *market, "--json", "--data-dir", str(directory / str(step)), *WORDS])
    os._exit(1)  # it came to its end without a pair


def drive(directory: Path, seed: str) -> int:
    """Runs until one lives through its pair; how many were killed."""
    draws = random.Random(seed)
    files = write_sample(directory / "sample", minutes=1)
    market = [word for feed, path in files.items() for word in ("--recording", f"{feed}={path}")]
    for step in itertools.count(1):
        grace_s = draws.choice([0.0, 0.0, 0.001, 0.01])
        child = os.fork()
        if child == 0:
            live(directory, step, grace_s, market)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status)) if os.WEXITSTATUS(status) else None
            return step - 1
    raise AssertionError


if __name__ == "__main__":
    print(drive(Path(sys.argv[1]), sys.argv[2]))
