"""A chain that an earlier run left half way is taken over by the desk, brought home, and accounted for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.order import OrderStatus
from bot.errors import InvariantError
from bot.execution.journal_replay import JournalReplay, LeftPair
from bot.ports import RecordKind
from bot.storage.schema import encode
from tests.unit.engine_chain_bench import BTC, CROSS, ETH, MS, RING, THERE, Bench

D = Decimal


@dataclass
class Kept:
    kind: RecordKind
    key: str
    body: Mapping[str, Any]


def left_half_way() -> tuple[Bench, LeftPair]:
    """A run that ended with the first link done, and what its journal says of it."""
    bench = Bench()
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    bench.clock.advance_to(bench.clock.now_ns() + 25 * MS)
    replay = JournalReplay({one.id: one for one in bench.instruments})
    for kind, key, body in bench.journal.records:
        replay.take(Kept(kind, key, json.loads(encode(body))))
    (left,) = replay.left()
    return bench, left


def taken_over(bench: Bench, left: LeftPair) -> None:
    """The desk has it, and has been told that what was sent last never met a book."""
    bench.paper.rebuild(left.fills)
    bench.warm()
    bench.engine.desk.adopt(left)
    for order in list(left.pair.waiting()):
        bench.engine.desk.on_order(order.model_copy(update={"status": OrderStatus.EXPIRED}))


def test_a_chain_of_an_earlier_run_goes_home_and_its_account_goes_on() -> None:
    before, left = left_half_way()
    (old,) = before.engine.desk.chains.chains.values()
    assert old.holdings
    bench = Bench()
    start = bench.wallets()["USDT"]
    taken_over(bench, left)
    desk = bench.engine.desk
    (state,) = [one for one in bench.engine.routes if one.route.id == RING]
    assert state.chain is not None
    assert not state.is_free
    assert desk.portfolio.in_flight_notional() > 900
    bench.wait(1_000)
    assert state.is_free
    flows = {asset: amount for asset, amount in desk.ledger.realised().items() if amount}
    assert bench.wallets()["USDT"] - start == flows["USDT"]
    assert desk.portfolio.realised_total() == pytest.approx(float(flows["USDT"]))
    assert flows["USDT"] < 0  # there and back again


def test_a_chain_whose_route_this_run_does_not_have_is_brought_home_all_the_same() -> None:
    _, left = left_half_way()
    bench = Bench((BTC, CROSS, ETH), ("transfer",))
    taken_over(bench, left)
    bench.wait(1_000)
    assert not bench.engine.desk.chains.chains
    assert bench.wallets().get("BTC", D(0)) < D("0.00002")  # less than a lot takes


def test_a_chain_on_an_instrument_that_is_not_watched_is_not_taken_over() -> None:
    _, left = left_half_way()
    bench = Bench((BTC, THERE), ("transfer",))
    with pytest.raises(InvariantError, match="not in this run"):
        bench.engine.desk.adopt(left)
