"""Names of orders: a venue takes one once, and what a run sent while its journal failed is named nowhere."""

from dataclasses import replace

from bot.domain.order import Side
from bot.execution.chain_orders import ChainOrders
from bot.execution.journal_replay import JournalReplay
from bot.execution.order_names import order_name
from bot.execution.pair_executor import PairExecutor
from exchanges.kraken.order_ids import own_id, wire_id
from tests.property.test_dust_killed import kept
from tests.unit import chain_bench
from tests.unit.pair_bench import PERP, SPOT, opened

LATER = "20261122T033620-1a2b"


def test_what_left_without_a_record_is_no_name_of_the_next_run() -> None:
    """Of an old order's name a venue takes no second one; or it takes the second for the first."""
    bench, pair = opened()
    known = kept(bench)
    bench.journal.is_broken = True
    bench.executor.close(pair, "edge_gone")
    before = {order.client_order_id for order in bench.inbox}
    assert len(before) == 2
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    for record in known:
        replay.take(record)
    (left,) = replay.left()
    bench.inbox.clear()
    bench.journal.is_broken = False
    later = PairExecutor(
        replace(bench.context, id_prefix=LATER),
        on_pair=lambda one: None,
        on_pair_fill=lambda *told: None,
        on_sent=lambda order: None,
    )
    later.adopt(left.pair)
    later.close(left.pair, "edge_gone")
    assert {order.side for order in bench.inbox} == {Side.BUY, Side.SELL}
    assert not before & {order.client_order_id for order in bench.inbox}


def test_a_chain_of_another_run_has_no_name_twice_either() -> None:
    bench = chain_bench.Bench()
    chain = bench.open(chain_bench.RING)
    orders = ChainOrders(replace(bench.context, id_prefix=LATER))
    assert orders.make(chain, orders.first(chain)).client_order_id == "run-c1-1a2bT1"


def test_a_name_is_taken_by_every_venue_and_comes_back_from_kraken() -> None:
    name = order_name("20261121T033620-ffff-12", LATER, 7)
    assert name == "20261121T033620-ffff-12-1a2bT7"
    assert len(name) <= 36
    assert own_id(wire_id(name)) == name
    assert order_name(f"{LATER}-12", LATER, 7) == f"{LATER}-12-7"
