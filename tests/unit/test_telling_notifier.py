"""Notifications: once each, bounded, and never in the way."""

import threading

import pytest

from bot.clock import VirtualClock
from bot.settings.telling import NotificationSettings
from bot.telling.notifier import AppriseSender, Notifier
from bot.telling.outbox import Outbox


class Pigeon:
    """A sender that notes what it was given, and waits to be let go."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.sent: list[tuple[str, str]] = []
        self.may_fly = threading.Event()
        self.may_fly.set()

    def send(self, title: str, text: str) -> bool:
        assert self.may_fly.wait(60)
        self.sent.append((title, text))
        return self.works


def notifier(pigeon: Pigeon, clock: VirtualClock, log: list[str] | None = None, **settings: object) -> Notifier:
    own = NotificationSettings.model_validate(settings)
    lines = [] if log is None else log
    return Notifier(pigeon, "Crypto Pipe, SIMULATED", own, clock, lambda level, text: lines.append(text))


def test_what_is_bad_enough_is_sent_with_the_market_above_it() -> None:
    pigeon = Pigeon()
    told = notifier(pigeon, VirtualClock())
    told.tell("info", "all is well")
    told.tell("warning", "an order was rejected")
    told.tell("error", "HALTED: the day's loss")
    told.close()
    assert pigeon.sent == [("Crypto Pipe, SIMULATED", "ERROR: HALTED: the day's loss")]


def test_the_same_again_is_kept_back_and_counted_whatever_its_figures() -> None:
    pigeon, clock = Pigeon(), VirtualClock()
    told = notifier(pigeon, clock, repeat_s=600.0)
    for second in range(5):
        told.tell("error", f"pair 7 is uneven for {second} s")
    clock.advance_to(601_000_000_000)
    told.tell("error", "pair 8 is uneven for 3 s")
    told.close()
    assert [text for _, text in pigeon.sent] == [
        "ERROR: pair 7 is uneven for 0 s",
        "ERROR: pair 8 is uneven for 3 s (4 more like it before)",
    ]


def test_a_storm_leaves_as_a_few_messages_and_what_waits_is_sent_together() -> None:
    pigeon, clock = Pigeon(), VirtualClock()
    told = notifier(pigeon, clock, per_minute=2, queue_limit=3)
    for name in "abcdefg":
        told.tell("error", f"trouble with {name}")
    clock.advance_to(61_000_000_000)
    told.close()
    assert [text for _, text in pigeon.sent] == [
        "ERROR: trouble with a",
        "ERROR: trouble with b",
        "ERROR: trouble with c\nERROR: trouble with d\nERROR: trouble with e\n… 2 more",
    ]


def test_a_service_that_does_not_answer_holds_nobody_up() -> None:
    pigeon, clock = Pigeon(), VirtualClock()
    pigeon.may_fly.clear()
    told = notifier(pigeon, clock, per_minute=1000, queue_limit=5)
    for at in range(50):
        told.tell("error", f"trouble {'x' * at}")  # returns at once, or this test never ends
    assert not pigeon.sent
    pigeon.may_fly.set()
    told.close()
    assert len(pigeon.sent) <= 8


def test_what_cannot_be_delivered_is_said_once_there_is_more_to_say() -> None:
    pigeon, clock, log = Pigeon(works=False), VirtualClock(), list[str]()
    told = notifier(pigeon, clock, log)
    told.tell("error", "one")
    while not pigeon.sent:
        threading.Event().wait(0.001)
    told.close()
    assert log == []
    told = notifier(pigeon, clock, log)
    told.tell("error", "one")
    while told._failed == 0:
        threading.Event().wait(0.001)
    told.tell("error", "another")
    told.close()
    assert log == ["1 notifications could not be delivered"]


def test_no_control_byte_leaves() -> None:
    pigeon = Pigeon()
    told = notifier(pigeon, VirtualClock())
    told.tell("error", "venue says \x1b[2J\u202eevil\nnext")
    told.close()
    assert pigeon.sent[0][1] == "ERROR: venue says [2Jevil next"


def test_an_address_that_is_none_is_refused_without_its_text() -> None:
    with pytest.raises(ValueError, match="address 2 in CRYPTO_PIPE_NOTIFY_URLS") as refused:
        AppriseSender("json://127.0.0.1:9/x nonsense-canary-7f3a")
    assert "canary" not in str(refused.value)


def test_an_outbox_drops_what_finds_no_room_and_counts_it() -> None:
    gate, done = threading.Event(), list[int]()
    outbox = Outbox("test", 2)
    outbox.put(gate.wait)
    while not outbox._queue.empty():
        threading.Event().wait(0.001)
    assert [outbox.put(lambda at=at: done.append(at)) for at in range(4)] == [True, True, False, False]
    gate.set()
    assert outbox.close(60)
    assert done == [0, 1]
    assert outbox.dropped == 2
