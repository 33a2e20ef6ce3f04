"""Invariant 8 where a fill is told after the end: a pair that was over and is traded again is replayed whole."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.order import Order, OrderStatus, Side
from bot.execution.chain import Chain
from bot.execution.journal_replay import JournalReplay, replay_ledger
from bot.execution.ledger import Ledger
from bot.execution.pair import PairState
from bot.ports.transfers import CarryState
from bot.storage.schema import encode
from tests.property.test_journal_replay import Kept, in_hand, orders
from tests.unit.chain_bench import BTC, BTC_B, SENT
from tests.unit.chain_bench import Bench as ChainBench
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
BY_ID = {one.id: one for one in (SPOT, PERP)}
shares = st.sampled_from([D(0), D("0.3"), D("0.37"), D(1)])
answers = st.tuples(st.integers(0, 3), shares, shares, st.booleans())
"""Which order is answered; which part of it the venue tells; which part of the rest it keeps for later; whether one
that was kept is told now."""


class Late:
    """A bench, what its venues keep to themselves, and the journal as a file would hold it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.kept: list[tuple[Order, Decimal]] = []
        self.fills = 0
        self.reopened = 0

    def step(self, which: int, told: Decimal, later: Decimal, is_told_now: bool) -> None:
        bench = self.bench
        if is_told_now and self.kept:
            self._fill(*self.kept.pop(which % len(self.kept)))
        elif bench.inbox:
            self._answer(bench.inbox.pop(which % len(bench.inbox)), told, later)
        elif not bench.executor.pairs:
            bench.open()
        elif any(pair.state is PairState.OPEN for pair in bench.executor.pairs.values()):
            for pair in list(bench.executor.pairs.values()):
                bench.executor.close(pair, "edge_gone")
        else:
            bench.wait(6_000)

    def _answer(self, order: Order, told: Decimal, later: Decimal) -> None:
        filled = order.instrument.floor_quantity(order.quantity * told)
        rest = order.instrument.floor_quantity((order.quantity - filled) * later)
        if filled:
            self._fill(order, filled)
        if rest:
            self.kept.append((order, rest))
        self.bench.end(order, filled, None if filled else OrderStatus.EXPIRED)

    def _fill(self, order: Order, quantity: Decimal) -> None:
        self.fills += 1
        over = not self.bench.executor.pairs
        # The fee of a purchase leaves a rest of coins that no lot is small enough for.
        fee = quantity / 1000 if order.side is Side.BUY and order.instrument is SPOT else D(0)
        self.bench.fill(order, quantity, str(fee), self.fills)
        self.reopened += over and bool(self.bench.executor.pairs)

    def journal(self) -> list[Kept]:
        return [Kept(kind, key, json.loads(encode(body))) for kind, key, body in self.bench.journal.records]

    def check(self) -> None:
        """The journal tells what is in hand: of every pair that is not over, everything."""
        replay = JournalReplay(BY_ID)
        for record in self.journal():
            replay.take(record)
        left: dict[str, Any] = {one.pair.id: one.pair for one in replay.left()}
        live = self.bench.executor.pairs
        assert left.keys() == live.keys()
        for id_, pair in live.items():
            assert in_hand(left[id_]) == in_hand(pair)
            assert orders(left[id_]) == orders(pair)
            assert left[id_].pending == pair.pending
            assert (left[id_].state, left[id_].close_reason) == (pair.state, pair.close_reason)

    def ledger(self) -> Ledger:
        return replay_ledger(self.journal(), BY_ID)


@settings(max_examples=150, deadline=None)
@given(st.lists(answers, min_size=15, max_size=40))
def test_whatever_comes_late_the_journal_tells_what_is_in_hand(steps: list[tuple[int, Decimal, Decimal, bool]]) -> None:
    late = Late()
    for step in steps:
        late.step(*step)
        late.check()
    ledger = late.ledger()
    for instrument in BY_ID.values():
        counted = [fill for fill in late.bench.counted if fill.instrument.id == instrument.id]
        assert ledger.position(instrument) == sum((fill.side.sign * fill.quantity for fill in counted), D(0))


def test_a_pair_that_was_over_is_found_again_with_its_orders_and_its_dust() -> None:
    late = Late()
    late.step(0, D(0), D(0), False)  # open
    late.step(0, D(1), D(0), False)  # bought whole, 0.0005 ETH of it for the fee
    late.step(0, D("0.37"), D("0.3"), False)  # sold 0.18; 0.09 more are told later
    while late.bench.executor.pairs:
        late.step(0, D(1), D(0), False)
    late.step(0, D(0), D(0), True)
    assert late.reopened == 1
    late.check()
    (pair,) = late.bench.executor.pairs.values()
    assert pair.buy.carried
    assert len(pair.orders) > 2


@given(
    told=st.decimals("0.02", "0.09", places=5),
    lost=st.decimals("0", "0.0005", places=7),
    late=st.decimals("0.001", "0.009", places=5),
)
def test_a_chain_that_was_over_is_found_again_with_what_it_sent(told: Decimal, lost: Decimal, late: Decimal) -> None:
    bench = ChainBench()
    chain = bench.open(SENT)
    first = bench.last
    bench.done(first, told)
    bench.carry(CarryState.ARRIVED, str(told - lost))
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    bench.fill(first, late)
    assert chain.state is PairState.CLOSING
    replay = JournalReplay({one.id: one for one in (BTC, BTC_B)})
    for kind, key, body in bench.journal.records:
        replay.take(Kept(kind, key, json.loads(encode(body))))
    (left,) = replay.left()
    assert isinstance(left.pair, Chain)
    assert (left.pair.holdings, left.pair.flows, left.pair.dust) == (chain.holdings, chain.flows, chain.dust)
    assert left.pair.orders.keys() == chain.orders.keys()
    assert left.pair.travels.keys() == chain.travels.keys()
    bench.done(bench.last)
    assert not chain.holdings
