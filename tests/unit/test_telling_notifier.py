"""Notifications: once each, bounded, and never in the way."""

import threading

import pytest

from bot.clock import VirtualClock
from bot.settings.telling import NotificationSettings
from bot.telling.notifier import AppriseSender, Notifier
from bot.telling.outbox import Outbox
from tests.unit.waiting import until


class Pigeon:
    """A sender that notes what it was given, and waits to be let go."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.sent: list[tuple[str, str]] = []
        self.may_fly = threading.Event()
        self.may_fly.set()
        self.tried_again = threading.Semaphore(0)

    def send(self, title: str, text: str) -> bool:
        assert self.may_fly.wait(60)
        self.sent.append((title, text))
        return self.works

    def again(self) -> bool:
        self.tried_again.release()
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


@pytest.mark.parametrize("ends", [False, True], ids=["goes on", "ends"])
def test_a_halt_that_waits_behind_long_alarms_is_not_cut_off(ends: bool) -> None:
    pigeon, clock = Pigeon(), VirtualClock()
    told = notifier(pigeon, clock, per_minute=1)
    for name in "abcdefghijkl":
        told.tell("error", f"ALARM: {name} {'x' * 300}")
    told.tell("error", "HALTED: the day's loss")
    if not ends:
        clock.advance_to(200_000_000_000)
        until(lambda: not told._outbox.is_busy)
    else:
        told.close()
    texts = [text for _, text in pigeon.sent]
    assert "HALTED: the day's loss" in texts[-1]
    assert sum(text.count("ALARM") for text in texts) == 12
    assert all(len(text) <= 2_000 for text in texts)
    told.close()


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


def test_what_a_service_did_not_take_is_tried_again_until_it_does() -> None:
    pigeon, clock = Pigeon(works=False), VirtualClock()
    told = notifier(pigeon, clock)
    told.tell("error", "HALTED: no venue is answering")
    for _ in range(3):
        until(lambda: not told._outbox.is_busy)
        clock.advance_to(clock.now_ns() + 30_000_000_000)
        assert pigeon.tried_again.acquire(timeout=60), "nobody told that it was halted"
    pigeon.works = True
    until(lambda: not told._outbox.is_busy)
    clock.advance_to(clock.now_ns() + 30_000_000_000)
    assert pigeon.tried_again.acquire(timeout=60)
    until(lambda: not told._outbox.is_busy)
    clock.advance_to(clock.now_ns() + 300_000_000_000)
    assert clock.next_due_ns() is None, "nothing is owed any more"
    told.close()
    assert not pigeon.tried_again.acquire(blocking=False)


def test_what_is_refused_at_the_moment_of_a_look_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pigeon, clock = Pigeon(works=False), VirtualClock()
    pigeon.may_fly.clear()
    told = notifier(pigeon, clock)
    told.tell("error", "HALTED: no venue is answering")

    def at_this_moment(outbox: Outbox) -> bool:
        pigeon.may_fly.set()
        until(lambda: outbox._done == outbox._given)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "is_busy", property(at_this_moment))
        clock.advance_to(30_000_000_000)
    clock.advance_to(60_000_000_000)
    assert pigeon.tried_again.acquire(timeout=60), "nobody told that it was halted"


def test_what_found_no_room_is_sent_when_there_is_some() -> None:
    pigeon, clock = Pigeon(), VirtualClock()
    told = notifier(pigeon, clock, queue_limit=1)
    pigeon.may_fly.clear()
    told.tell("error", "one")
    until(told._outbox._queue.empty)  # it is on its way, and holds up the next
    told.tell("error", "two")
    told.tell("error", "three")
    assert told._outbox.dropped == 1
    pigeon.may_fly.set()
    until(lambda: not told._outbox.is_busy)
    clock.advance_to(60_000_000_000)
    until(lambda: not told._outbox.is_busy)
    assert "three" in "".join(text for _, text in pigeon.sent), "nothing had to be said for it"
    told.close()


class Service:
    """Of apprise: takes what it is given, or not."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.got: list[str] = []

    def notify(self, *, title: str, body: str) -> bool:
        self.got.append(body)
        return self.answers.pop(0)


def test_a_service_that_took_it_does_not_get_it_again() -> None:
    sender, well, ill = AppriseSender("json://127.0.0.1/"), Service(True), Service(False, False, True)
    sender._services = [well, ill]

    assert not sender.send("title", "HALTED")
    assert [sender.again(), sender.again(), sender.again()] == [False, True, True]

    assert (well.got, ill.got) == (["HALTED"], ["HALTED"] * 3)


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
