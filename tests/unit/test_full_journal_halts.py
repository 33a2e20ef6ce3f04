"""A journal that takes nothing more, as behind a disk that hangs: a halt still does all that a halt does."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.engine.ending import Ending
from bot.engine.witness import Witness
from bot.errors import BotError, StorageError
from bot.risk.gate import Cause, TradingState
from bot.risk.halt_flag import raise_flag
from bot.risk.kill_switch import KillSwitch
from tests.unit.test_engine_decisions import Bench

FULL = "the disk does not keep up: 1000000 records wait for it"


def full(*_: object) -> None:
    raise StorageError(FULL)


class Seen(Witness):
    def __init__(self) -> None:
        self.why: list[str] = []

    def entered(self, why: str) -> None:
        self.why.append(why)


def halt(bench: Bench) -> None:
    bench.engine.desk.gate.halt("a loss")


def reduce(bench: Bench) -> None:
    bench.engine.desk.gate.reduce(Cause.DISK, "a loss")


@pytest.mark.parametrize("act", [halt, reduce])
def test_real_orders_beside_paper_ones_and_a_person_hear_of_it(
    act: Callable[[Bench], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, seen = Bench(), Seen()
    bench.engine.desk.witness = seen
    monkeypatch.setattr(bench.journal, "record", full)
    with pytest.raises(StorageError):
        act(bench)
    assert bench.engine.desk.gate.state is not TradingState.ACTIVE
    assert seen.why == ["a loss"]
    assert bench.log[-1].endswith(": a loss")


async def test_the_run_ends() -> None:
    """It stood still for good: halted, and with nobody to end it."""
    heard: list[BotError] = []

    def on_bug(failure: BotError) -> None:
        heard.append(failure)
        full()

    ending = Ending(on_bug, lambda level, text: None)
    ending.listen()
    loop = asyncio.get_running_loop()
    loop.call_soon(full)
    async with asyncio.timeout(60):
        await ending.stop.wait()
    assert [str(one) for one in heard] == [FULL]
    assert ending.failure is heard[0]


def test_who_kills_has_every_order_taken_back(tmp_path: Path) -> None:
    bench, withdrawn = Bench(), list[str]()
    gate = bench.engine.desk.gate
    gate._on_state = full  # type: ignore[method-assign]
    switch = KillSwitch(tmp_path, gate, SystemClock(), lambda: withdrawn.append("all"))
    raise_flag(tmp_path, "enough", "somebody", 1)
    with pytest.raises(StorageError):
        switch.look()
    assert (gate.state, withdrawn) == (TradingState.HALTED, ["all"])
