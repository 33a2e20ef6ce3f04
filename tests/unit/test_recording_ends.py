"""The end of a recording, which several threads have a part in."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.clock import SystemClock, Timer
from bot.domain.market import TopOfBook
from bot.ports import Market, MarketEnd, MarketSink
from bot.recording.batch import Batch
from bot.recording.record import record
from bot.recording.recorder import Recorder
from bot.storage.archive.channels import Channel
from tests.unit.recording_memory import MemoryStore
from tests.unit.test_recording_recorder import BTC, INSTRUMENTS, Rig


class _Watched:
    """A timer that notes on which thread it was ended."""

    def __init__(self, timer: Timer, ended_on: set[int]) -> None:
        self._timer = timer
        self._ended_on = ended_on

    def cancel(self) -> None:
        self._ended_on.add(threading.get_ident())
        self._timer.cancel()


class _WatchedClock(SystemClock):
    def __init__(self) -> None:
        self.ended_on: set[int] = set()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return _Watched(super().call_later(delay_s, callback), self.ended_on)


async def test_timers_are_ended_on_their_own_thread() -> None:
    clock = _WatchedClock()
    recorder = Recorder(MemoryStore(), INSTRUMENTS, clock)
    recorder.sample_views(["BTC/USDT"], cast(Any, None))

    async def run(sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        return MarketEnd(complete=True, reasons=())

    market = SimpleNamespace(name="live", instruments=INSTRUMENTS, clock=clock, tap=None, run=run)
    summary = await record(cast(Market, market), recorder, asyncio.Event())
    assert summary["complete"]
    assert clock.ended_on == {threading.get_ident()}


def test_what_no_archive_can_take_is_known_as_soon_as_it_has_left_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(MemoryStore):
        def write(self, channel: Channel, *rest: Any) -> Any:
            if channel is Channel.QUOTES:
                raise KeyError("a bug")
            return super().write(channel, *rest)

    rig = Rig(Picky())
    writer = rig.recorder._writer
    done, known = writer._done, list[Sequence[tuple[Batch, str]]]()

    def then_asked(batch: Batch, size_bytes: int | None) -> None:
        done(batch, size_bytes)
        known.append(tuple(writer._unusable))

    monkeypatch.setattr(writer, "_done", then_asked)
    rig.recorder.start()
    quote = TopOfBook(bid_price=1.0, bid_qty=1.0, ask_price=2.0, ask_qty=1.0, sequence=1)
    rig.recorder.on_quote(BTC, quote, rig.at(1.0), b"{}")
    rig.recorder.close()
    (of_quotes, *_) = known
    assert [why for _, why in of_quotes] == ["KeyError: 'a bug'"]
    assert [channel for channel, *_ in rig.gaps(BTC)] == ["quotes"]
    status = rig.recorder.status()
    assert (status.rows, status.dropped_rows) == (2, 1)  # the gaps of the feed are durable, the quote is not
