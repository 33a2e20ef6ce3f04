"""A venue has made its lots larger than what is held: a rest of a position is no pair that is over."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.domain.order import Side
from bot.execution.journal_replay import JournalReplay
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.schema import encode
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
COARSE = PERP.model_copy(update={"lot_size": D("0.3"), "min_quantity": D("0.3")})


@dataclass
class Kept:
    kind: RecordKind
    key: str
    body: Mapping[str, Any]


def test_what_no_order_closes_halts_and_is_found_by_the_next_start() -> None:
    before = Bench()
    before.open()
    before.answer(Side.BUY, SPOT)
    before.answer(Side.SELL, PERP)
    replay = JournalReplay({SPOT.id: SPOT, PERP.id: COARSE})
    for kind, key, body in before.journal.records:
        replay.take(Kept(kind, key, json.loads(encode(body))))
    (left,) = replay.left()
    bench, pair = Bench(), left.pair
    bench.executor.adopt(pair)
    bench.executor.close(pair, "edge_gone")
    while bench.inbox:
        for order in list(bench.inbox):
            bench.answer(order.side, order.instrument)
        bench.clock.advance_to(bench.clock.now_ns() + 1_000_000_000)
    assert (pair.buy.held, pair.sell.held) == (D("0.20"), D("-0.20")), "what no order closes stays hedged"
    assert not pair.state.is_over
    assert list(bench.executor.pairs) == [pair.id]
    (why,) = set(bench.halts)
    rests = "+0.200 ETH on a:ETH/USDT and -0.20 ETH on b:ETH/USDT:USDT"
    assert f"holds {rests}: less than a lot on b:ETH/USDT:USDT, and only a person" in why
    (told,) = [body["state"] for kind, _, body in bench.journal.records if kind is RecordKind.PAIR]
    assert told == PairState.CLOSING, "a pair that is over is looked for by nobody"
