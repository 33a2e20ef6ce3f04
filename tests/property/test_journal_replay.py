"""Invariant 8: replaying the journal gives what the run had in hand, at every record and at every moment.

The machine is that of `test_engine_machine`: the real engine, gate, executor, ledger and paper venue under random
markets and mishaps. Beside it every record is played back into a `JournalReplay`, through JSON as from a file.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from bot.domain.order import OrderStatus
from bot.execution.journal_replay import JournalReplay, replay_ledger
from bot.execution.pair import Pair
from bot.ports import RecordKind
from bot.storage.schema import encode
from tests.property import test_engine_machine as machine

BY_ID = {one.id: one for one in machine.INSTRUMENTS}
"""A run's first record names them."""


@dataclass
class Kept:
    kind: RecordKind
    key: str
    body: Mapping[str, Any]


class KeepingJournal(machine.MemoryJournal):
    """Keeps every record as a file would, and tells of each at once."""

    def __init__(self, on_record: Callable[[Kept], None]) -> None:
        super().__init__()
        self.kept: list[Kept] = []
        self._on_record = on_record

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        plain = body() if callable(body) else body
        super().record(kind, key, ts_ns, plain)
        self.kept.append(Kept(kind, key, json.loads(encode(plain))))
        self._on_record(self.kept[-1])


def in_hand(pair: Pair) -> tuple[Any, ...]:
    """What of a pair the next step depends on."""
    legs = [
        (leg.instrument.id, leg.side, leg.held, leg.carried, leg.opened_quantity, leg.opened_notional)
        for leg in pair.legs
    ]
    planned = pair.opportunity.model_dump(exclude={"capital_notional", "time_out_s", "return_per_year"})
    return legs, pair.filled, pair.fill_ids, pair.opened_ns, planned


def orders(pair: Pair) -> dict[str, tuple[OrderStatus, Any, str, Any]]:
    return {id_: (order.status, order.quantity, leg, price) for id_, (order, leg, price) in pair.orders.items()}


class Replaying(machine.Trading):
    """The same, and at each record the replay of all records so far is held against the engine."""

    @initialize(poor=st.booleans(), taker=st.sampled_from(["0", "0.5", "20"]), cap_bps=st.sampled_from([0.0, 5.0]))
    def start(self, poor: bool, taker: str, cap_bps: float) -> None:
        self.replay = JournalReplay(BY_ID)
        self.over: set[str] = set()
        before = machine.MemoryJournal
        machine.MemoryJournal = lambda: KeepingJournal(self.on_record)  # type: ignore[misc, assignment]
        try:
            super().start(poor, taker, cap_bps)
        finally:
            machine.MemoryJournal = before  # type: ignore[misc]

    def on_record(self, record: Kept) -> None:
        """A kill may come right after any record."""
        self.replay.take(record)
        pair_id = record.body.get("pair")
        pair = self.desk.executor.pairs.get(pair_id or "") if hasattr(self, "desk") else None
        if pair is None or record.kind not in (RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL):
            return
        rebuilt = self.replay.rebuilt(pair.id).pair
        assert in_hand(rebuilt) == in_hand(pair)
        assert rebuilt.state is pair.state or record.kind is not RecordKind.PAIR
        told = orders(rebuilt)
        live = orders(pair)
        if record.body.get("status") == "sent":  # of two that have left one is told of first: a start asks for both
            left = {id_ for id_, (status, *_) in live.items() if status is OrderStatus.SENT}
            behind = {id_ for id_, (status, *_) in told.items() if status is OrderStatus.INTENT} & left
            told |= {id_: (OrderStatus.SENT, *told[id_][1:]) for id_ in behind}
        # An order that is not written down yet was never sent: what matters is that none is forgotten, or other.
        assert told == {id_: state for id_, state in live.items() if id_ in told}
        assert self.sent & pair.orders.keys() <= told.keys()

    @invariant()
    def the_journal_tells_what_is_in_hand(self) -> None:
        live = self.desk.executor.pairs
        left = {one.pair.id: one.pair for one in self.replay.left()}
        assert left.keys() == live.keys()
        for pair_id, pair in left.items():
            assert in_hand(pair) == in_hand(live[pair_id])
            assert orders(pair) == orders(live[pair_id])
            assert pair.pending == live[pair_id].pending
            assert pair.state is live[pair_id].state

    @invariant()
    def the_journal_tells_the_ledger(self) -> None:
        assert isinstance(self.journal, KeepingJournal)
        rebuilt, live = replay_ledger(self.journal.kept, BY_ID), self.desk.ledger
        assert list(rebuilt.pairs()) == list(live.pairs())
        assert rebuilt.realised() == live.realised()
        assert rebuilt.open_pairs() == live.open_pairs()
        for instrument in machine.INSTRUMENTS:
            assert rebuilt.position(instrument) == live.position(instrument)


Replaying.TestCase.settings = settings(
    max_examples=int(os.environ.get("CRYPTO_PIPE_EXAMPLES", "15")),
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
)
TestReplaying = Replaying.TestCase


def test_a_pair_is_opened_and_closed_on_the_way() -> None:
    one = Replaying()
    one.start(False, "0.5", 5.0)
    for step in range(40):
        one.batch((1000.0, 1000.0 + step % 3, 1000.0 - step % 2), 0.3, 40)
        one.the_journal_tells_what_is_in_hand()
        one.the_journal_tells_the_ledger()
    assert any(one.replay.left()) or list(one.desk.ledger.pairs())
    one.teardown()
    assert one.replay.left() == []
