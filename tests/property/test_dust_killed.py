"""Dust over a kill: after any record, what the journal tells of dust and of pairs is what lies in the wallet, once.

Pairs leave remainders, take them along, and give them back where a venue will not have them. Whichever record is last
before a kill, the next start must find each remainder in one place: in the ledger of dust, or with its pair.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.domain.order import OrderStatus, Side
from bot.execution.journal_replay import JournalReplay
from bot.ports import RecordKind
from bot.settings import ExecutionSettings
from bot.storage.schema import encode
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
NOTHING = D(0)


@dataclass(frozen=True)
class Kept:
    kind: RecordKind
    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Trip:
    """One pair: what its entry cost in base, and whether the venue first refuses to take it back."""

    fee: str
    is_refused: bool = False


trips = st.builds(Trip, st.sampled_from(["0", "0.00025", "0.0005", "0.00075"]), st.booleans())


def bench() -> Bench:
    return Bench(ExecutionSettings(), net_edge_bps=30.0, taker_bps=5.0)


def live(here: Bench, trip: Trip) -> None:
    pair = here.open()
    here.answer(Side.BUY, SPOT, fee=trip.fee)
    here.answer(Side.SELL, PERP)
    here.executor.close(pair, "edge_gone")
    here.answer(Side.BUY, PERP)
    finish(here, is_refused=trip.is_refused)
    assert pair.state.is_over


def finish(here: Bench, *, is_refused: bool = False) -> None:
    """Answer until nothing is asked for any more."""
    while here.executor.pairs:
        here.wait_for_an_order()
        for order in list(here.inbox):
            here.inbox.remove(order)
            if is_refused and order.instrument == SPOT:
                is_refused = False
                here.end(order, status=OrderStatus.REJECTED)
            else:
                here.fill(order)
                here.end(order, order.quantity)


def kept(here: Bench) -> list[Kept]:
    return [Kept(kind, key, json.loads(encode(body))) for kind, key, body in here.journal.records]


def wallet(records: Sequence[Kept]) -> Decimal:
    """What all fills on the spot instrument brought, less what the venue took in base."""
    total = NOTHING
    for body in (one.body for one in records if one.kind is RecordKind.FILL):
        if body["instrument"]["symbol"] == SPOT.symbol:
            total += Side(body["side"]).sign * D(body["quantity"])
            total -= D(body["fee"]) if body["fee_asset"] == SPOT.base else 0
    return total


def dust(records: Sequence[Kept]) -> Decimal:
    """As the next start reads it."""
    told = [D(one.body["quantity"]) for one in records if one.kind is RecordKind.DUST and one.key == SPOT.id]
    return told[-1] if told else NOTHING


def replayed(records: Sequence[Kept]) -> JournalReplay:
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    for record in records:
        replay.take(record)
    return replay


@given(st.lists(trips, min_size=1, max_size=5), st.data())
@example([Trip("0.0005"), Trip("0.0005", is_refused=True), Trip("0")], None)
@settings(max_examples=40, deadline=None)
def test_after_any_record_each_remainder_is_in_one_place(wanted: list[Trip], data: Any) -> None:
    here = bench()
    for trip in wanted:
        live(here, trip)
    records = kept(here)
    for count in range(len(records) + 1):
        told = records[:count]
        pairs = [left.pair for left in replayed(told).left()]
        assert dust(told) + sum((pair.buy.net for pair in pairs), NOTHING) == wallet(told), told[-1]
    if data is not None:
        adopted_after(records[: data.draw(st.integers(0, len(records)), label="killed after")])


def adopted_after(told: Sequence[Kept]) -> None:
    """The next start takes over what is left, closes it, and still knows where everything lies."""
    there = bench()
    there.executor.dust.restore({SPOT.id: dust(told)}, [SPOT, PERP])
    for left in replayed(told).left():
        for order_id in sorted(left.pair.pending):  # as recovery settles it: none of them arrived
            order, leg, expected = left.pair.orders[order_id]
            left.pair.orders[order_id] = (order.model_copy(update={"status": OrderStatus.REJECTED}), leg, expected)
        left.pair.pending.clear()
        there.executor.adopt(left.pair)
    there.executor.flatten()
    finish(there)
    after = [*told, *kept(there)]
    assert dust(after) == wallet(after)
    assert abs(dust(after)) < D("0.005") + SPOT.min_notional / 1000, "no more than a venue takes"
