from bot.clock import VirtualClock
from bot.ports import RecordKind
from bot.storage.no_journal import NoJournal
from modes.waking_journal import WakingJournal


class Written(NoJournal):
    def __init__(self) -> None:
        self.keys: list[str] = []

    def record(self, kind, key, ts_ns, body):
        self.keys.append(key)


def test_orders_that_come_together_wake_once_and_after_they_are_durable() -> None:
    clock, inner, woken = VirtualClock(), Written(), []
    journal = WakingJournal(inner, lambda: woken.append(clock.now_ns()), clock)
    journal.record(RecordKind.ORDER, "a", 0, {})
    journal.record(RecordKind.FILL, "b", 0, {})
    assert inner.keys == ["a", "b"]
    assert not woken, "the group commit is not over"
    clock.advance_to(1_000_000_000)
    assert len(woken) == 1
    journal.record(RecordKind.FILL, "c", 0, {})
    clock.advance_to(2_000_000_000)
    assert len(woken) == 2


def test_what_is_in_no_hurry_wakes_nobody() -> None:
    clock, inner, woken = VirtualClock(), Written(), []
    journal = WakingJournal(inner, lambda: woken.append(1), clock)
    for kind in RecordKind:
        if kind not in {RecordKind.ORDER, RecordKind.FILL}:
            journal.record(kind, "x", 0, {})
    clock.advance_to(1_000_000_000)
    assert len(inner.keys) == len(RecordKind) - 2
    assert not woken
