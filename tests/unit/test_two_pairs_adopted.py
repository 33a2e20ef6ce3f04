"""A fill that came late had opened a pair again, while its route had a new one: a restart takes over both."""

import json
from decimal import Decimal

import pytest

from bot.domain.order import Side
from bot.engine.accounts.left_behind import in_order_of_adoption
from bot.execution.journal_replay import JournalReplay, LeftPair
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.schema import encode
from tests.unit.test_engine_chains_adopted import Kept
from tests.unit.test_engine_decisions import LINEAR, SPOT, Bench
from tests.unit.test_fault_45_48_52 import DEAR

D = Decimal


def left_by_a_run() -> list[LeftPair]:
    """`run-0` was over, and its purchase came late: it is being closed. `run-1` is held."""
    bench = Bench()
    bench.warm()
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 90_000_000)
    (pair,) = bench.engine.desk.executor.pairs.values()
    assert pair.state is PairState.OPEN
    told = [Kept(kind, key, json.loads(encode(body))) for kind, key, body in bench.journal.records]
    late = [Kept(one.kind, one.key, json.loads(json.dumps(one.body).replace("run-1", "run-0"))) for one in told]
    late = [Kept(one.kind, one.key.replace("run-1", "run-0"), one.body) for one in late]
    replay = JournalReplay({one.id: one for one in bench.instruments})
    for one in late:
        is_sale = one.body.get("side") == Side.SELL
        if one.kind in (RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL) and not is_sale:
            state = {"state": "closing", "close_reason": "late_fill"} if one.kind is RecordKind.PAIR else {}
            replay.take(Kept(one.kind, one.key, {**one.body, **state}))
    for one in told:
        replay.take(one)
    return replay.left()


@pytest.mark.parametrize("is_turned", [False, True], ids=["as they were opened", "the other way round"])
def test_both_pairs_of_a_route_are_taken_over_and_the_late_one_is_closed(is_turned: bool) -> None:
    left = left_by_a_run()
    assert [(one.pair.id, one.pair.state) for one in left] == [("run-0", "closing"), ("run-1", "open")]
    bench = Bench()
    bench.paper.rebuild([fill for one in left for fill in one.fills])
    bench.warm()
    desk = bench.engine.desk
    for one in in_order_of_adoption(left[::-1] if is_turned else left):
        desk.adopt(one)
    held = left[1].pair
    (state,) = [one for one in bench.engine.routes if one.route.id == held.opportunity.route.id]
    assert state.pair is held
    assert state.holding is not None
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 500_000_000)
    assert list(desk.executor.pairs) == ["run-1"]
    assert state.pair is held, "the route is not free yet"
    assert desk.ledger.pair("run-0").is_closed
    assert desk.portfolio.realised_total() == pytest.approx(float(desk.ledger.realised()["USDT"]), abs=2.0)
    assert desk.portfolio.realised_total() != 0
    assert bench.paper.accounts.position(LINEAR).quantity == -desk.ledger.pair("run-1").sell.sold_quantity
    assert {slot.instrument.id for slot in bench.engine.slots} == {SPOT.id, LINEAR.id}
