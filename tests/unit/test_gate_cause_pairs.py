"""Two watches on one gate: whichever ends first leaves the other's REDUCING standing. Each pair failed once."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.engine.watches.storage_watch import StorageWatch
from bot.risk.gate import TradingState
from bot.settings import JournalSettings
from tests.unit.test_fault_25_lag_watch import Bench

FULL = "the journal cannot be written: the disk is full"


class LagAndDisk(Bench):
    """A loop that stands still, and a disk, on one clock."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimpleNamespace(failed=None, is_lost=False, dropped=None, behind_s=lambda: 0.0)
        self.storage = StorageWatch(
            self.disk, Path("/data"), self.gate, lambda level, text: None, self.clock, JournalSettings()
        )

    def disk_is(self, failed: str | None) -> None:
        self.disk.failed = failed
        self.storage.look()


@pytest.mark.parametrize("is_disk_first", [True, False])
def test_a_loop_that_is_steady_again_does_not_end_what_the_disk_began(is_disk_first: bool) -> None:
    bench = LagAndDisk()
    if is_disk_first:
        bench.disk_is(FULL)
    bench.clock.fire(3.0)
    bench.disk_is(FULL)
    bench.calm(5.0)
    assert bench.gate.state is TradingState.REDUCING
    assert bench.told[-1] == f"REDUCING: loop and clock are steady again; still: {FULL}"
    bench.disk_is(None)
    assert bench.gate.state is TradingState.ACTIVE


@pytest.mark.parametrize("is_disk_first", [True, False])
def test_a_disk_that_is_well_again_does_not_end_what_the_loop_began(is_disk_first: bool) -> None:
    bench = LagAndDisk()
    if is_disk_first:
        bench.disk_is(FULL)
    bench.clock.fire(3.0)
    bench.disk_is(FULL)
    bench.disk_is(None)
    assert bench.gate.state is TradingState.REDUCING
    bench.calm(5.0)
    assert bench.gate.state is TradingState.ACTIVE


def test_an_order_that_waits_in_vain_for_the_disk_is_not_forgotten_with_the_loop() -> None:
    bench = LagAndDisk()
    bench.clock.fire(3.0)
    bench.storage.reduce(FULL)
    bench.calm(5.0)
    assert bench.gate.state is TradingState.REDUCING
