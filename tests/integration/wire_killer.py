"""`python -m tests.integration.wire_killer STEP WORD ...`: `main.py WORD ...` that ends by SIGKILL at its STEP-th step.

A step is a record of a pair, an order or a fill, a promise that records are durable, or an order that goes to a venue.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from bot.domain.order import Order
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from exchanges.common.account.streamed_actions import StreamedActions
from main import main

STEPS = frozenset({RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL})


def kill_at(step: int) -> None:
    """Count the steps of this process, and end it at one."""
    record, when_durable, submit = SqliteJournal.record, SqliteJournal.when_durable, StreamedActions.submit
    left = [step]

    def take_step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def recorded(journal: SqliteJournal, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        record(journal, kind, key, ts_ns, body)
        if kind in STEPS:
            take_step()

    def promised(journal: SqliteJournal, callback: Callable[[], None]) -> None:
        when_durable(journal, lambda: (take_step(), callback()))  # type: ignore[func-returns-value]

    def submitted(actions: StreamedActions, order: Order) -> None:
        submit(actions, order)
        take_step()

    SqliteJournal.record = recorded  # type: ignore[method-assign]
    SqliteJournal.when_durable = promised  # type: ignore[method-assign]
    StreamedActions.submit = submitted  # type: ignore[method-assign]


if __name__ == "__main__":
    kill_at(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
