"""A venue takes a position of two pairs away, and the bot is killed before both have written down what they lost."""

import asyncio
from pathlib import Path

from bot.domain.order import Fill, Side
from bot.engine.accounts.left_behind import left_behind, write_missing
from bot.execution.pair import PairState
from bot.ports import RecordKind
from tests.unit.pair_bench import PERP, SPOT, Bench
from tests.unit.test_fault_36_to_54_legs import forced
from tests.unit.test_left_behind import INSTRUMENTS, MINE, write
from tests.unit.test_recovery import Rig, held


def two_pairs() -> Bench:
    bench = Bench()
    for _ in range(2):
        bench.open()
        bench.answer(Side.BUY, SPOT)
        bench.answer(Side.SELL, PERP)
    return bench


def started(data_dir: Path, fill: Fill) -> Rig:
    """A start, as far as it settles; both pairs are then closed by whoever takes them up."""
    rig = Rig(with_pair=False)
    rig.left = left_behind(data_dir, MINE, INSTRUMENTS)
    rig.at["b"].positions, rig.at["b"].told = [held("-0.30")], [fill]
    left = asyncio.run(rig.recovery().settle())
    write_missing(rig.journal, rig.left)
    fees = sum(one.fee for pair in left for one in pair.fills if one.client_order_id == fill.client_order_id)
    assert fees == fill.fee
    there = Bench()
    for one in left:
        there.executor.adopt(one.pair)
    there.executor.flatten()
    while there.executor.pairs:
        there.wait_for_an_order()
        order = there.inbox.pop(0)
        there.fill(order)
        there.end(order, order.quantity)
    assert [(one.pair.state, *(leg.held for leg in one.pair.legs)) for one in left] == [(PairState.CLOSED, 0, 0)] * 2
    return rig


def test_fault_50_killed_between_the_parts_of_two_pairs_a_start_finds_both(tmp_path: Path) -> None:
    bench = two_pairs()
    before = len(bench.journal.records)
    fill = forced(bench, "0.70")
    bench.executor.on_forced(fill)
    told = bench.journal.records
    answered = next(at for at, (kind, _, _) in enumerate(told) if at >= before and kind is RecordKind.ORDER)
    missing = []
    for last in range(before, answered + 1):
        data_dir = tmp_path / str(last)
        write(data_dir, "run", MINE, told[:last])
        rig = started(data_dir, fill)
        missing.append(len(rig.left.missing_parts))
        for step in range(len(rig.journal.records) + 1):
            again = tmp_path / f"{last}-{step}"
            write(again, "run", MINE, told[:last])
            write(again, "second", MINE, rig.journal.records[:step])
            started(again, fill)
    assert sum(missing) == 1, "between the two records alone"
