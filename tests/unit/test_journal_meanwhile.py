"""What is done while the disk takes a pair's intents, and that nothing leaves by it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.order import Order
from bot.errors import OrderRejected, StorageError
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from modes.waking_journal import WakingJournal
from tests.unit.executor_bench import MemoryJournal
from tests.unit.pair_bench import Bench


def at_once(callback: Callable[[], None]) -> None:
    callback()


def an_unwritable() -> Mapping[str, Any]:
    raise ValueError("no such figure")


def test_what_is_done_meanwhile_comes_after_the_words_and_before_the_promise(tmp_path: Path) -> None:
    seen: list[str] = []
    durable = threading.Event()
    journal = SqliteJournal(tmp_path, "r1", group_commit_ms=60_000, deliver=at_once)
    journal.record(RecordKind.ORDER, "o1", 1, lambda: seen.append("words") or {})
    journal.while_writing(lambda: seen.append(f"meanwhile {journal._connection.in_transaction}"))
    journal.when_durable(lambda: seen.append("durable"))
    journal.when_durable(durable.set)
    assert durable.wait(60)
    journal.close()
    assert seen == ["words", "meanwhile False", "durable"]


def test_nothing_is_done_meanwhile_for_a_record_that_cannot_be_written(tmp_path: Path) -> None:
    seen: list[str] = []
    failed = threading.Event()
    journal = SqliteJournal(
        tmp_path, "r1", deliver=at_once, on_failure=lambda why: failed.set(), on_lost=lambda line: None
    )
    journal.record(RecordKind.ORDER, "o1", 1, an_unwritable)
    journal.while_writing(lambda: seen.append("meanwhile"))
    journal.when_durable(lambda: seen.append("durable"))
    assert failed.wait(60)
    journal.while_writing(lambda: seen.append("later"))
    with pytest.raises(StorageError):
        journal.close()
    assert seen == []


def test_on_a_virtual_clock_nothing_is_done_meanwhile(tmp_path: Path) -> None:
    seen: list[str] = []
    journal = SqliteJournal(tmp_path, "r1")
    journal.record(RecordKind.ORDER, "o1", 1, {})
    journal.while_writing(lambda: seen.append("meanwhile"))
    journal.when_durable(lambda: seen.append("durable"))
    journal.close()
    assert seen == ["durable"]


class BusyJournal(MemoryJournal):
    """A disk that the test holds; it is given what was recorded when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = True
        self.meanwhile: list[Callable[[], None]] = []

    def while_writing(self, callback: Callable[[], None]) -> None:
        self.meanwhile.append(callback)

    def write(self) -> None:
        for callback in self.meanwhile:
            callback()


class Preparing(Bench):
    """A venue that can prepare orders."""

    def __init__(self, wrap: Callable[[Any], Any] = lambda journal: journal) -> None:
        self.prepared: list[Order] = []
        self.disk = BusyJournal()
        super().__init__(journal=self.disk, wrap=wrap)

    def prepare(self, order: Order) -> None:
        self.prepared.append(order)


def names(orders: Sequence[Order]) -> list[str]:
    return [order.client_order_id for order in orders]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_both_orders_are_prepared_before_they_may_leave_and_leave_only_then(is_wrapped: bool) -> None:
    bench = Preparing()
    if is_wrapped:
        bench = Preparing(lambda journal: WakingJournal(journal, lambda: None, bench.clock))
    bench.open()
    assert bench.prepared == []
    bench.disk.write()
    assert len(bench.prepared) == 2
    assert bench.inbox == []
    bench.journal.sync()
    assert names(bench.inbox) == names(bench.prepared)


@pytest.mark.parametrize("why", ["halted", "edge", "disk"])
def test_what_was_prepared_never_leaves_where_it_is_refused_then(why: str) -> None:
    bench = Preparing()
    pair = bench.open()
    bench.disk.write()
    if why == "halted":
        bench.may_open = False
    elif why == "edge":
        bench.executor.why_not_now = lambda pair: "edge"
    if why == "disk":
        bench.executor.journal_failed("disk full")
    else:
        bench.journal.sync()
    assert len(bench.prepared) == 2
    assert bench.inbox == []
    assert pair.state is PairState.MISSED


def test_that_orders_have_left_is_told_after_both() -> None:
    bench = Bench()
    told: list[tuple[str, int]] = []
    record = bench.journal.record

    def noted(kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        if kind is RecordKind.ORDER:
            told.append((f"{key} {body['status']}", len(bench.inbox)))
        record(kind, key, ts_ns, body)

    bench.journal.record = noted  # type: ignore[method-assign]
    bench.open()
    buy, sell = names(bench.inbox)
    assert told == [(f"{buy} intent", 0), (f"{sell} intent", 0), (f"{buy} sent", 2), (f"{sell} sent", 2)]


@pytest.mark.parametrize("answer", ["filled", "expired", "rejected"])
def test_a_venue_that_answers_within_submit_is_told_of_after_the_sending(answer: str) -> None:
    bench = Bench()
    taken = bench.submit

    def answers_at_once(order: Order) -> None:
        taken(order)
        if answer == "rejected":
            raise OrderRejected(order.client_order_id, "not asked")
        filled = order.quantity if answer == "filled" else Decimal(0)
        if filled:
            bench.fill(order)
        bench.end(order, filled)

    bench.submit = answers_at_once  # type: ignore[method-assign]
    bench.open()
    assert len(bench.inbox) == 2
    for order in bench.inbox:
        assert bench.journal.statuses(order.client_order_id) == ["intent", "sent", answer]
