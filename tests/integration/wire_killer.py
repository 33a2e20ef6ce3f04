"""`python -m tests.integration.wire_killer STEP WORD ...`: `main.py WORD ...` that ends by SIGKILL at this step.

STEP is a name of `kill_steps.NAMED`, or a number: of the records of a pair, an order or a fill, the promises that
records are durable, and the orders that go to a venue. Where WIRE_KILLER_WAITS_FOR names a file, it
lives until that is there.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.domain.order import Order
from bot.ports import ReadyOrder, RecordKind
from bot.storage.journal import SqliteJournal
from exchanges.common.account.streamed_actions import StreamedActions
from main import main
from tests.integration.kill_steps import Steps

STEPS = frozenset({RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL})
WAITS_FOR = "WIRE_KILLER_WAITS_FOR"


def kill_at(step: str) -> None:
    """See the steps of this process, and end it at one."""
    record, when_durable = SqliteJournal.record, SqliteJournal.when_durable
    launch, prepare = StreamedActions.launch, StreamedActions.prepare
    steps = Steps(step)
    named = os.environ.get(WAITS_FOR)
    waits_for = None if named is None else Path(named)

    def take(is_it: bool) -> None:
        if is_it and (waits_for is None or waits_for.exists()):
            os.kill(os.getpid(), signal.SIGKILL)

    def recorded(journal: SqliteJournal, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        record(journal, kind, key, ts_ns, body)
        if kind in STEPS:
            take(steps.recorded(kind, key, body() if callable(body) else body))

    def promised(journal: SqliteJournal, callback: Callable[[], None]) -> None:
        when_durable(journal, lambda: (take(steps.durable()), callback()))  # type: ignore[func-returns-value]

    def launched(actions: StreamedActions, order: Order) -> Callable[[Order], None]:
        follow = launch(actions, order)
        take(steps.sent(order.client_order_id))
        return follow

    def prepared(actions: StreamedActions, order: Order) -> ReadyOrder | None:
        ready = prepare(actions, order)
        if ready is None:
            return None

        def leave() -> bool:
            has_left = ready.leave()
            take(has_left and steps.sent(order.client_order_id))
            return has_left

        return ready._replace(leave=leave)

    SqliteJournal.record = recorded  # type: ignore[method-assign]
    SqliteJournal.when_durable = promised  # type: ignore[method-assign]
    StreamedActions.launch = launched  # type: ignore[method-assign]
    StreamedActions.prepare = prepared  # type: ignore[method-assign]


if __name__ == "__main__":
    kill_at(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
